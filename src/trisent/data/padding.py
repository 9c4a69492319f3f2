"""Padded arrays into sequences: where each utterance begins and ends in its rows of zeros."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trisent.data.dataset import Sequences
from trisent.i18n import t
from trisent.types import Modality

Piece = NDArray[Any]  # one utterance [steps, dim] with its padding, of any type of number
Spans = NDArray[np.int64]  # first step and the one after the last [utterances, 2]


@dataclass(frozen=True, slots=True)
class Stored:
    """Lengths that a file holds [utterances], and what it calls them."""

    lengths: NDArray[np.int64]
    said: str


def unpad(
    pieces: Mapping[Modality, Sequence[Piece]], stored: Mapping[Modality, Stored]
) -> tuple[dict[Modality, Sequences], tuple[str, ...]]:
    """Cut the padding off; return the sequences, and how that was done, a sentence a modality.

    Where lengths are stored they hold, unless rows that are not zero lie beyond them. Otherwise rows of zeros are
    padding, in front or behind, wherever most utterances have theirs; modalities whose steps belong together are cut
    together. NaN and infinity are not zero.

    Args:
        pieces: the utterances of each modality; all have the same width.
        stored: lengths of the modalities that have them.
    """
    found = {m: _filled(utterances) for m, utterances in pieces.items()}
    steps = {m: np.array([len(p) for p in utterances], np.int64) for m, utterances in pieces.items()}
    spans, notes = {}, []
    for modality in pieces:
        if modality in stored:
            spans[modality], note = _by_lengths(found[modality], steps[modality], stored[modality].lengths)
            said = stored[modality].said
            notes.append(t("{modality}: lengths are those of {said}{but}", modality=modality, said=said, but=note))
    bare = {m: f for m, f in found.items() if m not in spans}
    aligned = len(bare) > 1 and all(np.array_equal(steps[m], steps[next(iter(bare))]) for m in bare)
    for modality, own in bare.items():
        spans[modality], note = _by_zeros(_union(list(bare.values())) if aligned else own, steps[modality])
        if note:
            notes.append(f"{modality}: {note}")
    return {m: _cut(utterances, spans[m]) for m, utterances in pieces.items()}, tuple(notes)


def end_to_end(pieces: Sequence[Piece]) -> Sequences:
    """Make sequences of utterances that have no padding."""
    return _cut(pieces, np.array([[0, len(values)] for values in pieces], np.int64).reshape(-1, 2))


def _filled(utterances: Sequence[Piece]) -> Spans:
    """Find the first row that is not zero, and the one after the last; both 0 where all are."""
    spans = np.zeros((len(utterances), 2), np.int64)
    for span, values in zip(spans, utterances, strict=True):
        rows = np.flatnonzero((values != 0).any(axis=1))
        if len(rows):
            span[:] = rows[0], rows[-1] + 1
    return spans


def _by_lengths(filled: Spans, steps: NDArray[np.int64], lengths: NDArray[np.int64]) -> tuple[Spans, str]:
    longer = lengths > steps
    lengths = np.clip(lengths, 0, steps)
    begin, end = filled[:, 0], filled[:, 1]
    front = (end > lengths) & (begin >= steps - lengths)
    beyond = (end > lengths) & ~front
    spans = np.stack([np.where(front, steps - lengths, 0), np.where(front, steps, np.where(beyond, end, lengths))], 1)
    note = ""
    if longer.any():
        note += t("; {count} utterances have fewer rows than that", count=int(longer.sum()))
    if front.any():
        note += t("; {count} utterances are padded in front", count=int(front.sum()))
    if beyond.any():
        note += t("; {count} utterances have rows that are not zero beyond them, which are kept",
                  count=int(beyond.sum()))  # fmt: skip
    return spans, note


def _union(all_filled: Sequence[Spans]) -> Spans:
    there = np.stack([f[:, 1] > 0 for f in all_filled])
    begin = np.where(there, np.stack([f[:, 0] for f in all_filled]), np.iinfo(np.int64).max).min(axis=0)
    end = np.stack([f[:, 1] for f in all_filled]).max(axis=0)
    return np.stack([np.where(end > 0, begin, 0), end], 1)


def _by_zeros(filled: Spans, steps: NDArray[np.int64]) -> tuple[Spans, str]:
    begin, end = filled[:, 0], filled[:, 1]
    empty, cut_front, cut_end = end == 0, (begin > 0) & (end == steps), (begin == 0) & (end > 0) & (end < steps)
    if cut_front.sum() > cut_end.sum():
        spans = np.stack([np.where(empty, steps, begin), steps], 1)
        note = t("lengths are not stored; rows of zeros in front count as padding")
    else:
        spans = np.stack([np.zeros_like(end), end], 1)
        note = t("lengths are not stored; rows of zeros at the end count as padding")
    return spans, note if (spans[:, 1] - spans[:, 0] < steps).any() else ""


def _cut(utterances: Sequence[Piece], spans: Spans) -> Sequences:
    """Copy the steps that count end to end, and nothing else: padding may be most of a file."""
    offsets = np.concatenate([[0], np.cumsum(spans[:, 1] - spans[:, 0])]).astype(np.int64)
    half = len(utterances) > 0 and all(values.dtype == np.float16 for values in utterances)
    width = utterances[0].shape[1] if len(utterances) else 0
    rows = np.empty((offsets[-1], width), np.float16 if half else np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # a float64 beyond float32 becomes inf, for the audit to find
        for i, (begin, end) in enumerate(spans):
            rows[offsets[i] : offsets[i + 1]] = utterances[i][begin:end]
    n = len(rows)
    return Sequences(rows, offsets, np.full(n, np.nan, np.float32), np.ones(n, np.bool_))
