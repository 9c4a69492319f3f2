"""What people point at, to sources: files, folders of them, the field's label.csv layout, and tables of stretches."""

import itertools
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from trisent.errors import DataError
from trisent.features.folders import fault_of, media_below
from trisent.features.layouts import LABELS, RAW, Draft, labelled_clips, stretches
from trisent.features.part import Failure
from trisent.features.tables import SUFFIXES
from trisent.features.work import Source
from trisent.features.written import is_written, written
from trisent.i18n import t
from trisent.types import Utterance


@dataclass(frozen=True, slots=True)
class Found:
    """Sources in a fixed order, and what cannot even be tried, with the reason."""

    sources: tuple[Source, ...]
    failures: tuple[Failure, ...]


def find_sources(paths: Sequence[Path]) -> Found:
    """Find the media files that `paths` mean, and what is known of their utterances.

    A path is a media file; a table; a folder with label.csv, beside Raw or without any clips; or any other folder, for
    what is below it. A file that a table describes is not listened to, even if a folder brings it as well.

    Raises:
        DataError: a table is unusable as a whole, or there is nothing at all.
    """
    drafts: dict[str, list[Draft]] = {}
    failures: list[Failure] = []
    for path in paths:
        found, faults = _look(path)
        failures += faults
        for draft in found:
            same = os.path.realpath(draft.path) if draft.media else f"text of {draft.path}"
            drafts.setdefault(same, []).append(draft)
    if not drafts and not failures:
        message = "no video or sound in {paths}; name files, a folder of them, or a table"
        raise DataError(t(message, paths=", ".join(map(str, paths))))
    merged = [_merged(same) for same in drafts.values()]
    sources: list[Source] = []
    unusable: list[_Unusable] = []
    seen: dict[str, Path] = {}
    for draft, id in zip(merged, _unique_names(merged), strict=True):
        source, bad = _source(draft, id, seen)
        unusable += bad
        if source is not None:
            sources.append(source)
    # A row that says an id once more must not pass for the one that was there before.
    named = set(seen)
    for row in unusable:
        failures.append(Failure(f"{row.id} ({row.where})" if row.id in named else row.id, row.path, None, row.reason))
        named.add(row.id)
    return Found(tuple(sources), tuple(failures))


def _look(path: Path) -> tuple[list[Draft], list[Failure]]:
    if not path.is_dir():
        if path.name.lower() == LABELS and (raw := _inside(path.parent, RAW)):
            return labelled_clips(path, raw), []
        if path.is_file() and is_written(path):
            return written(path), []
        if path.suffix.lower() in SUFFIXES:
            return stretches(path), []
        if reason := fault_of(path):
            return [], [Failure(path.stem, str(path), None, reason)]
        return [Draft(path, (path.stem, path.name, *_longer(path)))], []
    if labels := _inside(path, LABELS):
        raw = _inside(path, RAW)
        return (labelled_clips(labels, raw) if raw else written(labels)), []
    found, failures = media_below(path)
    return [Draft(file, _names_in(path, file)) for file in found], failures


def _inside(folder: Path, name: str) -> Path | None:
    """Find an entry of a folder whatever its case."""
    with suppress(OSError):  # said by whoever looks for media in it
        return next((p for p in sorted(folder.iterdir()) if p.name.lower() == name), None)
    return None


def _names_in(folder: Path, file: Path) -> tuple[str, ...]:
    # The whole way from the folder, so that a file added later cannot change what another one is called.
    inside = file.relative_to(folder)
    return (inside.with_suffix("").as_posix(), inside.as_posix(), *_longer(file))


def _longer(path: Path) -> tuple[str, ...]:
    parts = path.absolute().parts
    return tuple("/".join(parts[-n:]) for n in range(2, len(parts) + 1))


def _merged(same: Sequence[Draft]) -> Draft:
    """Put together what several arguments say of one file."""
    known = [draft for draft in same if draft.rows is not None]
    if not known:
        return same[0]
    rows = tuple(itertools.chain.from_iterable(draft.rows or () for draft in known))
    return replace(known[0], rows=rows)


def _unique_names(drafts: Sequence[Draft]) -> list[str]:
    """Give each draft the first of its names that is its own; of equal ones, all take their next."""
    at = [0] * len(drafts)
    while True:
        names = [draft.names[min(n, len(draft.names) - 1)] for draft, n in zip(drafts, at, strict=True)]
        counts = Counter(names)
        stuck = [i for i, name in enumerate(names) if counts[name] > 1 and at[i] < len(drafts[i].names) - 1]
        if not stuck:
            return names
        for i in stuck:
            at[i] += 1


@dataclass(frozen=True, slots=True)
class _Unusable:
    """A row with a fault; `where` tells it from others of its id."""

    id: str
    where: str
    path: str
    reason: str


def _source(draft: Draft, id: str, seen: dict[str, Path]) -> tuple[Source | None, list[_Unusable]]:
    """Make a source, and tell the rows that have a fault, or an id that was `seen` before."""
    if draft.rows is None:
        return Source(draft.path, None, id), []
    utterances: list[Utterance] = []
    unusable: list[_Unusable] = []
    splits: dict[str, str] = {}
    for k, row in enumerate(draft.rows):
        # Rows with faults are counted too: once they are mended, the others are called as before.
        own = row.id or f"{id}$_${k}"
        fault = row.fault
        if not fault and own in seen:
            fault = t("the id {id} comes twice, first for {path}; each utterance needs its own", id=own, path=seen[own])
        if fault:
            unusable.append(_Unusable(own, row.where, str(draft.path), fault))
            continue
        seen[own] = draft.path
        utterances.append(Utterance(own, row.start, row.end, row.text, sentiment=row.label))
        if row.split:
            splits[own] = row.split
    utterances.sort(key=lambda u: (u.start, u.id))
    source = Source(draft.path, tuple(utterances), id, splits, media=draft.media) if utterances else None
    return source, unusable
