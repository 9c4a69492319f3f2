"""trisent compare: is one run better than another, or was it chance?"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from trisent.cli.score import warn_of_narrow_intervals
from trisent.errors import UsageError
from trisent.i18n import t

if TYPE_CHECKING:
    from trisent.evaluation.bootstrap import Difference
    from trisent.evaluation.compare import Comparison, Run
    from trisent.evaluation.figures import Figure


def run(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN RUN…",
            help=t(
                "run folders (or ones with seed-0 …), or prediction files; seeds as A1.csv,A2.csv or a folder of files"
            ),
        ),
    ],
    split: Annotated[
        str | None, typer.Option(help=t("which predictions of run folders: valid unless said otherwise, or test"))
    ] = None,
    bootstrap: Annotated[int, typer.Option(metavar="N", help=t("resamples of whole videos"))] = 2000,
    seed: Annotated[int, typer.Option(help=t("seed of everything random"))] = 0,
    as_json: Annotated[bool, typer.Option("--json", help=t("print JSON instead of tables"))] = False,
) -> None:
    """Compare every run with the first, with a bar on stderr while resampling."""
    if len(runs) < 2:
        raise UsageError(t("a comparison needs two runs or more, got {n}", n=len(runs)))
    from trisent.cli.console import print_json, progress
    from trisent.evaluation.bootstrap import Resampling
    from trisent.evaluation.compare import compare

    resampling = Resampling(bootstrap, seed)
    first, *others = _read(runs, split)
    found = []
    for other in others:
        with progress(of_bytes=False) as on_progress:
            found.append(compare(first, other, resampling=resampling, on_progress=on_progress))
    if as_json:
        print_json(_to_json(found, resamples=bootstrap, seed=seed))
    else:
        for comparison in found:
            _show(comparison)


def _read(runs: list[str], split: str | None) -> "list[Run]":
    """Read every run, all put into the order of the first file."""
    from trisent.evaluation.compare import Run, aligned
    from trisent.evaluation.reading import read_predictions
    from trisent.runs.folders import judgements_of, refuse_other_data

    files = [judgements_of(name, split=split) for name in runs]
    refuse_other_data(files)
    read = [
        (name, [(file.path, read_predictions(file.path)) for file in seeds])
        for name, seeds in zip(runs, files, strict=True)
    ]
    reference = read[0][1][0][1]
    return [Run(name, tuple(aligned(reference, seed, name=str(path)) for path, seed in seeds)) for name, seeds in read]


def _show(comparison: "Comparison") -> None:
    from rich.table import Table

    from trisent.cli.console import output
    from trisent.evaluation.bootstrap import known_videos
    from trisent.evaluation.figures import BINARIES, FIGURES

    console, first, second = output(), comparison.first, comparison.second
    counts = [
        t("{name} ({n} seeds)", name=r.name, n=len(r.seeds)) if len(r.seeds) > 1 else r.name for r in (first, second)
    ]
    table = Table(title=t("{second} against {first}", first=counts[0], second=counts[1]))
    table.add_column(t("measure and its convention"))
    for column in (t("first"), t("second"), t("difference"), t("95 % interval"), "p", ""):
        table.add_column(column, justify="right", no_wrap=True)
    for key, difference in comparison.differences.items():
        figure, interval = FIGURES[key], difference.interval
        table.add_row(
            figure.name,
            *(figure.written(r.mean(figure)[0]) for r in (first, second)),
            _signed(figure, difference.value),
            f"{_signed(figure, interval.low)} … {_signed(figure, interval.high)}",
            _probability(difference.p),
            _verdict(figure, difference),
        )
    console.print(table)
    table = Table(title=t("McNemar's exact test of Acc-2 (takes utterances for independent)"))
    table.add_column(t("convention"))
    for column in ("n", t("only the first right"), t("only the second right"), "p"):
        table.add_column(column, justify="right")
    for binary in BINARIES:
        tests = comparison.tests[binary.key]
        sums = [sum(test.only_first for test in tests), sum(test.only_second for test in tests)]
        cells = [f"{s / len(tests):g}" for s in sums]
        table.add_row(f"{binary.key} ({binary.name})", str(tests[0].n), *cells, _probability(comparison.p(binary.key)))
    console.print(table)
    if known_videos([*first.seeds, *second.seeds]) is None:
        warn_of_narrow_intervals(console)


def _signed(figure: "Figure", value: float) -> str:

    text = figure.written(value)
    return text if value != value or text.startswith("-") else f"+{text}"


def _probability(p: float) -> str:
    return "–" if p != p else "<0.0001" if p < 1e-4 else f"{p:.4f}"


def _verdict(figure: "Figure", difference: "Difference") -> str:
    low, high = difference.interval.low, difference.interval.high
    if low <= 0 <= high or low != low:
        return ""
    return t("better") if (low > 0) != figure.lower_is_better else t("worse")


def _to_json(comparisons: "list[Comparison]", *, resamples: int, seed: int) -> dict[str, Any]:
    from trisent.evaluation.figures import FIGURES

    def numbers(run: "Run", key: str) -> dict[str, float | None]:
        mean, std = run.mean(FIGURES[key])
        return {"mean": _or_none(mean), "std": _or_none(std)}

    return {
        "n": len(comparisons[0].first.seeds[0]),
        "bootstrap": {"resamples": resamples, "seed": seed},
        "comparisons": [
            {
                "first": {"name": c.first.name, "seeds": len(c.first.seeds)},
                "second": {"name": c.second.name, "seeds": len(c.second.seeds)},
                "figures": {
                    key: {
                        "first": numbers(c.first, key),
                        "second": numbers(c.second, key),
                        "difference": _or_none(d.value),
                        "interval": d.interval.to_json(),
                        "p": _or_none(d.p),
                    }
                    for key, d in c.differences.items()
                },
                "mcnemar": {
                    key: {
                        "p": c.p(key),
                        "pairs": [
                            {"n": t_.n, "only_first": t_.only_first, "only_second": t_.only_second, "p": t_.p}
                            for t_ in tests
                        ],
                    }
                    for key, tests in c.tests.items()
                },
            }
            for c in comparisons
        ],
    }


def _or_none(value: float) -> float | None:
    return None if value != value else value
