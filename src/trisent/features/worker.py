"""What one worker does with a job: decode its clips, then run the extractors over them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trisent.errors import DataError, MediaError, one_line
from trisent.extractors.base import Extractor
from trisent.features.part import Failure, Part, check_storable
from trisent.features.pool import Stage, no_step
from trisent.features.rate import at_rate
from trisent.features.settings import ExtractSettings
from trisent.features.work import Job, Piece
from trisent.i18n import t
from trisent.media.clips import Pictures, read_clips
from trisent.types import Clip, Features, Modality

_log = logging.getLogger(__name__)

# A decoder that takes longer than this for a file has lost its way: real ones read some MB a second and core. A file of
# 100 kbit/s still has a tenth of its length.
_DECODE_S, _DECODE_BYTES_A_S = 15.0, 125_000
ENCODE_S = 1800.0  # for the networks, on the slowest of machines
ENCODING = -1  # the step of a task after its last piece is decoded


@dataclass(frozen=True, slots=True)
class Decoded:
    """The clips of a job, and why the others could not be had."""

    clips: tuple[Clip, ...]
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Wants:
    """What the extractors need of a file: its sound, its pictures, or neither."""

    sound: bool
    pictures: Pictures | None


def wants_of(extractors: Mapping[Modality, Extractor[Any]], settings: ExtractSettings) -> Wants:
    """Ask the extractors what they look at."""
    pictures = None
    if "video" in extractors:
        pictures = replace(getattr(extractors["video"], "pictures", Pictures()), fps=settings.fps)
    return Wants("audio" in extractors, pictures)


def decode(job: Job, wants: Wants, *, on_step: Stage = no_step) -> Decoded:
    """Read the clips of a job; what cannot be read is a failure, and the rest is there.

    Args:
        job: which utterances of which files.
        wants: what of them.
        on_step: hears the number of each piece begun, and how long it may take at most.
    """
    clips: list[Clip] = []
    failures: list[Failure] = []
    sound = wants.sound and "audio" in job.modalities
    pictures = wants.pictures if "video" in job.modalities else None
    for number, piece in enumerate(job.pieces):
        on_step(number, decode_limit_s(piece))
        if not piece.media:
            clips += [Clip(u, None, None) for u in piece.utterances]
            continue
        left = {u.id: None for u in piece.utterances}
        reason = ""
        try:
            for clip in read_clips(
                piece.path, piece.utterances, sound=sound and piece.sound, pictures=pictures, threads=1
            ):
                nothing_there = clip.waveform is None and clip.frames is None
                if nothing_there and ((sound and piece.sound) or pictures is not None):
                    why = t("the file has neither sound nor pictures from {start:.1f} s on", start=clip.utterance.start)
                    failures.append(Failure(clip.utterance.id, str(piece.path), None, why))
                else:
                    clips.append(clip)
                del left[clip.utterance.id]
        except MediaError as error:
            reason = one_line(error)
        failures += [Failure(i, str(piece.path), None, reason or t("no clip came of it")) for i in left]
    order = {u.id: k for k, u in enumerate(job.utterances)}
    clips.sort(key=lambda clip: order[clip.utterance.id])
    failures.sort(key=lambda failure: order[failure.id])
    return Decoded(tuple(clips), tuple(failures))


def decode_limit_s(piece: Piece) -> float:
    """Say after how many seconds the decoding of a piece has certainly lost its way."""
    try:
        return _DECODE_S + piece.path.stat().st_size / _DECODE_BYTES_A_S
    except OSError:
        return _DECODE_S


class Encoder:
    """Runs the extractors over decoded clips.

    Args:
        extractors: by modality.
        settings: how features are stored, and at what rate.
    """

    def __init__(self, extractors: Mapping[Modality, Extractor[Any]], settings: ExtractSettings) -> None:
        self._extractors, self._settings = extractors, settings

    def encode(self, job: Job, decoded: Decoded) -> Part:
        """Turn clips into features; utterances whose features cannot be had, or stored, are failures."""
        failures: list[Failure] = []
        try:
            features = self._encode(job, decoded.clips)
        except Exception:  # a network's: one odd clip must not take the others with it
            _log.debug("encoding failed", exc_info=True)
            features, failures = self._one_by_one(job, decoded.clips)
            if failures and len(failures) == len(decoded.clips) > 1:
                raise  # it is not the clips
        order = {u.id: k for k, u in enumerate(job.utterances)}
        everything = sorted([*decoded.failures, *failures], key=lambda failure: order[failure.id])
        failed = {failure.id for failure in failures}
        ends = {c.utterance.id: c.utterance.end for c in decoded.clips if c.utterance.id not in failed}
        return Part(features, tuple(everything), ends)

    def _encode(self, job: Job, clips: Sequence[Clip]) -> dict[Modality, dict[str, Features]]:
        features: dict[Modality, dict[str, Features]] = {}
        for modality, extractor in self._extractors.items():
            if modality in job.modalities:
                features[modality] = {}
                rate_hz = None if modality == "text" else self._settings.rate_hz
                for clip, one in zip(clips, features_of(clips, modality, extractor, rate_hz=rate_hz), strict=True):
                    check_storable(one, self._settings.dtype, utterance=clip.utterance.id, modality=modality)
                    features[modality][clip.utterance.id] = one
        return features

    def _one_by_one(self, job: Job, clips: Sequence[Clip]) -> tuple[dict[Modality, dict[str, Features]], list[Failure]]:
        features: dict[Modality, dict[str, Features]] = {m: {} for m in self._extractors if m in job.modalities}
        failures: list[Failure] = []
        paths = {u.id: str(piece.path) for piece in job.pieces for u in piece.utterances}
        for clip in clips:
            try:
                for modality, one in self._encode(job, [clip]).items():
                    features[modality] |= one
            except Exception as error:
                name = clip.utterance.id
                reason = (
                    one_line(error) if isinstance(error, DataError) else f"{type(error).__name__}: {one_line(error)}"
                )
                failures.append(Failure(name, paths[name], None, reason))
        return features, failures


def features_of(
    clips: Sequence[Clip], modality: Modality, extractor: Extractor[Any], *, rate_hz: float | None = None
) -> list[Features]:
    """Extract one modality of clips; their times count from the beginning of the utterance.

    A clip that lacks the modality gives no steps; `rate_hz` averages them into so many a second. Training and
    prediction both come through here.
    """
    raws = {i: raw for i, clip in enumerate(clips) if (raw := clip.raw(modality)) is not None}
    found = dict(zip(raws, extractor.extract(list(raws.values())), strict=True)) if raws else {}
    nothing = Features(np.zeros((0, extractor.dim), np.float32), np.zeros(0, np.float32), np.zeros(0, np.bool_))
    features = [found.get(i, nothing) for i in range(len(clips))]
    if rate_hz is None:
        return features
    lengths_s = (clip.utterance.end - clip.utterance.start for clip in clips)
    return [at_rate(one, rate_hz, span=(0.0, length_s)) for one, length_s in zip(features, lengths_s, strict=True)]
