"""The pickles of MMSA and MMSA-FET: CMU-MOSI, CMU-MOSEI and CH-SIMS as most papers have them.

    {train, valid, test}:
        id                          "video$_$clip"
        raw_text                    what is said
        text, audio, vision         [utterances, steps, dim], padded; any of them may be absent
        text_bert                   [utterances, 3, steps]: token numbers, attention mask, segments
        audio_lengths, vision_lengths   steps without padding; absent where both are aligned to the tokens
        regression_labels           sentiment, in [-3, 3]; SIMS has [-1, 1], and _T, _A, _V for each modality alone
        annotations, classification_labels   the sign of sentiment; not kept
    config, align                   how MMSA-FET made the features

What trisent writes has `text_lengths` as well, and under `config` what it knows of where features come from: MMSA
passes over both. Files are read with `safe_pickle`, and written so that the numpy of MMSA's days reads them.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trisent.data.dataset import SENTIMENT, SPLITS, Dataset, Sequences
from trisent.data.formats.pickled import (
    KEYS,
    Split,
    count,
    features,
    joined,
    numbers,
    outline,
    read_columns,
    strings,
    unique,
    video_of,
)
from trisent.data.padding import Stored
from trisent.data.pickle_writer import Blocks, dump
from trisent.data.provenance import provenance_from_json
from trisent.errors import DataError
from trisent.evaluation.classes import SIMS_SCALE
from trisent.i18n import t
from trisent.types import SENTIMENT_MAX, SENTIMENT_MIN, Floats, Modality, Provenance

LABELS = {SENTIMENT: "regression_labels"}
LABELS |= {"text": "regression_labels_T", "audio": "regression_labels_A", "video": "regression_labels_V"}
_OWN = {"raw_text", "text_bert", "annotations", "classification_labels", "audio_lengths", *LABELS.values()}
_ANNOTATIONS = {-1.0: "Negative", 0.0: "Neutral", 1.0: "Positive"}


def recognises(path: Path) -> bool:
    """Say whether it is a pickle of MMSA's columns, or one that is refused: reading it says why."""
    found = outline(path)
    return found is not None and (found.refused or bool(found.columns & _OWN))


def read(path: Path) -> Dataset:
    """Read a pickle of MMSA or MMSA-FET.

    Raises:
        UnsafePickleError: it holds more than arrays and plain containers.
        DataError: a column is missing, or does not fit the others.
    """
    splits, rest = read_columns(path, required=("id", LABELS[SENTIMENT]))
    counts = {name: count(path, split["id"], "id") for name, split in splits.items()}
    ids, notes = unique(strings(joined(path, splits, "id", counts=counts) or []))
    labels = {
        name: numbers(path, column, key)
        for name, key in LABELS.items()
        if (column := joined(path, splits, key, counts=counts)) is not None
    }
    sequences, more = features(path, splits, counts=counts, stored=_lengths(path, splits, counts))
    facts, made = _facts(rest)
    derived = [key for key in ("annotations", "classification_labels") if any(key in s for s in splits.values())]
    if derived:
        made += (t("{columns}: not kept, since they follow from sentiment", columns=", ".join(derived)),)
    if any("text_bert" in s for s in splits.values()):
        made += (t("text_bert: token numbers are not kept; the texts are"),)
    return Dataset(
        name=path.stem,
        format="mmsa",
        ids=ids,
        splits=tuple(name for name, n in counts.items() for _ in range(n)),
        labels=labels,
        features=sequences,
        texts=strings(joined(path, splits, "raw_text", counts=counts) or []),
        videos=tuple(map(video_of, ids)),
        scale=facts.get("scale") or _scale(path, labels),
        provenance=facts.get("provenance", {}),
        preset=facts.get("preset"),
        synthetic=facts.get("synthetic", False),
        notes=(*notes, *more, *made),
    )


