"""Anybody's prediction file: CSV, JSON, JSON lines or npz, with the usual names of columns."""

import csv
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trisent.errors import DataError
from trisent.evaluation.classes import SIMS_SCALE, like_sims
from trisent.evaluation.predictions import CLASSES, Numbers, Predictions, predictions_of
from trisent.files import read_text
from trisent.i18n import system_reason, t
from trisent.types import SENTIMENT_MAX

# what a column holds -> the names it goes by, all in lower case
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "prediction": (
        "prediction", "predictions", "predicted", "pred", "preds", "y_pred", "y_hat", "yhat", "output", "outputs",
        "sentiment",
    ),
    "label": (
        "label", "labels", "truth", "truths", "true", "y_true", "y", "gold", "target", "targets", "regression_labels",
        "ground_truth", "gt",
    ),
    "id": ("id", "ids", "utterance", "utterance_id", "segment_id", "clip"),
    "video": ("video", "videos", "video_id", "vid"),
}  # fmt: skip
PROBABILITIES = tuple(f"p{i}" for i in range(CLASSES))
_WHOLE = ("probabilities", "class_probabilities", "probs")  # one column that holds all seven
_CLIP = "clip_id"  # MMSA names an utterance by its video and the number of the clip
SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".npz")


@dataclass(frozen=True, slots=True)
class _Table:
    """Columns by name, and how to name a row when it is wrong."""

    path: Path
    columns: dict[str, Sequence[Any]]
    places: Sequence[str]
    decimal_comma: bool = False


def read_predictions(path: Path, *, prediction: str | None = None, label: str | None = None) -> Predictions:
    """Read predictions with their labels.

    Args:
        path: .csv or .tsv with a header, .json with a list of objects or an object of lists, .jsonl with an object a
            line, or .npz of arrays.
        prediction: the column of the predictions, when its name is not one of the usual.
        label: the column of the labels, likewise.

    Raises:
        DataError: the file cannot be read, a column is missing or ambiguous, or a value is not a finite number.
    """
    if path.is_dir():
        message = "{path} is a folder; name a file in it, such as the predictions-valid.csv of a run"
        raise DataError(t(message, path=path))
    if not path.is_file():
        raise DataError(t("{path}: no such file", path=path))
    readers = {
        ".csv": _read_csv, ".tsv": _read_csv, ".json": _read_json, ".jsonl": _read_jsonl, ".npz": _read_npz,
    }  # fmt: skip
    if path.suffix.lower() not in readers:
        message = "{path}: predictions are read from {expected}, not from {got!r}"
        raise DataError(t(message, path=path, expected=", ".join(SUFFIXES), got=path.suffix))
    table = readers[path.suffix.lower()](path)
    found = {"prediction": _column(table, "prediction", prediction), "label": _column(table, "label", label)}
    values = {what: _numbers(table, name) for what, name in found.items()}
    names = {what: _find(table, what) for what in ("id", "video")}
    n = len(values["label"])
    used = {*found.values(), *names.values(), *PROBABILITIES, *_WHOLE}
    try:
        return predictions_of(
            values["prediction"],
            values["label"],
            ids=_ids(table, names),
            videos=None if names["video"] is None else [str(v) for v in table.columns[names["video"]]],
            probabilities=_probabilities(table),
            stretch=SENTIMENT_MAX / SIMS_SCALE[1] if like_sims(np.asarray(values["label"], np.float64)) else 1.0,
            columns={k: tuple(map(str, v)) for k, v in table.columns.items() if k not in used and _is_column(v, n)},
        )
    except DataError as error:
        raise DataError(t("{path}: {reason}", path=path, reason=error)) from error


def _read_csv(path: Path) -> _Table:
    text = read_text(path)
    header = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=header.count)
    rows, places = [], []
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        names = [name.strip().lower() for name in next(reader, [])]
        for row in reader:
            if not row:
                continue
            if len(row) != len(names):
                message = "{path}: line {line} has {got} cells, the header has {n}"
                raise DataError(t(message, path=path, line=reader.line_num, got=len(row), n=len(names)))
            rows.append(row)
            places.append(t("line {line}", line=reader.line_num))
    except csv.Error as error:
        raise DataError(t("{path}: not a CSV file: {reason}", path=path, reason=error)) from error
    if len(set(names)) != len(names):
        raise DataError(t("{path}: two columns have one name: {names}", path=path, names=", ".join(names)))
    columns: dict[str, Sequence[Any]] = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    return _Table(path, columns, places, decimal_comma=delimiter != ",")


def _read_json(path: Path) -> _Table:
    try:
        document = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(t("{path}: not JSON: {reason}", path=path, reason=error)) from error
    if isinstance(document, list):
        return _of_rows(path, document, [t("index {index}", index=i) for i in range(len(document))])
    if not isinstance(document, dict) or not all(isinstance(cells, list) for cells in document.values()):
        message = "{path}: expected a list with an object an utterance, or an object with a list a column"
        raise DataError(t(message, path=path))
    longest = max(map(len, document.values()), default=0)
    columns = {name.strip().lower(): cells for name, cells in document.items()}
    return _Table(path, columns, [t("index {index}", index=i) for i in range(longest)])


