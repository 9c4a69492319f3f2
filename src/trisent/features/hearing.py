"""Files whose utterances nobody knows: listen to them, and remember what was heard."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from trisent.errors import MediaError, one_line
from trisent.features.folders import fault_of
from trisent.features.part import Failure
from trisent.features.pool import Crash, Stage, run_in_processes
from trisent.features.work import Source
from trisent.files import write_whole
from trisent.i18n import system_reason, t
from trisent.media.listening import listen
from trisent.media.probe import probe
from trisent.media.speech import Recogniser
from trisent.types import OnProgress, Utterance, Word
from trisent.weights import ensure

RECOGNISER = "whisper-tiny-en"
_FORMAT = 1  # raised when listening begins to give other utterances
_PLACES, _PIECE = 8, 16 * 1024  # spread over a file, whose bytes tell it from others
_SLOWEST = 10.0  # seconds of listening for a second of sound; a fifth of one is usual
_LEAST_S = 60.0


def fingerprint(path: Path) -> str:
    """Tell files apart by size and samples: they stay the same when copied, and change when replaced or completed.

    Raises:
        OSError: it cannot be read, or is no file: opening a pipe would wait for a writer for ever.
    """
    if reason := fault_of(path):
        raise OSError(reason)
    size = path.stat().st_size
    digest = hashlib.sha256(b"%d:" % size)
    with path.open("rb") as file:
        for k in range(_PLACES):  # the first piece begins the file, the last one ends it
            file.seek(k * max(0, size - _PIECE) // (_PLACES - 1))
            digest.update(file.read(_PIECE))
    return digest.hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Heard:
    """What listening to a file gave: its utterances, and whether anybody speaks in it."""

    utterances: tuple[Utterance, ...]
    sound: bool


@dataclass(frozen=True, slots=True)
class _Listening:
    """The work of a worker that listens; the recogniser loads when it is first needed."""

    folder: Path

    def start(self) -> Callable[[Source, Stage], Heard | str]:
        recogniser: list[Recogniser] = []

        def needed() -> Recogniser:
            if not recogniser:
                recogniser.append(Recogniser(self.folder))
            return recogniser[0]

        def do(source: Source, on_step: Stage) -> Heard | str:
            try:
                on_step(0, _LEAST_S)
                on_step(0, max(_LEAST_S, _SLOWEST * probe(source.path).duration_s))
                speech = listen(source.path, needed)
            except MediaError as error:
                return one_line(error)
            return Heard(speech.utterances, "audio" not in speech.missing)

        return do


def hear(
    sources: Sequence[Source], cache: Path, *, workers: int, on_progress: OnProgress
) -> tuple[list[Source], list[Failure]]:
    """Listen to the sources whose utterances are unknown; what was heard before is taken from `cache`.

    Args:
        sources: all of them.
        cache: a folder of this function's own.
        workers: processes.
        on_progress: hears of files listened to, and of bytes while the recogniser's weights are fetched.

    Returns:
        The sources in the same order, each with its utterances, and why others could not be listened to.

    Raises:
        WeightsError: the recogniser's weights cannot be had.
    """
    known: dict[int, Heard | str] = {}
    files: dict[int, Path] = {}
    for i, source in enumerate(sources):
        if source.utterances is None:
            try:
                files[i] = cache / f"{fingerprint(source.path)}.json"
            except OSError as error:
                known[i] = t("cannot be read ({reason})", reason=system_reason(error))
                continue
            if (before := _read(files[i])) is not None:
                known[i] = before
    todo = [i for i in files if i not in known]
    if todo:
        folder = ensure(RECOGNISER, on_progress=on_progress).folder
        for n, (i, heard) in enumerate(_listened(sources, todo, _Listening(folder), workers), start=1):
            known[i] = heard
            if isinstance(heard, Heard):
                _write(files[i], heard)
            on_progress(t("listening"), n, len(todo))
    told, failures = list[Source](), list[Failure]()
    for i, source in enumerate(sources):
        match known.get(i):
            case None:
                told.append(source)
            case Heard() as heard:
                told.append(_told(source, heard))
            case reason:
                failures.append(Failure(source.id, str(source.path), None, reason))
    return told, failures


def heard_before(source: Source, cache: Path) -> Source:
    """Give a source the utterances that were heard in it before; it comes back as it is when it was not listened to."""
    if source.utterances is not None:
        return source
    try:
        heard = _read(cache / f"{fingerprint(source.path)}.json")
    except OSError:  # its reader will say why
        return source
    return source if heard is None else _told(source, heard)


def _told(source: Source, heard: Heard) -> Source:
    own = tuple(replace(u, id=f"{source.id}$_${u.id}") for u in heard.utterances)
    return replace(source, utterances=own, sound=heard.sound)


def _listened(
    sources: Sequence[Source], todo: Sequence[int], work: _Listening, workers: int
) -> Iterator[tuple[int, Heard | str]]:
    numbers = {sources[i].path: i for i in todo}
    for source, heard in run_in_processes([sources[i] for i in todo], work, workers=min(workers, len(todo))):
        if isinstance(heard, Crash):
            heard = t("listening to it broke the worker ({reason})", reason=heard.reason)
        yield numbers[source.path], heard


def _write(path: Path, heard: Heard) -> None:
    document = {"format": _FORMAT, "sound": heard.sound, "utterances": [asdict(u) for u in heard.utterances]}
    write_whole(path.parent, {path.name: json.dumps(document, ensure_ascii=False).encode()})


def _read(path: Path) -> Heard | None:
    """Read what was heard before; None when it was not, or by an older trisent, or the file is damaged."""
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
        if document["format"] != _FORMAT:
            return None
        utterances = [
            Utterance(**{**u, "words": tuple(Word(**word) for word in u["words"])}) for u in document["utterances"]
        ]
        return Heard(tuple(utterances), bool(document["sound"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