def _lengths(path: Path, splits: Mapping[str, Split], counts: Mapping[str, int]) -> dict[Modality, Stored]:
    """Find the lengths that are stored: columns of lengths, and for text the attention mask."""
    stored: dict[Modality, Stored] = {}
    for modality, key in KEYS.items():
        column = joined(path, splits, f"{key}_lengths", counts=counts)
        if column is not None:
            lengths = _whole(path, numbers(path, column, f"{key}_lengths"), f"{key}_lengths")
            stored[modality] = Stored(lengths, f"{key}_lengths")
    masks = joined(path, splits, "text_bert", counts=counts)
    if masks is not None and all(isinstance(m, np.ndarray) and m.ndim == 2 and len(m) == 3 for m in masks):
        tokens = np.array([np.append(np.flatnonzero(m[1]), -1).max() + 1 for m in masks], np.int64)
        mask = Stored(tokens, t("the attention mask"))
        if not {"audio", "video"} & set(stored) and _aligned(splits):
            stored |= {"audio": mask, "video": mask}
        stored.setdefault("text", mask)
    return stored


def _whole(path: Path, lengths: Floats, key: str) -> NDArray[np.int64]:
    if not (np.isfinite(lengths) & (lengths >= 0) & (lengths == np.rint(lengths))).all():
        raise DataError(t("{path}: {key} must be whole numbers from 0 on", path=path, key=key))
    return lengths.astype(np.int64)


def _aligned(splits: Mapping[str, Split]) -> bool:
    """Tell whether all modalities are padded to as many steps as there are tokens, in every split."""
    for split in splits.values():
        arrays = [(key, split[key]) for key in (*KEYS.values(), "text_bert") if key in split]
        if not all(isinstance(array, np.ndarray) and array.ndim == 3 for _, array in arrays):
            return False
        if len({np.shape(array)[2 if key == "text_bert" else 1] for key, array in arrays}) > 1:  # type: ignore[call-overload]
            return False
    return True


def _scale(path: Path, labels: Mapping[str, Floats]) -> tuple[float, float]:
    """SIMS judges modalities alone, or is called so, and goes from -1 to 1."""
    sims = len(labels) > 1 or "sims" in path.resolve().as_posix().lower()
    small = not (np.abs(labels[SENTIMENT]) > 1).any()
    return SIMS_SCALE if sims and small else (SENTIMENT_MIN, SENTIMENT_MAX)


def _facts(rest: Mapping[str, object]) -> tuple[dict[str, Any], tuple[str, ...]]:  # of what trisent itself wrote
    """Read what `write` put under config; return it, and a note of what else is there."""
    config = rest.get("config")
    if not isinstance(config, dict) or not isinstance(config.get("trisent"), str):
        others = ", ".join(f"{key} = {_shown(value)}" for key, value in rest.items())
        return {}, (t("not kept: {others}", others=others),) if others else ()
    try:
        facts = json.loads(config["trisent"])
        provenance: dict[Modality, Provenance] = {
            m: provenance_from_json(facts["extractors"][m]) for m in KEYS if m in facts["extractors"]
        }
        low, high = map(float, facts["scale"])
        return {"provenance": provenance, "preset": facts["preset"], "scale": (low, high),
                "synthetic": bool(facts["synthetic"])}, ()  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        return {}, (t("what config says of trisent cannot be read: {reason}", reason=error),)


def _shown(value: object) -> str:
    try:
        return json.dumps(value)[:300]
    except TypeError:
        return type(value).__name__


