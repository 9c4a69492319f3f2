"""Tables that people write: CSV or TSV, in the encodings and with the delimiters that spreadsheets choose."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trisent.errors import DataError
from trisent.files import read_text
from trisent.i18n import t

SUFFIXES = {".csv", ".tsv", ".xls", ".xlsx"}  # the last two are refused, with what to do instead
_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True)
class Line:
    """One record: the line it begins in, counted from 1, and its cells, stripped, by the word for the column."""

    number: int
    cells: Mapping[str, str]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table read.

    Attributes:
        headers: the file's own name of each column that was found, by our word for it.
        names: of all columns, as the file has them.
        decimal_comma: numbers may be written as 0,5, since no comma parts the fields.
    """

    path: Path
    headers: Mapping[str, str]
    names: tuple[str, ...]
    lines: tuple[Line, ...]
    decimal_comma: bool


def read_table(path: Path, words: Mapping[str, Sequence[str]], *, required: Sequence[str] = ()) -> Table:
    """Read the columns that `words` names.

    Args:
        path: a text with a header, in UTF-8, UTF-16 or GB 18030, its fields parted by comma, semicolon or tab.
        words: our word for a column -> the headers it may have, in lower case, the better ones first.
        required: columns that must be there.

    Raises:
        DataError: it cannot be read, its quotes do not end, a required column is missing, or there are no rows.
    """
    text = read_text(path)
    # The delimiter is the one that makes most of the header's names known, or else most names.
    delimiter = max(_DELIMITERS, key=lambda d: _known(_header(text, d), words))
    records = _records(path, text, delimiter)
    _, header = next(records, (1, []))
    names = [" ".join(name.split()).lower() for name in header]
    at = {
        word: names.index(found)
        for word, synonyms in words.items()
        if (found := next((s for s in synonyms if s in names), None)) is not None
    }
    for word in required:
        if word not in at:
            expected, got = " | ".join(words[word]), ", ".join(header) or "–"
            message = "{path}, line 1: expected the names of the columns, with one called {expected}; got {got}"
            raise DataError(t(message, path=path, expected=expected, got=got))
    lines = tuple(_line(number, cells, header, at) for number, cells in records if any(cells))
    if not lines:
        raise DataError(t("{path}: has a header and no rows", path=path))
    ours = {word: header[i] for word, i in at.items()}
    return Table(path, ours, tuple(header), lines, decimal_comma=delimiter != ",")


def headers(path: Path) -> set[str]:
    """Return the names of the columns of a table, in lower case.

    Raises:
        DataError: it cannot be read.
    """
    text = read_text(path)
    return {name.lower() for delimiter in _DELIMITERS for name in _header(text, delimiter)}


def _line(number: int, cells: list[str], header: Sequence[str], at: Mapping[str, int]) -> Line:
    fault = ""
    if any(cells[len(header) :]):
        message = "expected {expected} fields as in the header, got {got}; a text with {delimiters} belongs in quotes"
        fault = t(message, expected=len(header), got=len(cells), delimiters=", ; tab")
    cells += [""] * (len(header) - len(cells))
    return Line(number, {word: cells[i] for word, i in at.items()}, fault)


def _known(header: Sequence[str], words: Mapping[str, Sequence[str]]) -> tuple[int, int]:
    names = {name.lower() for name in header}
    return sum(any(s in names for s in synonyms) for synonyms in words.values()), len(header)


def _header(text: str, delimiter: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])]
    except csv.Error:
        return []


def _records(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line each record begins in and its cells; a quoted cell may hold line ends."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 1
    try:
        for cells in reader:
            yield number, [cell.strip() for cell in cells]
            number = reader.line_num + 1
    except csv.Error as error:
        message = (
            "{path}, line {line}: its quotes do not match ({reason}); inside a quoted text, write each quote twice"
        )
        raise DataError(t(message, path=path, line=number, reason=error)) from error
