"""Tables of text and label: CSV, TSV or JSON lines, as most people keep data of their own.

A row is an utterance. Of its columns text or label must be there; id, video, clip, start, end, split, label_T,
label_A, label_V and the six emotions may be. Headers may be called otherwise: see `trisent.data.rows.WORDS`.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trisent.data.dataset import Dataset
from trisent.data.resplit import video_in
from trisent.data.rows import LABEL_COLUMNS, WORDS, Row, assemble, lost_blanks, lost_in_tables, written
from trisent.errors import DataError
from trisent.features.tables import SUFFIXES, read_table
from trisent.files import read_text, table_bytes, write_whole
from trisent.i18n import t

_JSON = {".jsonl", ".ndjson"}
_WORDS = {
    "id": ("id", "utterance_id", "name"),
    "video": ("video", "video_id", "vid", "path", "file", "video_path", "file_path", "filename"),
    "clip": ("clip", "clip_id", "cid"),
    **WORDS,
}


def recognises(path: Path) -> bool:
    """Say whether a file is called as a table is."""
    return path.suffix.lower() in {*SUFFIXES, *_JSON} and path.is_file()


def read(path: Path) -> Dataset:
    """Read a table; it has no features.

    Raises:
        DataError: it cannot be read, or has neither texts nor labels.
    """
    if path.suffix.lower() in _JSON:
        lines, there = _json_lines(path)
        columns, comma = {word for _, cells, _ in lines for word in cells}, False
    else:
        table = read_table(path, _WORDS)
        lines = [(f"{path.name}:{line.number}", line.cells, line.fault) for line in table.lines]
        columns, there, comma = set(table.headers), table.names, table.decimal_comma
    if not columns & {"text", "label"}:
        message = "{path}: expected a column called text or label ({words}); found: {found}"
        words = ", ".join((*_WORDS["text"], *_WORDS["label"]))
        raise DataError(t(message, path=path, words=words, found=", ".join(there)[:200] or t("nothing")))
    rows = [_row(k, *line, stem=path.stem) for k, line in enumerate(lines)]
    return assemble(path.stem, rows, format="tables", decimal_comma=comma)


def _row(k: int, where: str, cells: Mapping[str, str], fault: str, *, stem: str) -> Row:
    """Name an utterance: its own id, its video and clip, or the table and the number of the row."""
    video, clip = cells.get("video", ""), cells.get("clip", "")
    id = cells.get("id", "") or (f"{video}$_${clip}" if video and clip else f"{stem}/{k}")
    return Row(where, id, video or video_in(id), cells, fault)


def _json_lines(path: Path) -> tuple[list[tuple[str, Mapping[str, str], str]], tuple[str, ...]]:
    """Read the objects: where each is, its cells by our word for them, no fault; and the keys of all."""
    lines: list[tuple[str, Mapping[str, str], str]] = []
    keys: dict[str, None] = {}
    number = 0
    try:
        for number, line in enumerate(read_text(path).split("\n"), start=1):
            if line.strip():
                values = json.loads(line)
                if not isinstance(values, dict):
                    raise ValueError(t("expected an object"))
                keys |= dict.fromkeys(values)
                named = {key.lower(): _cell(value) for key, value in values.items()}
                found = {word: next((named[s] for s in own if s in named), None) for word, own in _WORDS.items()}
                lines.append((f"{path.name}:{number}", {w: cell for w, cell in found.items() if cell is not None}, ""))
    except (ValueError, RecursionError) as error:
        message = "{path}, line {line}: cannot be read ({reason}); expected a JSON object a line"
        raise DataError(t(message, path=path, line=number, reason=error)) from error
    if not lines:
        raise DataError(t("{path}: has no rows", path=path))
    return lines, tuple(keys)


def _cell(value: Any) -> str:  # a JSON value of any kind
    return "" if value is None else str(value)


def write(dataset: Dataset, path: Path) -> tuple[str, ...]:
    """Write CSV, TSV or JSON lines, as the suffix of `path` says; return what was lost.

    Raises:
        DataError: it has another suffix.
    """
    suffix = path.suffix.lower()
    if suffix not in {".csv", ".tsv", *_JSON}:
        raise DataError(t("{path}: name a table .csv, .tsv or .jsonl", path=path))
    columns = _columns(dataset)
    if suffix in _JSON:
        lines = [{name: _value(column[i]) for name, column in columns.items()} for i in range(len(dataset))]
        content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    else:
        rows = [[_text(column[i]) for column in columns.values()] for i in range(len(dataset))]
        content = table_bytes([[*columns], *rows], delimiter="\t" if suffix == ".tsv" else ",")
    write_whole(path.parent, {path.name: content})
    lost = [*lost_in_tables(dataset)]
    if suffix not in _JSON:
        lost += lost_blanks(dataset.texts, dataset.ids)
    return tuple(lost)


def _columns(dataset: Dataset) -> dict[str, Any]:  # of texts or float32, each [utterances]
    columns: dict[str, Any] = {"id": dataset.ids, "split": dataset.splits, "text": dataset.texts}
    if any(dataset.videos):
        columns["video"] = dataset.videos
    if np.isfinite(dataset.spans).any():
        columns |= {"start": dataset.spans[:, 0], "end": dataset.spans[:, 1]}
    return columns | {LABEL_COLUMNS[name]: values for name, values in dataset.labels.items() if name in LABEL_COLUMNS}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else written(value)


def _value(value: Any) -> str | float | None:
    if isinstance(value, str):
        return value
    return None if math.isnan(value) else float(written(value))