def write(dataset: Dataset, path: Path) -> tuple[str, ...]:
    """Write a pickle that MMSA trains on (`custom_feature`); return what it could not keep, a sentence each.

    Utterances without sentiment or split are left out.

    Raises:
        DataError: a split has nothing to write.
    """
    usable = dataset.usable
    content: dict[str, object] = {}
    for split in SPLITS:
        index = np.array([i for i in dataset.index(split) if usable[i]], np.int64)
        if not len(index):
            message = "{name} has no labelled utterance in {split}, and MMSA needs all three. See: trisent data split"
            raise DataError(t(message, name=dataset.name, split=split))
        content[split] = _columns(dataset, index)
    facts = {
        "extractors": {m: asdict(p) for m, p in dataset.provenance.items()},
        "preset": dataset.preset,
        "scale": dataset.scale,
        "synthetic": dataset.synthetic,
    }
    content["config"] = {"trisent": json.dumps(facts)}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return _lost(dataset, usable)


def _columns(dataset: Dataset, index: NDArray[np.int64]) -> dict[str, object]:
    sentiment = dataset.sentiment[index]
    columns: dict[str, object] = {
        "id": [_id(dataset, int(i)) for i in index],
        "raw_text": [dataset.texts[i] for i in index],
        "annotations": [_ANNOTATIONS[float(np.sign(value))] for value in sentiment],
    }
    columns |= {key: dataset.labels[name][index] for name, key in LABELS.items() if name in dataset.labels}
    for modality, s in dataset.features.items():
        # PyTorch packs no sequence of 0 steps, so an utterance without any gets one row of zeros
        lengths = np.maximum(s.lengths[index], 1)
        steps = int(max(1, s.lengths.max(initial=0)))
        dtype = np.dtype(np.float16 if s.values.dtype == np.float16 else np.float32)
        columns[KEYS[modality]] = Blocks((len(index), steps, s.dim), dtype, _padded(s, index, steps))
        columns[f"{KEYS[modality]}_lengths"] = lengths.tolist()
    return columns


def written_ids(dataset: Dataset) -> tuple[str, ...]:
    """Give the ids that reading finds again of what `write` writes."""
    return unique([_id(dataset, i) for i in range(len(dataset))])[0]


def _id(dataset: Dataset, i: int) -> str:
    name, video = dataset.ids[i], dataset.videos[i]
    return name if not video or video_of(name) == video else f"{video}$_${name}"


def _padded(s: Sequences, index: NDArray[np.int64], steps: int) -> Iterator[NDArray[np.floating]]:
    for i in index:
        rows = slice(int(s.offsets[i]), int(s.offsets[i + 1]))
        block = np.zeros((steps, s.dim), s.values.dtype)
        block[: rows.stop - rows.start] = np.where(s.mask[rows, None], s.values[rows], 0)
        yield block


def _lost(dataset: Dataset, usable: NDArray[np.bool_]) -> tuple[str, ...]:
    lost = []
    if left := int((~usable).sum()):
        lost.append(t("{count} utterances without sentiment or split are left out", count=left))
    if absent := ", ".join(m for m in KEYS if m not in dataset.features):
        lost.append(t("{modalities}: absent, and MMSA trains on files with text, audio and video only",
                      modalities=absent))  # fmt: skip
    lost.append(t("there is no text_bert, so models of MMSA that bring their own BERT (use_bert) cannot be trained"))
    for modality, s in dataset.features.items():
        if empty := int((s.lengths[usable] == 0).sum()):
            message = "{modality}: {count} utterances have no steps and got one row of zeros"
            lost.append(t(message, modality=modality, count=empty))
        if unseen := int((~s.mask).sum()):
            message = "{modality}: {count} steps that could not be seen are rows of zeros like any other"
            lost.append(t(message, modality=modality, count=unseen))
        if np.isfinite(s.times).any():
            lost.append(t("{modality}: times are not kept", modality=modality))
    if np.isfinite(dataset.spans).any():
        lost.append(t("start and end of utterances are not kept"))
    if others := ", ".join(name for name in dataset.labels if name not in LABELS):
        lost.append(t("labels that have no column are not kept: {others}", others=others))
    if any(_id(dataset, i) != name for i, name in enumerate(dataset.ids)):
        lost.append(t('ids are written as "video$_$id"'))
    return tuple(lost)
