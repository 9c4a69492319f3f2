r"""A table for a paper, in LaTeX: it needs \usepackage{booktabs}; graphicx makes it as wide as the page at most."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trisent.evaluation.bootstrap import Interval
from trisent.evaluation.figures import FIGURES, Figure

KEYS = ("mae", "corr", "acc7_round", "acc5_round", "acc2_has0", "f1_has0", "acc2_non0", "f1_non0", "ece")
SIMS_KEYS = ("sims_mae", "sims_corr", "sims_acc5", "sims_acc3", "sims_acc2", "sims_f1", "ece")
_HEADS = {
    "mae": r"MAE\,$\downarrow$", "corr": r"$r$\,$\uparrow$", "acc7_round": "Acc-7", "acc5_round": "Acc-5",
    "acc2_has0": "Acc-2$^a$", "f1_has0": "F1$^a$", "acc2_non0": "Acc-2$^b$", "f1_non0": "F1$^b$",
    "ece": r"ECE\,$\downarrow$", "sims_mae": r"MAE\,$\downarrow$", "sims_corr": r"$r$\,$\uparrow$",
    "sims_acc5": "Acc-5", "sims_acc3": "Acc-3", "sims_acc2": "Acc-2", "sims_f1": "F1",
}  # fmt: skip
_CHINESE = re.compile("[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")
_ESCAPES = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "[": "{[}", "*": "{*}",  # after a line's end they would be taken for its option
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure of one system; `std` over seeds and the 95 % interval when there are any."""

    value: float
    std: float | None = None
    interval: Interval | None = None


def latex_table(
    systems: Mapping[str, Mapping[str, Cell]], *, caption: Sequence[str], sims: bool = False, drawn: str = "videos"
) -> str:
    """Lay out a row a system, and below it its intervals.

    Args:
        systems: name -> figures by key; the last is the one the table is about.
        caption: sentences, plain text.
        sims: use the figures of CH-SIMS.
        drawn: what the intervals resample: videos or utterances.
    """
    keys = [key for key in (SIMS_KEYS if sims else KEYS) if any(key in cells for cells in systems.values())]
    lines = [
        r"% needs \usepackage{booktabs}; with \usepackage{graphicx} it is as wide as the page at most",
        *_of_script([*systems, *caption]),
        r"\begin{table*}[t]",
        r"\providecommand{\resizebox}[3]{#3}",
        r"\centering",
        r"\small",
        r"\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{' '.join([*map(escape, caption), _conventions(sims=sims, drawn=drawn)])}}}",
        r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * len(keys)}}}",
        r"\toprule",
        " & ".join(["", *(_HEADS[key] for key in keys)]) + r" \\",
        r"\midrule",
    ]
    for place, (name, cells) in enumerate(systems.items()):
        if place and place == len(systems) - 1:
            lines.append(r"\midrule")
        lines.append(" & ".join([escape(name), *(_value(FIGURES[key], cells.get(key)) for key in keys)]) + r" \\")
        below = [_interval(FIGURES[key], cells.get(key)) for key in keys]
        if any(below):
            lines.append(" & ".join(["", *below]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}}", r"\end{table*}", ""])


def _of_script(texts: Sequence[str]) -> list[str]:
    chinese = any(_CHINESE.search(text) for text in texts)
    return [r"% for its Chinese: \usepackage{ctex}, and xelatex"] if chinese else []


def escape(text: str) -> str:
    r"""Make plain text safe in LaTeX.

    >>> print(escape("50 % of a_b & {c}"))
    50 \% of a\_b \& \{c\}
    """
    return "".join(_ESCAPES.get(c) or (f"\\{c}" if c in "&%$#_{}" else c) for c in text)


def _conventions(*, sims: bool, drawn: str) -> str:
    brackets = f"brackets: 95\\,\\% intervals over {drawn}."
    if sims:
        return f"Accuracies and F1 in \\%, under the conventions of CH-SIMS; {brackets}"
    return (
        "Accuracies and F1 in \\%; classes by np.round after clipping; $^a$ $\\geq 0$ against $<0$ on all utterances; "
        f"$^b$ $>0$ against $\\leq 0$ without labels of 0; {brackets}"
    )


def _number(figure: Figure, value: float) -> str:
    if value != value:
        return "--"
    text = f"{100 * value:.2f}" if figure.share else f"{value:.3f}"
    return f"${text}$" if text.startswith("-") else text


def _value(figure: Figure, cell: Cell | None) -> str:
    if cell is None:
        return "--"
    text = _number(figure, cell.value)
    return text if cell.std is None else rf"{text}\,$\pm$\,{_number(figure, cell.std)}"


def _interval(figure: Figure, cell: Cell | None) -> str:
    if cell is None or cell.interval is None or cell.interval.low != cell.interval.low:
        return ""
    return rf"{{\scriptsize [{_number(figure, cell.interval.low)}, {_number(figure, cell.interval.high)}]}}"
