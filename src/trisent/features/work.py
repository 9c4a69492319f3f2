"""The work of an extraction as data: sources, and the jobs they are cut into."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from trisent.types import MODALITIES, Modality, Utterance


@dataclass(frozen=True, slots=True)
class Source:
    """One media file and what is known of it.

    `utterances` is None when nobody knows them: then the file is listened to, and their ids begin with `id`. An
    utterance may end at infinity, which means at the end of the file. `splits` gives utterance id -> "train", "valid"
    or "test", where known. `sound` is False when the file was listened to and nobody speaks in it. Without `media`
    there is no file at `path`, which is the name of a video: the texts of the utterances are all there is.
    """

    path: Path
    utterances: tuple[Utterance, ...] | None
    id: str
    splits: Mapping[str, str] = field(default_factory=dict)
    sound: bool = True
    media: bool = True


@dataclass(frozen=True, slots=True)
class Piece:
    """Utterances of one file, in order of their beginning; `sound` and `media` as in the source."""

    path: Path
    utterances: tuple[Utterance, ...]
    sound: bool = True
    media: bool = True


@dataclass(frozen=True, slots=True)
class Job:
    """What one worker does at a time. Its result depends on nothing but the job and the settings."""

    pieces: tuple[Piece, ...]
    modalities: tuple[Modality, ...] = MODALITIES

    @property
    def utterances(self) -> tuple[Utterance, ...]:
        """All utterances, in the order of the pieces."""
        return tuple(u for piece in self.pieces for u in piece.utterances)

    def split(self) -> "list[Job]":
        """Cut into smaller jobs, a file each or, of one file, an utterance each; one utterance stays whole."""
        pieces = self.pieces
        if len(pieces) == 1:
            pieces = tuple(replace(p, utterances=(u,)) for p in pieces for u in p.utterances)
        return [Job((piece,), self.modalities) for piece in pieces]


def jobs_of(
    sources: Iterable[Source], wanted: Mapping[str, tuple[Modality, ...]], *, utterances_a_job: int
) -> Iterator[Job]:
    """Cut the utterances that `wanted` names into jobs, in the order of the sources.

    Long files are cut up, so that several workers share them; short ones are put together. A job holds utterances that
    want the same modalities.

    Args:
        sources: files whose utterances are known.
        wanted: utterance id -> the modalities to extract; what is not in it is left out.
        utterances_a_job: at most.
    """
    waiting: list[Piece] = []
    count, modalities = 0, MODALITIES
    for source in sources:
        chosen = [u for u in source.utterances or () if wanted.get(u.id)]
        chosen.sort(key=lambda u: (u.start, u.id))
        for wants, group in itertools.groupby(chosen, key=lambda u: wanted[u.id]):
            same = tuple(group)
            for some in (same[i : i + utterances_a_job] for i in range(0, len(same), utterances_a_job)):
                if waiting and (count + len(some) > utterances_a_job or wants != modalities):
                    yield Job(tuple(waiting), modalities)
                    waiting, count = [], 0
                waiting.append(Piece(source.path, some, source.sound, source.media))
                count, modalities = count + len(some), wants
    if waiting:
        yield Job(tuple(waiting), modalities)
