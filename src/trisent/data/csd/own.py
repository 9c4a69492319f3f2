"""What a data set holds and computational sequences have no place for, kept in the labels' metadata.

It is one JSON object under the key "trisent", which CMU's SDK hands on without looking at it. A data set that the SDK
has changed since, by leaving utterances out, still finds what belongs to those that are left.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from trisent.data.csd.utterances import LABELS
from trisent.data.dataset import SPLITS, Dataset, Sequences
from trisent.data.provenance import provenance_from_json
from trisent.errors import DataError
from trisent.i18n import t
from trisent.types import Modality

KEY = "trisent"


def kept(dataset: Dataset, keys: list[str]) -> dict[str, Any]:
    """Collect, as JSON has it, what `restored` puts back; `keys` are the entries of the utterances."""
    others = {name: values for name, values in dataset.labels.items() if name not in LABELS}
    return {
        "name": dataset.name,
        "scale": list(dataset.scale),
        "synthetic": dataset.synthetic,
        "preset": dataset.preset,
        "provenance": {m: asdict(p) for m, p in dataset.provenance.items()},
        "utterances": {
            key: {
                "id": dataset.ids[i],
                "split": dataset.splits[i],
                "text": dataset.texts[i],
                "video": dataset.videos[i],
                "placed": bool(np.isfinite(dataset.spans[i]).all()),
                "labels": {name: float(v[i]) for name, v in others.items() if not np.isnan(v[i])},
                "hidden": {m: np.flatnonzero(~s.mask[_rows(s, i)]).tolist() for m, s in dataset.features.items()},
                "untimed": [m for m, s in dataset.features.items() if np.isnan(s.times[_rows(s, i)]).any()],
            }
            for i, key in enumerate(keys)
        },
    }


def _rows(sequences: Sequences, i: int) -> slice:
    return slice(int(sequences.offsets[i]), int(sequences.offsets[i + 1]))


def restored(dataset: Dataset, own: Mapping[str, Any]) -> Dataset:
    """Put back what `kept` collected; utterances it does not name stay as they are, after the others.

    Raises:
        DataError: it is not what `kept` makes.
    """
    try:
        return _restored(dataset, own)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        reason = f"{type(error).__name__}: {error}"
        message = "{name}: the metadata {key} of the labels is damaged ({reason}). Take it out, or convert again."
        raise DataError(t(message, name=dataset.name, key=repr(KEY), reason=reason)) from error


def _restored(dataset: Dataset, own: Mapping[str, Any]) -> Dataset:
    said: Mapping[str, Mapping[str, Any]] = own["utterances"]
    number = {key: i for i, key in enumerate(dataset.ids)}
    order = [number[key] for key in said if key in number]
    order += [i for key, i in number.items() if key not in said]
    if order != sorted(order):
        dataset = dataset.take(np.array(order, np.int64))
    about = [said.get(key, {}) for key in dataset.ids]
    splits = tuple(str(a.get("split", split)) for a, split in zip(about, dataset.splits, strict=True))
    if unknown := set(splits) - {*SPLITS, ""}:
        raise ValueError(*unknown)
    names = {name for a in about for name in a.get("labels", {})}
    others = {n: np.array([a.get("labels", {}).get(n, np.nan) for a in about], np.float32) for n in sorted(names)}
    spans = dataset.spans.copy()
    spans[[not a.get("placed", True) for a in about]] = np.nan
    for m, s in dataset.features.items():
        _hide(m, s, about)
    return replace(
        dataset,
        name=str(own["name"]),
        ids=tuple(str(a.get("id", key)) for a, key in zip(about, dataset.ids, strict=True)),
        splits=splits,
        texts=tuple(str(a.get("text", text)) for a, text in zip(about, dataset.texts, strict=True)),
        videos=tuple(str(a.get("video", video)) for a, video in zip(about, dataset.videos, strict=True)),
        labels={**dataset.labels, **others},
        spans=spans,
        scale=(float(own["scale"][0]), float(own["scale"][1])),
        synthetic=bool(own["synthetic"]),
        preset=None if own["preset"] is None else str(own["preset"]),
        provenance={m: provenance_from_json(own["provenance"][m]) for m in dataset.features if m in own["provenance"]},
    )


def _hide(modality: Modality, sequences: Sequences, about: list[Mapping[str, Any]]) -> None:
    """Mask what was masked, and forget times that nobody knew; the arrays are ours alone."""
    for i, a in enumerate(about):
        rows = _rows(sequences, i)
        mask = sequences.mask[rows]
        mask[[step for step in a.get("hidden", {}).get(modality, []) if 0 <= step < len(mask)]] = False
        if modality in a.get("untimed", []):
            sequences.times[rows] = np.nan
