"""The steps of every utterance, cut out of whole videos: word by word, as they are, or averaged to one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trisent.data.csd.alignment import Pairs, average, overlaps
from trisent.data.csd.files import Csd, Doubles, Rows
from trisent.data.csd.utterances import Utterances
from trisent.data.dataset import Sequences
from trisent.i18n import t
from trisent.types import Floats, Modality

Align = Literal["words", "segments", "pooled"]

PAUSE = "sp"
"""What stands for a pause among the words."""
_TRIED = 100  # entries looked at to learn whether equal keys mean the same utterance


@dataclass(frozen=True, slots=True)
class Assembled:
    """What utterances consist of; `notes` a sentence each."""

    features: dict[Modality, Sequences]
    texts: tuple[str, ...]
    notes: tuple[str, ...]


def assemble(
    modalities: Mapping[Modality, Csd], words: Csd | None, utterances: Utterances, *, align: Align, from_start: bool
) -> Assembled:
    """Read the sequences video by video and cut out what belongs to utterances.

    Args:
        modalities: sequences of numbers.
        words: the sequence of words, for the texts, and for their intervals where text has no sequence.
        utterances: the intervals with labels.
        align: "words" has a step a word, in which the rows of sound and pictures are averaged, and which is masked
            where they have none; "segments" has the rows as they are; "pooled" averages all rows of an utterance.
        from_start: a step's time is the beginning of its interval, else the middle.

    Raises:
        DataError: a file is damaged.
    """
    timeline = modalities.get("text") or words
    sequences = {m: csd for m, csd in modalities.items() if csd is not timeline}
    everything = [csd for csd in (timeline, words, *sequences.values()) if csd is not None]
    keyed = {csd.path: _shares_keys(csd, utterances) for csd in everything}
    steps = {m: _Steps(csd.width) for m, csd in modalities.items()}
    broken = {csd.path: _Broken(csd.path.name) for csd in everything}
    texts: list[str] = []

    def place(csd: Csd, video: str, index: NDArray[np.int64]) -> tuple[Rows, Pairs]:
        found = _place(csd, utterances, video=video, index=index, keyed=keyed[csd.path])
        broken[csd.path].count(found[0].intervals)
        return found

    for video, index in utterances.by_video():
        spoken = place(words, video, index) if words else None
        texts += _texts(*spoken, count=len(index)) if spoken else [""] * len(index)
        spans = utterances.spans[index]
        line = None
        if timeline is words:
            line = spoken and _without_pauses(*spoken)
        elif timeline:
            line = place(timeline, video, index)
        for m, csd in modalities.items():
            rows, pairs = line if csd is timeline and line else place(csd, video, index)
            if align == "pooled":
                steps[m].add_means(rows, pairs, spans, from_start=from_start)
            elif align == "words" and line and csd is not timeline and not keyed[csd.path]:
                steps[m].add_by_word(rows, line[0].intervals, line[1], spans, from_start=from_start)
            else:
                steps[m].add(rows.values[pairs.row], pairs, spans, from_start=from_start)
    notes = []
    if align == "pooled":
        notes.append(t("all rows of an utterance are averaged to one step"))
    if align == "words" and timeline and not all(keyed[csd.path] for csd in sequences.values()):
        notes.append(t("sound and pictures are averaged over each word"))
    notes += [note for count in broken.values() for note in count.notes()]
    notes += [note for m, found in steps.items() for note in found.notes(m, utterances)]
    return Assembled({m: found.sequences() for m, found in steps.items()}, tuple(texts), tuple(notes))


def _place(
    csd: Csd, utterances: Utterances, *, video: str, index: NDArray[np.int64], keyed: bool
) -> tuple[Rows, Pairs]:
    """Read the rows of a video, and say which belong to which of its utterances, counted within the video."""
    if not keyed:
        rows = csd.video(video)
        return rows, overlaps(utterances.spans[index], rows.intervals)
    own = [(k, csd.entries[utterances.ids[i]]) for k, i in enumerate(index) if utterances.ids[i] in csd.entries]
    rows = csd.rows([entry for _, entry in own])
    reference = np.repeat(np.array([k for k, _ in own], np.int64), [entry.rows for _, entry in own])
    return rows, Pairs(reference, np.arange(len(reference)), rows.intervals)


def _shares_keys(csd: Csd, utterances: Utterances) -> bool:
    """Say whether the file's entries "video[k]" are the utterances of these ids: they are aligned already.

    Numbers alone prove nothing, since k counts words in what was aligned to words: the times must meet as well.
    """
    if not utterances.keyed or any(entry.number is None for entry in csd.entries.values()):
        return False
    both = [i for i, key in enumerate(utterances.ids) if key in csd.entries]
    tried = both[:: len(both) // _TRIED + 1]
    meet = 0
    for i in tried:
        rows = csd.rows([csd.entries[utterances.ids[i]]])
        order = np.argsort(rows.intervals[:, 0], kind="stable")
        meet += len(overlaps(utterances.spans[i : i + 1], rows.intervals[order]).row) > 0
    return 2 * meet > len(tried)


def _without_pauses(rows: Rows, pairs: Pairs) -> tuple[Rows, Pairs]:
    spoken = np.array([word not in ("", PAUSE) for word in rows.values[pairs.row]], np.bool_)
    return rows, Pairs(pairs.reference[spoken], pairs.row[spoken], pairs.shared[spoken])


def _texts(rows: Rows, pairs: Pairs, *, count: int) -> list[str]:
    texts: list[list[str]] = [[] for _ in range(count)]
    rows, pairs = _without_pauses(rows, pairs)
    for utterance, row in zip(pairs.reference, pairs.row, strict=True):
        texts[utterance].append(rows.values[row])
    return [" ".join(words) for words in texts]


@dataclass(slots=True)
class _Broken:
    """Counts intervals that cannot be; they stay where they are."""

    file: str
    rows: int = 0
    empty: int = 0
    backwards: int = 0
    early: int = 0
    unknown: int = 0

    def count(self, intervals: Doubles) -> None:
        start, end = intervals.T
        self.rows += len(start)
        self.empty += int((start == end).sum())
        self.backwards += int((start > end).sum())
        self.early += int((np.minimum(start, end) < 0).sum())
        self.unknown += int((~np.isfinite(intervals)).any(axis=1).sum())

    def notes(self) -> list[str]:
        if not self.empty + self.backwards + self.early + self.unknown:
            return []
        message = (
            "{file}: of {rows} intervals, {empty} have no length, {backwards} end before they begin, {early} begin "
            "before 0 and {unknown} are no numbers; they are kept as they are"
        )
        parts = {"empty": self.empty, "backwards": self.backwards, "early": self.early, "unknown": self.unknown}
        return [t(message, file=self.file, rows=self.rows, **parts)]


def broken_note(file: str, intervals: Doubles) -> list[str]:
    """Say how many intervals cannot be, if any."""
    count = _Broken(file)
    count.count(intervals)
    return count.notes()


@dataclass(slots=True)
class _Steps:
    """Collects the steps of one modality, video by video."""

    width: int
    values: list[Floats] = field(default_factory=list)
    times: list[Floats] = field(default_factory=list)
    masks: list[NDArray[np.bool_]] = field(default_factory=list)
    lengths: list[NDArray[np.int64]] = field(default_factory=list)

    def add(
        self,
        values: NDArray[np.floating],
        pairs: Pairs,
        spans: Doubles,
        *,
        from_start: bool,
        mask: NDArray[np.bool_] | None = None,
    ) -> None:
        """Add a step a pair."""
        at = pairs.shared[:, 0] if from_start else pairs.shared.mean(axis=1)
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite
            self.values.append(values.astype(np.float32))
        self.times.append((at - spans[pairs.reference, 0]).astype(np.float32))
        self.masks.append(np.ones(len(values), np.bool_) if mask is None else mask)
        self.lengths.append(np.bincount(pairs.reference, minlength=len(spans)))

    def add_by_word(self, rows: Rows, words: Doubles, pairs: Pairs, spans: Doubles, *, from_start: bool) -> None:
        """Add a step a word: the average of the rows that belong to it."""
        needed, place = np.unique(pairs.row, return_inverse=True)
        means, there = average(rows.values, overlaps(words[needed], rows.intervals), references=len(needed))
        self.add(means[place], pairs, spans, from_start=from_start, mask=there[place])

    def add_means(self, rows: Rows, pairs: Pairs, spans: Doubles, *, from_start: bool) -> None:
        """Add a step an utterance that has rows: their average."""
        means, there = average(rows.values, pairs, references=len(spans))
        begins = np.flatnonzero(np.diff(pairs.reference, prepend=-1))
        first = np.minimum.reduceat(pairs.shared[:, 0], begins) if len(begins) else np.zeros(0)
        last = np.maximum.reduceat(pairs.shared[:, 1], begins) if len(begins) else np.zeros(0)
        one = Pairs(np.flatnonzero(there), np.arange(len(begins)), np.stack([first, last], axis=1))
        self.add(means[there], one, spans, from_start=from_start)

    def sequences(self) -> Sequences:
        """Lay everything end to end; the parts are given up one by one, as both together would be twice the memory."""
        offsets = np.cumsum(np.concatenate([np.zeros(1, np.int64), *self.lengths])).astype(np.int64)
        values, at = np.empty((int(offsets[-1]), self.width), np.float32), 0
        self.values.reverse()
        while self.values:
            part = self.values.pop()
            values[at : at + len(part)] = part
            at += len(part)
        empty = np.zeros(0, np.float32)
        times, mask = np.concatenate([empty, *self.times]), np.concatenate([empty.astype(np.bool_), *self.masks])
        return Sequences(values, offsets, times, mask)

    def notes(self, modality: Modality, utterances: Utterances) -> list[str]:
        lengths = np.concatenate([np.zeros(0, np.int64), *self.lengths])
        notes = []
        if len(none := np.flatnonzero(lengths == 0)):
            ids = ", ".join(utterances.ids[i] for i in none[:5])
            message = "{modality}: {n} utterances have nothing at their time ({ids})"
            notes.append(t(message, modality=t(modality), n=len(none), ids=ids))
        if hidden := sum(int((~mask).sum()) for mask in self.masks):
            message = "{modality}: {n} of {total} words have nothing at their time; these steps are masked"
            notes.append(t(message, modality=t(modality), n=hidden, total=int(lengths.sum())))
        return notes
