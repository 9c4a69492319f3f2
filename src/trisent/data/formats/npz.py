"""The guide's data set: a folder of train.npz, val.npz and test.npz with one row of features an utterance.

Each file holds `text_features`, `audio_features` and `video_features` [n, width], and `labels` [n]: whole numbers 0..6
(class = round(sentiment) + 3) or sentiment in [-3, 3] as floating point. A modality may be missing from all three.
An optional `features.json` says where the features come from.

What trisent writes holds more, which other readers pass over: `sentiment` [n], of which the labels are the classes,
and `ids` and `videos` [n]. A row of NaN alone says that the utterance has none of the modality.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trisent.data.cleaning import nearest_class
from trisent.data.dataset import SENTIMENT, Dataset, Sequences
from trisent.data.formats.pickled import strings
from trisent.data.provenance import provenance_from_json
from trisent.errors import DataError
from trisent.files import write_whole
from trisent.i18n import system_reason, t
from trisent.types import MODALITIES, SENTIMENT_MAX, SENTIMENT_MIN, Floats, Modality, Provenance

# split -> the file names it may have, the guide's first
SPLIT_FILES = {"train": ("train.npz",), "valid": ("val.npz", "valid.npz"), "test": ("test.npz",)}

Arrays = dict[str, NDArray[Any]]  # of any dtype until they are checked
_KEYS = {*(f"{modality}_features" for modality in MODALITIES), "labels", "sentiment", "ids", "videos"}


@dataclass(frozen=True, slots=True)
class _Facts:
    """What features.json says."""

    provenance: dict[Modality, Provenance]
    synthetic: bool = False
    preset: str | None = None
    scale: tuple[float, float] = (SENTIMENT_MIN, SENTIMENT_MAX)


def recognises(path: Path) -> bool:
    """Say whether a folder has a file of the guide's names; which of them it lacks, reading says."""
    return path.is_dir() and any((path / name).is_file() for names in SPLIT_FILES.values() for name in names)


def read(path: Path) -> Dataset:
    """Read the guide's folder whole into memory.

    Raises:
        DataError: the folder, a file or an array is missing or is not what the module's docstring describes.
    """
    if not path.is_dir():
        raise DataError(t("{folder} is not a folder. {expected}", folder=path, expected=_expected()))
    facts = _read_facts(path / "features.json")
    paths = {split: _find(path, names) for split, names in SPLIT_FILES.items()}
    arrays = {split: _read_split(file, facts) for split, file in paths.items()}
    widths = {
        split: {m: found[f"{m}_features"].shape[1] for m in _modalities(found)} for split, found in arrays.items()
    }
    for split, dims in widths.items():
        if dims != widths["train"]:
            message = t(
                "{path} has features {got}, {train} has {dims}: splits must have the same modalities and widths. "
                "Extract all three with the same extractors.",
                path=paths[split],
                got=dims,
                train=paths["train"].name,
                dims=widths["train"],
            )
            raise DataError(message)
    notes = [note for split in paths for note in _notes(paths[split], arrays[split])]
    return Dataset(
        name=path.resolve().name,
        format="npz",
        ids=_ids(arrays),
        splits=tuple(split for split, found in arrays.items() for _ in found["labels"]),
        labels={SENTIMENT: np.concatenate([found["labels"] for found in arrays.values()])},
        features={m: _rows([found[f"{m}_features"] for found in arrays.values()]) for m in widths["train"]},
        videos=_names(arrays, "videos") or (),
        scale=facts.scale,
        provenance=facts.provenance,
        preset=facts.preset,
        synthetic=facts.synthetic,
        notes=tuple(notes),
    )


def _modalities(arrays: Arrays) -> list[Modality]:
    return [m for m in MODALITIES if f"{m}_features" in arrays]


def _rows(splits: list[Floats]) -> Sequences:
    """Give every row to its utterance as its one step; a row of NaN alone is no step."""
    values = np.concatenate(splits)
    there = ~np.isnan(values).all(axis=1)
    if not there.all():
        values = values[there]
    offsets = np.concatenate([[0], np.cumsum(there)]).astype(np.int64)
    n = len(values)
    return Sequences(values, offsets, np.full(n, np.nan, np.float32), np.ones(n, np.bool_))


def _ids(arrays: Mapping[str, Arrays]) -> tuple[str, ...]:
    own = _names(arrays, "ids")
    if own and len(set(own)) == len(own):
        return own
    return tuple(f"{split}/{i}" for split, found in arrays.items() for i in range(len(found["labels"])))


def _names(arrays: Mapping[str, Arrays], key: str) -> tuple[str, ...] | None:
    """Return the names that all files give their rows, if they do."""
    fit = [key in found and found[key].shape == found["labels"].shape for found in arrays.values()]
    return strings([name for found in arrays.values() for name in found[key]]) if all(fit) else None