def _read_jsonl(path: Path) -> _Table:
    rows, places = [], []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError as error:
                message = "{path}: line {line} is not a JSON object: {reason}"
                raise DataError(t(message, path=path, line=number, reason=error)) from error
            places.append(t("line {line}", line=number))
    return _of_rows(path, rows, places)


def _of_rows(path: Path, rows: Sequence[Any], places: Sequence[str]) -> _Table:
    for row, place in zip(rows, places, strict=True):
        if not isinstance(row, dict) or row.keys() != rows[0].keys():
            message = "{path}: {place} does not hold the same names as the first one: {got}"
            got = ", ".join(row) if isinstance(row, dict) else repr(row)
            raise DataError(t(message, path=path, place=place, got=got))
    names = list(rows[0]) if rows else []
    return _Table(path, {str(name).strip().lower(): [row[name] for row in rows] for name in names}, places)


def _read_npz(path: Path) -> _Table:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name.lower(): file[name] for name in file.files}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise DataError(
            t("{path}: not an npz file of plain arrays: {reason}", path=path, reason=system_reason(error))
        ) from error
    # [n, 1] is what a network with one output saves, [n, 1, 1] is how MulT and its like keep labels.
    flat = {name: a.reshape(-1) if a.size == len(a) else a for name, a in arrays.items() if a.ndim}
    # Names that were saved as bytes are text all the same.
    flat = {name: np.char.decode(a, "utf-8", "replace") if a.dtype.kind == "S" else a for name, a in flat.items()}
    longest = max((len(a) for a in flat.values()), default=0)
    return _Table(path, dict(flat), [t("index {index}", index=i) for i in range(longest)])


def _is_column(values: Sequence[Any], n: int) -> bool:
    """Tell whether there is one value an utterance: an npz may also hold features, or a list of class names."""
    return len(values) == n and getattr(values, "ndim", 1) == 1


def _find(table: _Table, what: str) -> str | None:
    found = [name for name in SYNONYMS[what] if name in table.columns]
    if what in found and what in ("id", "video"):
        return what  # beside an id, "utterance" or "clip" is what was said or shown
    if len(found) > 1 and what in ("prediction", "label"):
        message = "{path}: which of {found} is the {what}? Say it: --{what} NAME, or remove the others."
        raise DataError(t(message, path=table.path, found=", ".join(found), what=what))
    if len(found) > 1:
        message = "{path}: which of {found} is the {what}? Rename or remove the others."
        raise DataError(t(message, path=table.path, found=", ".join(found), what=what))
    return found[0] if found else None


def _column(table: _Table, what: str, asked: str | None) -> str:
    name = asked.strip().lower() if asked else _find(table, what)
    if name is None or name not in table.columns:
        message = (
            "{path}: no column {expected}; there are {got}. Rename it, or tell trisent score its name: --{what} NAME."
        )
        expected = asked or t("{first} (or {others})", first=SYNONYMS[what][0], others=", ".join(SYNONYMS[what][1:]))
        got = ", ".join(table.columns) or "-"
        raise DataError(t(message, path=table.path, expected=expected, got=got, what=what))
    return name


def _numbers(table: _Table, name: str) -> Numbers:
    cells = table.columns[name]
    numbers = np.empty(len(cells), np.float64)
    for i, given in enumerate(cells):
        cell = given
        while isinstance(cell, list) and len(cell) == 1:  # [0.5] is what a network with one output says of an utterance
            cell = cell[0]
        try:
            if isinstance(cell, bool):
                raise ValueError  # True is no sentiment, though Python takes it for 1
            numbers[i] = float(cell.replace(",", ".") if table.decimal_comma else cell)
        except (TypeError, ValueError):
            numbers[i] = np.nan
        if not np.isfinite(numbers[i]):
            message = "{path}: {place}: {name} is {got!r}, not a finite number"
            got = cell if isinstance(cell, str) else str(cell)
            raise DataError(t(message, path=table.path, place=table.places[i], name=name, got=got))
    return numbers


def _ids(table: _Table, names: Mapping[str, str | None]) -> list[str] | None:
    if names["id"] is not None:
        return [str(v) for v in table.columns[names["id"]]]
    if names["video"] is not None and _CLIP in table.columns:
        pairs = zip(table.columns[names["video"]], table.columns[_CLIP], strict=True)
        return [f"{video}$_${clip}" for video, clip in pairs]
    return None


def _probabilities(table: _Table) -> Numbers | None:
    there = [name for name in PROBABILITIES if name in table.columns]
    if len(there) == CLASSES:
        return np.stack([_numbers(table, name) for name in PROBABILITIES], axis=1)
    if there:
        message = "{path}: class probabilities need all of {expected}; there are only {got}"
        raise DataError(t(message, path=table.path, expected=", ".join(PROBABILITIES), got=", ".join(there)))
    for name in _WHOLE:
        if name in table.columns:
            try:
                return np.array(table.columns[name], np.float64)
            except (TypeError, ValueError) as error:
                message = "{path}: {name} must hold {n} numbers an utterance"
                raise DataError(t(message, path=table.path, name=name, n=CLASSES)) from error
    return None
