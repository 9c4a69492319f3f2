"""What a feature store says of itself: tracks, utterances and failures, as JSON files beside the shards.

store.json          format, tracks with their shards and digests, digests of the other files; replaced last
utterances.jsonl    a line an utterance, in the store's order
words.jsonl         words with times, of the utterances that have them
failures.jsonl      the ledger
text/ audio/ video/ shards
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from trisent import __version__
from trisent.errors import DataError
from trisent.features.part import FORMAT, Dtype, Failure, damaged
from trisent.features.shards import MappedShard, Shard
from trisent.files import json_bytes, write_whole
from trisent.i18n import t
from trisent.types import MODALITIES, Modality, Provenance, Utterance, Word

_INDEX, UTTERANCES, WORDS, FAILURES = "store.json", "utterances.jsonl", "words.jsonl", "failures.jsonl"


@dataclass(frozen=True, slots=True)
class Track:
    """One modality extracted in one way.

    Attributes:
        key: names the way: tracks with equal keys may share shards.
        provenance: of the features.
        dim: width of the values.
        dtype: how values are stored.
        settings: what else the way depends on, as JSON values.
        shards: where the features are, in order.
    """

    key: str
    provenance: Provenance
    dim: int
    dtype: Dtype
    settings: Mapping[str, Any]
    shards: tuple[Shard, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """An utterance of a store: the file it is from, its split ("" unknown), and what tells it from a changed one."""

    utterance: Utterance
    path: str
    split: str = ""
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Index:
    """What store.json says: tracks by modality, and the sha256 of the other files."""

    tracks: dict[Modality, Track]
    files: dict[str, str] = field(default_factory=dict)


# --- writing ----------------------------------------------------------------------------------------------------------


def write_store(
    folder: Path, *, tracks: Mapping[Modality, Track], entries: Sequence[Entry], failures: Iterable[Failure] = ()
) -> None:
    """Make the shards that were written a store, replacing one that is there.

    A reader meets the old store or the new one. Shards that the new one does not name are deleted afterwards; who has
    them mapped keeps them.

    Args:
        folder: where `write_shard` put the shards.
        tracks: by modality.
        entries: the utterances, in the store's order.
        failures: the ledger.

    Raises:
        DataError: an utterance comes twice.
    """
    seen: set[str] = set()
    for entry in entries:
        if entry.utterance.id in seen:
            raise DataError(t("{folder}: utterance {utterance} comes twice. Utterances need ids of their own.",
                              folder=folder, utterance=entry.utterance.id))  # fmt: skip
        seen.add(entry.utterance.id)
    files = {
        WORDS: _lines(_words_to_json(e.utterance) for e in entries if e.utterance.words),
        FAILURES: _lines(asdict(f) | {"reason": " ".join(f.reason.split())} for f in failures),
        UTTERANCES: _lines(_entry_to_json(entry) for entry in entries),
    }
    facts = {
        "format": FORMAT,
        "trisent": __version__,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "tracks": {modality: asdict(track) for modality, track in tracks.items()},
    }
    text = json.dumps(facts, indent=1, sort_keys=True, allow_nan=False) + "\n"
    write_whole(folder, {**files, _INDEX: text.encode()})
    named = {folder / shard.file for track in tracks.values() for shard in track.shards}
    for modality in MODALITIES:
        for path in sorted((folder / modality).glob("*.safetensors")):
            if path not in named:
                with suppress(PermissionError):  # Windows keeps what a reader has mapped; the next writer tries again
                    path.unlink(missing_ok=True)


def finish_writing(folder: Path) -> None:
    """Complete a `write_store` that was killed while its files took their places; do nothing where none was.

    `write_whole` has everything on the disk before the first file moves, so what has not moved is beside its place.
    To be called by who writes the store, before anything is read from it.
    """
    last = _beside(folder / _INDEX)
    try:
        files = dict(json.loads(last.read_bytes())["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return  # nothing had moved yet: the store is the old one
    waiting = [folder / name for name, digest in files.items() if _sha256(folder / name) != digest]
    if all(_sha256(_beside(path)) == files[path.name] for path in waiting):
        for path in waiting:
            _beside(path).replace(path)
        last.replace(folder / _INDEX)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(json_bytes(row) + b"\n" for row in rows)


def _entry_to_json(entry: Entry) -> dict[str, Any]:
    u = entry.utterance
    end = None if math.isinf(u.end) else u.end  # JSON has no infinity
    sentiment = None if u.sentiment is None or math.isnan(u.sentiment) else u.sentiment
    times = {"start": u.start, "end": end}
    known = {"text": u.text, "sentiment": sentiment, "split": entry.split, "fingerprint": entry.fingerprint}
    return {"id": u.id, "path": entry.path, **times, **known}


def _words_to_json(utterance: Utterance) -> dict[str, Any]:
    return {"id": utterance.id, "words": [[word.start, word.end, word.text] for word in utterance.words]}


# --- reading ----------------------------------------------------------------------------------------------------------


def read_index(folder: Path) -> Index:
    """Read store.json alone.

    Raises:
        DataError: the folder holds no store, or one of another format, or the file is damaged.
    """
    path = folder / _INDEX
    if not path.is_file():
        message = t(
            "{folder} is no feature store: it has no {name}. To make one: trisent extract VIDEOS --out {folder}",
            folder=folder, name=_INDEX,
        )  # fmt: skip
        raise DataError(message)
    try:
        facts = json.loads(path.read_bytes())
        if facts["format"] != FORMAT:
            message = t(
                "{path} has format {found}, trisent {version} reads format {expected}. Upgrade: pip install -U trisent",
                path=path, found=facts["format"], version=__version__, expected=FORMAT,
            )  # fmt: skip
            raise DataError(message)
        if unknown := set(facts["tracks"]) - set(MODALITIES):
            raise KeyError(*sorted(unknown))
        tracks = {m: _track_from_json(facts["tracks"][m]) for m in MODALITIES if m in facts["tracks"]}
        return Index(tracks, {str(name): str(digest) for name, digest in facts["files"].items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(path, error) from error


def _track_from_json(values: Mapping[str, Any]) -> Track:
    layers = tuple(int(layer) for layer in values["provenance"]["layers"])
    provenance = Provenance(**{**values["provenance"], "layers": layers})
    shards = tuple(Shard(**shard) for shard in values["shards"])
    return Track(**{**values, "provenance": provenance, "shards": shards})


def damaged_files(folder: Path) -> list[str]:
    """Hash every file of a store, and name those that are missing or not what store.json says, shards by their names.

    Raises:
        DataError: store.json itself cannot be read.
    """
    return wrong_files(folder, read_index(folder))


def wrong_files(folder: Path, index: Index) -> list[str]:
    """Hash every file that `index` names; return the names of those that are missing or changed."""
    shards = {shard.file: shard.sha256 for track in index.tracks.values() for shard in track.shards}
    return [name for name, digest in {**index.files, **shards}.items() if _sha256(folder / name) != digest]


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def read_bytes(path: Path, index: Index) -> bytes:
    """Read a file that must be the one `index` names.

    Raises:
        DataError: it is missing, or another.
    """
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != index.files[path.name]:
            raise ValueError(t("it is not the file that store.json names"))
    except (OSError, ValueError, KeyError) as error:
        raise damaged(path, error) from error
    return content


def read_lines(path: Path, index: Index) -> list[dict[str, Any]]:
    """Read and parse a file of JSON lines that must be the one `index` names.

    Raises:
        DataError: it is missing, or another.
    """
    return parse(lines_of(read_bytes(path, index)))


def read_words(folder: Path, index: Index) -> dict[str, tuple[Word, ...]]:
    """Read the words of all utterances that have some, by id.

    Raises:
        DataError: their file is missing, or another than `index` names.
    """
    return {row["id"]: tuple(Word(*word) for word in row["words"]) for row in read_lines(folder / WORDS, index)}


def entry_from_json(row: Mapping[str, Any], words: tuple[Word, ...] = ()) -> Entry:
    """Rebuild an entry from its line, and from its words, which are kept elsewhere."""
    end = math.inf if row["end"] is None else row["end"]
    utterance = Utterance(row["id"], row["start"], end, row["text"], words, row["sentiment"])
    return Entry(utterance, row["path"], row["split"], row["fingerprint"])


def map_shard(folder: Path, modality: Modality, track: Track, shard: Shard) -> MappedShard:
    """Map a shard of a track into memory.

    Raises:
        DataError: the file is missing, cut off, not a shard, or another track's.
    """
    return MappedShard(folder / shard.file, modality=modality, key=track.key, dtype=track.dtype, dim=track.dim)


def lines_of(content: bytes) -> list[bytes]:
    """Divide the content of a file of JSON lines."""
    return content.split(b"\n")[:-1]


def parse(lines: Sequence[bytes]) -> list[dict[str, Any]]:
    """Parse lines of JSON, all at once, which is quicker than one by one."""
    rows: list[dict[str, Any]] = json.loads(b"[" + b",".join(lines) + b"]")
    return rows


def ids_of(lines: Sequence[bytes]) -> tuple[str, ...]:
    """Take the ids from lines of utterances, leaving the rest for later: opening a store would wait for it.

    A line begins with {"id": "...", "path": and nothing within a JSON string looks like its end, `", "`.
    """
    begin = len(b'{"id": ')
    return tuple(json.loads(b"[" + b",".join([line[begin : line.index(b'", "') + 1] for line in lines]) + b"]"))
