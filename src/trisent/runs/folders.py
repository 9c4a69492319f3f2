"""What `trisent compare` takes for a run: prediction files, a folder of them, a run's folder, or one of its seeds'."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trisent.errors import DataError, UsageError
from trisent.evaluation.reading import SUFFIXES
from trisent.i18n import t

_SPLITS = ("valid", "test")


@dataclass(frozen=True, slots=True)
class Judgements:
    """A prediction file; `split` and `data`, the sha256 of the data set, when it lies in a run's folder."""

    path: Path
    split: str | None = None
    data: str | None = None


def judgements_of(name: str, *, split: str | None = None) -> list[Judgements]:
    """List the files of one run, one a seed.

    Args:
        name: a file, files with commas between them, a folder of files, a run's folder, or one with seed-0, seed-1 …
        split: which predictions of a run's folder; None: valid, or test when there is no other.

    Raises:
        DataError: a folder holds no predictions, or some of its seeds lack them.
        UsageError: the split is none.
    """
    if split is not None and split not in _SPLITS:
        message = "{name} must be one of {names}, got {value!r}"
        raise UsageError(t(message, name="split", names=", ".join(_SPLITS), value=split))
    path = Path(name)
    if not path.is_dir():
        files = [path] if path.exists() else [Path(part) for part in name.split(",") if part]
        return [Judgements(file) for file in files]
    seeds = sorted((p for p in path.glob("seed-*") if p.is_dir()), key=lambda p: (len(p.name), p.name))
    runs = [path] if (path / "bundle.json").is_file() or not seeds else seeds
    for wanted in [split] if split else _SPLITS:
        if found := [run for run in runs if _file(run, wanted).is_file()]:
            if lacking := [run for run in runs if run not in found]:
                message = "{folder} has no {file}. To make it: trisent evaluate {folder} DATA --split {split}"
                raise DataError(t(message, folder=lacking[0], file=_file(lacking[0], wanted).name, split=wanted))
            return [Judgements(_file(run, wanted), wanted, _data_of(run, wanted)) for run in runs]
    if (runs[0] / "bundle.json").is_file():
        message = "{folder} has no {file}. To make it: trisent evaluate {folder} DATA --split {split}"
        wanted = split or "valid"
        raise DataError(t(message, folder=runs[0], file=_file(runs[0], wanted).name, split=wanted))
    # A .json among prediction files is settings or scores, unless it is named itself.
    files = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.suffix.lower() != ".json")
    if not files:
        message = "{folder} holds no predictions ({suffixes})"
        raise DataError(t(message, folder=name, suffixes=", ".join(SUFFIXES)))
    return [Judgements(file) for file in files]


def refuse_other_data(runs: Sequence[Sequence[Judgements]]) -> None:
    """Refuse runs that were judged on different splits or data sets, as far as that is known.

    Raises:
        DataError: they were.
    """
    every = [file for run in runs for file in run]
    files = t(" If the utterances are the same and only features differ, name the files of predictions themselves.")
    for what, values, otherwise in (
        (t("split"), [(file, file.split) for file in every], ""),
        (t("data set (sha256)"), [(file, file.data and file.data[:12]) for file in every], files),
    ):
        known = [(file, value) for file, value in values if value]
        for file, value in known[1:]:
            if value != known[0][1]:
                message = (
                    "{path} was judged on another {what} than {first}: {got}, not {expected}. "
                    "Compare what was judged on one set."
                )
                first, expected = known[0]
                facts = {"path": file.path, "what": what, "first": first.path, "got": value, "expected": expected}
                raise DataError(t(message, **facts) + otherwise)


def _file(run: Path, split: str) -> Path:
    return run / f"predictions-{split}.csv"


def _data_of(run: Path, split: str) -> str | None:
    """Return the sha256 of the data set that was judged: as the evaluation says, else that of the training.

    Raises:
        DataError: the predictions are those of other weights than the run has now.
    """
    path, evaluation = _file(run, split), run / f"evaluation-{split}.json"
    written = _value(evaluation, "data", "predictions_sha256")
    data: str | None = _value(run / "bundle.json", "data", "sha256")
    if written == hashlib.sha256(path.read_bytes()).hexdigest():
        data = _value(evaluation, "data", "sha256")
        now = _value(run / "bundle.json", "files", "model.safetensors")
        if now and now != _value(evaluation, "bundle", "model_sha256"):
            message = (
                "{path} was made by other weights than the run has now. "
                "To make it again: trisent evaluate {folder} DATA --split {split}"
            )
            raise DataError(t(message, path=path, folder=run, split=split))
    return data


def _value(path: Path, *keys: str) -> Any:
    """Look up a value in a JSON file; None when it is not there."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        for key in keys:
            value = value[key]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return value
