"""The LaTeX table of an evaluation, or of several seeds of one run."""

from collections.abc import Mapping

from trisent.evaluation.figures import is_sims_scale
from trisent.evaluation.latex import Cell, latex_table
from trisent.runs.evaluate import Evaluation


def to_latex(evaluation: Evaluation) -> str:
    """Lay out one evaluation beside its baselines."""
    sheet = evaluation.sheet
    own = {key: Cell(row.value, interval=row.interval) for key, row in sheet.rows.items()}
    return table_of(evaluation, own, name=f"{evaluation.name} ({evaluation.bundle.model_name})", opened=None)


def table_of(evaluation: Evaluation, own: Mapping[str, Cell], *, name: str, opened: str | None) -> str:
    """Lay out figures `own` beside the baselines of an evaluation of the same utterances.

    Args:
        evaluation: gives baselines and caption.
        own: figures by key.
        name: of the row.
        opened: what to say of the openings of test instead of what the evaluation says.
    """
    sheet, ridge = evaluation.sheet, evaluation.ridge
    systems: dict[str, Mapping[str, Cell]] = {
        "Predict 0": {key: Cell(value) for key, value in sheet.baselines.zero.items()},
        "Predict the mean": {key: Cell(value) for key, value in sheet.baselines.mean.items()},
        "Best constant": {key: Cell(value) for key, value in sheet.baselines.best.items()},
    }
    if ridge:
        systems["Text-only ridge"] = {k: Cell(v, interval=ridge.intervals.get(k)) for k, v in ridge.values.items()}
    systems[name] = own
    videos = "" if sheet.videos is None else f" of {sheet.videos} videos"
    caption = [f"{evaluation.data['name']}, {evaluation.split}: {len(sheet.predictions)} utterances{videos}."]
    if evaluation.opened is not None:
        caption.append(opened or f"Test opened {evaluation.opened} times with this model.")
    if evaluation.bundle.synthetic:
        caption.append("SYNTHETIC DATA.")
    drawn = "utterances" if sheet.videos is None else "videos"
    # A few weak labels of another set may lie within [-1, 1], too.
    sims = max(map(abs, evaluation.data["scale"])) <= 1 and is_sims_scale(sheet.predictions)
    return latex_table(systems, caption=caption, sims=sims, drawn=drawn)