def _notes(path: Path, arrays: Arrays) -> list[str]:
    notes = []
    for m in _modalities(arrays):
        rows = arrays[f"{m}_features"]
        if bad := int((~np.isfinite(rows).all(axis=1)).sum()):
            message = "{path}: {bad} of {n} rows of {key} hold NaN or inf; training counts them as not seen"
            notes.append(t(message, path=path, bad=bad, n=len(rows), key=f"{m}_features"))
    return notes


def _expected() -> str:
    return t(
        "Expected a folder with train.npz, val.npz and test.npz, each with text_features, audio_features, "
        "video_features [n, width] and labels [n]. To see one: trisent data sample DIR"
    )


def _find(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    found = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) or t("nothing")
    message = t(
        "{folder} has no {name} (found: {found}). {expected}",
        folder=folder,
        name=t(" or ").join(names),
        found=found,
        expected=_expected(),
    )
    raise DataError(message)


def _read_split(path: Path, facts: _Facts) -> Arrays:
    """Read a file; its features come back as float32, its labels as sentiment."""
    arrays = _load(path)
    keys = [f"{m}_features" for m in _modalities(arrays)]
    if not keys or "labels" not in arrays:
        what = "labels" if keys else "text_features, audio_features, video_features"
        message = t(
            "{path} lacks {what} (found: {found}). {expected}",
            path=path,
            what=what,
            found=", ".join(sorted(arrays)) or t("nothing"),
            expected=_expected(),
        )
        raise DataError(message)
    labels = _sentiment(path, arrays["labels"])
    for key in keys:
        array = arrays[key]
        if array.ndim != 2 or array.shape[0] != len(labels) or not array.shape[1] or array.dtype.kind not in "fiu":
            message = t(
                "{path}: {key} must hold numbers of shape [{n}, width], a row for each label; "
                "got {dtype} {shape}. {expected}",
                path=path,
                key=key,
                n=len(labels),
                dtype=array.dtype,
                shape=list(array.shape),
                expected=_expected(),
            )
            raise DataError(message)
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf
            arrays[key] = array.astype(np.float32)
    if "sentiment" in arrays:
        labels = _exact(path, arrays["sentiment"], arrays["labels"], scale=facts.scale)
    return arrays | {"labels": labels}


def _exact(path: Path, sentiment: NDArray[Any], labels: NDArray[Any], *, scale: tuple[float, float]) -> Floats:
    """Take sentiment that lies beside its classes, and hold the one against the other."""
    fits = sentiment.shape == labels.shape and sentiment.dtype.kind == "f" and np.isfinite(sentiment).all()
    if not fits or not np.array_equal(nearest_class(sentiment, scale=scale), labels):
        message = "{path}: labels are not the classes of sentiment. Take sentiment out, or correct one of them."
        raise DataError(t(message, path=path))
    return sentiment.astype(np.float32)


def _load(path: Path) -> Arrays:
    """Load the arrays that are of the format; of whatever else is in the file, only the name is kept."""
    name = ""
    found: Arrays = {}
    try:
        with path.open("rb") as file:  # opened here, since np.load leaves a torn zip open
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.lib.npyio.NpzFile):
                with archive:
                    for name in archive.files:
                        found[name] = archive[name] if name in _KEYS else np.zeros(0)
                    return found
        reason = t("it holds a single array")
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        reason = system_reason(error).splitlines()[0] if str(error) else type(error).__name__
        if "allow_pickle" in reason:
            message = "{key} holds Python objects; save a plain array instead, of numbers or of texts (dtype str)"
            reason = t(message, key=name)
        raise DataError(_not_npz(path, reason)) from error
    raise DataError(_not_npz(path, reason))


def _not_npz(path: Path, reason: str) -> str:
    return t("{path} cannot be read as .npz: {reason}. {expected}", path=path, reason=reason, expected=_expected())


def _sentiment(path: Path, labels: NDArray[Any]) -> Floats:
    """Turn labels of either kind into sentiment."""
    if labels.ndim != 1 or not len(labels) or labels.dtype.kind not in "fiu":
        message = t(
            "{path}: labels must hold numbers of shape [n], n at least 1; got {dtype} {shape}. {expected}",
            path=path,
            dtype=labels.dtype,
            shape=list(labels.shape),
            expected=_expected(),
        )
        raise DataError(message)
    classes = labels.dtype.kind in "iu"
    low, high = (0, 6) if classes else (SENTIMENT_MIN, SENTIMENT_MAX)
    wrong = ~((labels >= low) & (labels <= high))  # this way round, NaN is wrong too
    if wrong.any():
        message = t(
            "{path}: {count} of {n} labels are outside what is allowed: {values}. "
            "Whole-number labels must be classes 0..6 (round(sentiment) + 3), "
            "floating-point labels sentiment in [-3, 3]; these are {dtype}.",
            path=path,
            count=int(wrong.sum()),
            n=len(labels),
            values=", ".join(str(v) for v in np.unique(labels[wrong])[:8]),
            dtype=labels.dtype,
        )
        raise DataError(message)
    sentiment: Floats = labels.astype(np.float32) - (SENTIMENT_MAX if classes else 0)
    return sentiment.astype(np.float32)


