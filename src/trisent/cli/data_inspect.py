"""trisent data inspect and describe: what a file is, and what is in it."""

from typing import TYPE_CHECKING

from trisent.cli.data_words import Json, Source, bytes_in_words
from trisent.i18n import t

if TYPE_CHECKING:
    from trisent.data.audit import Description


def inspect(source: Source, as_json: Json = False) -> int:
    """Say the format, the arrays and the SHA-256 sums; exit code 1 when no reader knows the format."""
    from rich.table import Table

    from trisent.cli.console import output, print_json
    from trisent.data.inspection import inspect

    found = inspect(source)
    if as_json:
        print_json(found.to_json())
        return 0 if found.format else 1
    console = output()
    unknown = t("no format that trisent reads")
    console.print(t("{path}: {format}", path=source, format=found.format or unknown), markup=False)
    for file in found.files:
        known = t("  (the published {name})", name=file.known) if file.known else ""
        size = bytes_in_words(file.bytes)
        console.print(f"\n{file.name}  {size}  sha256 {file.sha256}{known}", markup=False, soft_wrap=True)
        table = Table(box=None, show_header=False, padding=(0, 2))
        for part in file.parts:
            table.add_row(part.name, " × ".join(f"{n:,}" for n in part.shape) or "–", part.dtype)
        console.print(table, markup=False)
    return 0 if found.format else 1


def describe(source: Source, as_json: Json = False) -> None:
    """Count utterances, videos, labels and steps."""
    from trisent.cli.console import print_json
    from trisent.data.audit import describe
    from trisent.data.readers import read

    description = describe(read(source))
    if as_json:
        print_json(description.to_json())
    else:
        show_description(description)


def show_description(d: "Description") -> None:
    """Print the tables of a data set."""
    from rich.table import Table

    from trisent.cli.console import output

    console = output()
    synthetic = t("SYNTHETIC, ") if d.synthetic else ""
    scale = f"[{d.scale[0]:g}, {d.scale[1]:g}]"
    said = t("{name}: {synthetic}format {format}, {n} utterances of {videos} videos, sentiment in {scale}",
             name=d.name, synthetic=synthetic, format=d.format, n=d.utterances, videos=d.videos or "?",
             scale=scale)  # fmt: skip
    console.print(said, markup=False)
    table = Table()
    headings = (t("split"), t("utterances"), t("labelled"), t("videos"), t("hours"), t("words"), t("mean"))
    for name in (*headings, t("deviation"), "-3 … +3 (np.round)"):
        table.add_column(name, justify="left" if name == headings[0] else "right")
    for split, s in d.splits.items():
        hours = "–" if s.hours is None else f"{s.hours:.2f}"
        mean, std = ("–" if v is None else f"{v:.3f}" for v in (s.mean, s.std))
        classes = " ".join(map(str, s.classes))
        numbers = (s.utterances, s.labelled, s.videos or "?", hours, s.words, mean, std, classes)
        table.add_row(split or t("no split"), *map(str, numbers))
    console.print(table)
    if d.modalities:
        table = Table()
        names = (t("modality"), t("width"), t("utterances"), t("steps"), t("shortest"), t("middle"), t("longest"))
        for name in names:
            table.add_column(name, justify="left" if name == names[0] else "right")
        for modality, m in d.modalities.items():
            facts = (m.dim, m.utterances, m.steps, m.shortest, f"{m.median:g}", m.longest)
            table.add_row(t(modality), *map(str, facts))
        console.print(table)
    labels = ", ".join(f"{name} {n}" for name, n in d.labels.items())
    console.print(t("labels: {labels}", labels=labels), markup=False)
    console.print(t("digest of the split: {digest}", digest=d.digest), markup=False)
    for note in d.notes:
        console.print(f"- {note}", markup=False)
