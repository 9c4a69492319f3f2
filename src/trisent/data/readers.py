"""Every format of the field by name: which one a file or folder is, reading it, and writing it.

Adding a format adds a line to `FORMATS` and a file to `trisent.data.formats` with `recognises(path)`, `read(path)` and,
if it can be written, `write(dataset, path)`; and `written_ids(dataset)` if ids come back otherwise.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from trisent.data.dataset import Dataset
from trisent.data.safe_pickle import PICKLES
from trisent.data.safe_pickle import load as load_pickle
from trisent.errors import DataError, UsageError
from trisent.i18n import t


@dataclass(frozen=True, slots=True)
class Format:
    """A format: `module` of trisent.data.formats reads it, `shape` is how people know it, `writable` if it writes.

    What is not `usable` in a data set is left out when one that is `for_training` is written.
    """

    name: str
    module: str
    shape: str
    writable: bool = False
    for_training: bool = False


class _Reads(Protocol):
    def recognises(self, path: Path) -> bool: ...

    def read(self, path: Path) -> Dataset: ...


# Where two recognise a path the first has it, so what is more particular stands before what is less.
_ALL = (
    Format("store", "store", "store.json", writable=True),
    Format("npz", "npz", "train.npz, val.npz, test.npz", writable=True, for_training=True),
    Format("merbench", "merbench", "label.npz"),
    Format("csd", "csd", "*.csd", writable=True),
    Format("mmsa", "mmsa", "aligned_50.pkl, unaligned_50.pkl", writable=True, for_training=True),
    Format("mag", "mag", "mosi.pkl"),
    Format("multibench", "multibench", "mosei_raw.pkl"),
    Format("mult", "mult", "mosei_data.pkl, mosei_data_noalign.pkl"),
    Format("labelcsv", "labelcsv", "label.csv", writable=True),
    Format("tables", "tables", "*.csv, *.tsv, *.jsonl", writable=True),
)
FORMATS = {format.name: format for format in _ALL}


def recognise(path: Path) -> Format | None:
    """Return the format of a file or folder; None when it is none of `FORMATS`."""
    return next((format for format in FORMATS.values() if _module(format).recognises(path)), None)


def read(path: Path) -> Dataset:
    """Read a data set, whatever its format.

    Raises:
        DataError: there is nothing, or nothing that is recognised, or it is damaged.
    """
    format = recognise(path)
    if format is None:
        if path.is_file() and path.suffix.lower() in PICKLES:
            load_pickle(path)  # one that was cut off says so
        raise DataError(_unknown(path))
    return _module(format).read(path)


def write(dataset: Dataset, path: Path, *, format: str) -> tuple[str, ...]:
    """Write a data set to a place where nothing is; return what was lost, a sentence each.

    Raises:
        UsageError: the format is not known, or trisent does not write it.
        DataError: something is there already, or the data set cannot be written so.
    """
    writable = [name for name, known in FORMATS.items() if known.writable]
    if format not in writable:
        message = t("no format that can be written is called {name!r}; there are: {names}",
                    name=format, names=", ".join(writable))  # fmt: skip
        raise UsageError(message)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise DataError(t("{path} is there already, and nothing is overwritten. Name a new place.", path=path))
    module = importlib.import_module(f"trisent.data.formats.{FORMATS[format].module}")
    return cast(Callable[[Dataset, Path], tuple[str, ...]], module.write)(dataset, path)


def written_ids(dataset: Dataset, *, format: str) -> tuple[str, ...]:
    """Give the ids that reading finds again of what `write` writes: some formats name utterances in their own way."""
    own: Callable[[Dataset], tuple[str, ...]] | None = getattr(_module(FORMATS[format]), "written_ids", None)
    return dataset.ids if own is None else own(dataset)


def _module(format: Format) -> _Reads:
    return cast(_Reads, importlib.import_module(f"trisent.data.formats.{format.module}"))


def _unknown(path: Path) -> str:
    shapes = "; ".join(f"{format.name} ({format.shape})" for format in FORMATS.values())
    if not path.exists():
        message = "{path} is not there. Expected a data set: {shapes}. To see one: trisent data sample DIR"
        return t(message, path=path, shapes=shapes)
    found = path.name
    if path.is_dir():
        names = sorted(p.name for p in path.iterdir())
        found = ", ".join(names[:8]) + (", …" if len(names) > 8 else "") or t("nothing")
    return t(
        "{path} is no data set that trisent reads (found: {found}). Expected one of: {shapes}. "
        "To see one: trisent data sample DIR",
        path=path,
        found=found,
        shapes=shapes,
    )