def _read_facts(path: Path) -> _Facts:
    if not path.is_file():
        return _Facts({})
    try:
        facts: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        extractors = dict(facts.get("extractors") or {})
        provenance = {m: provenance_from_json(extractors.pop(m)) for m in MODALITIES if m in extractors}
        if extractors:
            raise KeyError(*extractors)
        low, high = (float(end) for end in facts.get("scale", (SENTIMENT_MIN, SENTIMENT_MAX)))
        return _Facts(provenance, bool(facts.get("synthetic", False)), facts.get("preset"), (low, high))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = t(
            "{path} cannot be read ({kind}: {reason}). Expected a JSON object with synthetic, preset, extractors; "
            "correct it, or delete it: it is optional.",
            path=path,
            kind=type(error).__name__,
            reason=error,
        )
        raise DataError(message) from error


def write(dataset: Dataset, path: Path) -> tuple[str, ...]:
    """Write the guide's folder; return what it could not keep, a sentence each.

    Utterances without sentiment or split are left out, and of several steps the average of the visible ones is kept.

    Raises:
        DataError: a split has nothing to write, or a label is outside the scale.
    """
    if not dataset.features:
        raise DataError(t("{name} has no features, and the guide's folder holds nothing else", name=dataset.name))
    low, high = dataset.scale
    usable = dataset.usable
    wrong = usable & ~((dataset.sentiment >= low) & (dataset.sentiment <= high))
    if wrong.any():
        message = "{name}: {count} labels are outside [{low:g}, {high:g}], first of {id}. See: trisent data audit"
        first = dataset.ids[int(np.argmax(wrong))]
        raise DataError(t(message, name=dataset.name, count=int(wrong.sum()), low=low, high=high, id=first))
    files: dict[str, bytes] = {}
    for split, (name, *_) in SPLIT_FILES.items():
        index = np.array([i for i in dataset.index(split) if usable[i]], np.int64)
        if not len(index):
            message = "{name} has no labelled utterance in {split}, and {file} must have some. See: trisent data split"
            raise DataError(t(message, name=dataset.name, split=split, file=name))
        arrays: dict[str, Any] = {f"{m}_features": _pooled(s, index) for m, s in dataset.features.items()}
        arrays["sentiment"] = dataset.sentiment[index]
        arrays["labels"] = nearest_class(arrays["sentiment"], scale=dataset.scale)
        arrays["ids"] = np.array([dataset.ids[i] for i in index])
        arrays["videos"] = np.array([dataset.videos[i] for i in index])
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        files[name] = buffer.getvalue()
    facts = {
        "synthetic": dataset.synthetic,
        "preset": dataset.preset,
        "extractors": {m: asdict(p) for m, p in dataset.provenance.items()},
        "scale": list(dataset.scale),
    }
    files["features.json"] = (json.dumps(facts, indent=2) + "\n").encode()
    write_whole(path, files)
    return _lost(dataset, usable)


def _pooled(sequences: Sequences, index: NDArray[np.int64]) -> Floats:
    rows = np.full((len(index), sequences.dim), np.nan, np.float32)
    for row, i in zip(rows, index, strict=True):
        if (pooled := sequences.of(int(i)).pooled()) is not None:
            row[:] = pooled
    return rows


def _lost(dataset: Dataset, usable: NDArray[np.bool_]) -> tuple[str, ...]:
    lost = []
    if left := int((~usable).sum()):
        lost.append(t("{count} utterances without sentiment or split are left out", count=left))
    for modality, sequences in dataset.features.items():
        if (sequences.lengths > 1).any():
            lost.append(t("{modality}: of the steps of an utterance only the average is kept", modality=modality))
        elif np.isfinite(sequences.times).any():
            lost.append(t("{modality}: times are not kept", modality=modality))
    if any(dataset.texts):
        lost.append(t("texts are not kept"))
    if np.isfinite(dataset.spans).any():
        lost.append(t("start and end of utterances are not kept"))
    if others := ", ".join(name for name in dataset.labels if name != SENTIMENT):
        lost.append(t("of the labels only sentiment is kept, not {others}", others=others))
    return tuple(lost)
