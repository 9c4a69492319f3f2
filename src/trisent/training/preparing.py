"""A data set made ready to be trained on: read, checked, cleaned. Of the test split, only the size is looked at."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from trisent.data.batching import Examples, Tokens
from trisent.data.cleaning import FINITE, Cleaning, CleaningOptions, cleaning_file, fit_cleaning
from trisent.data.dataset import SPLITS, Dataset
from trisent.data.digest import data_digest
from trisent.data.labelled import labelled
from trisent.data.provenance import settle_preset
from trisent.data.readers import read
from trisent.data.resplit import split_digest
from trisent.errors import DataError, UsageError
from trisent.i18n import t
from trisent.training.finetune import Finetune, load_learner, texts_alone, tokens_of
from trisent.types import Modality

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A data set that can be trained on: read, checked, its cleaning fitted on train.

    Attributes:
        dataset: all of it; of test, nothing is used but the number of its utterances.
        facts: what the bundle says of it, as JSON values.
        cleaning: fitted.
        preset: whose extractors made the features, where known.
        train, valid: the examples.
        finetune: how a text encoder learns along, if one does; the examples then hold its tokens.
    """

    dataset: Dataset
    facts: dict[str, Any]
    cleaning: Cleaning
    preset: str | None
    train: Examples
    valid: Examples
    finetune: Finetune | None = None


def prepare(
    data_path: Path,
    *,
    preset: str | None = None,
    cleaning: CleaningOptions = FINITE,
    finetune: Finetune | None = None,
) -> Prepared:
    """Read a data set and make it ready; the arguments are those of `train`.

    Raises:
        DataError: it cannot be read, or has no train or no valid split, no labels there, or no features that can be
            used.
    """
    data = read(data_path)
    if cleaning_file(data_path).is_file():
        data = _cleaned_elsewhere(data, data_path, preset)
    else:
        preset = settle_preset(data, preset)
    whole = data
    data = labelled(data, ("train", "valid"))
    _warn_of_scale(data)
    tokens = None
    if finetune is not None:
        data = texts_alone(data)
        tokens = tokens_of(data.texts, load_learner(finetune))
    _check_trainable(data, data_path, learns_text=finetune is not None)
    fitted = fit_cleaning(data, cleaning)
    left_out = fitted.summary()
    emptied = fitted.emptied
    left = replace(data, features={m: s for m, s in data.features.items() if m not in emptied})
    if unknown := emptied | _unknown(left, fitted, tokens):
        if unknown == set(data.features) and tokens is None:
            message = "{path}: train has no features that can be used. Look at them: trisent data audit {path}"
            raise DataError(t(message, path=data_path))
        data = replace(data, features={m: s for m, s in data.features.items() if m not in unknown})
        fitted = replace(fitted, columns={m: c for m, c in fitted.columns.items() if m not in unknown})
    for note in (*data.notes, *left_out):
        _log.warning("%s", note)
    for modality in sorted(unknown):
        message = "{modality} is left out: no utterance of train has any that can be used"
        _log.warning("%s", t(message, modality=modality))
    counts = {split: len(data.index(split)) for split in SPLITS}
    facts = {
        "name": data.name,
        "format": data.format,
        "rows": {split: n for split, n in counts.items() if n},
        "widths": data.dims,
        "scale": list(data.scale),
        "sha256": data_digest(whole),
        "split_sha256": split_digest(whole),
        "notes": list(data.notes),
    }
    train, valid = (Examples(data, data.index(s), cleaning=fitted, tokens=tokens) for s in ("train", "valid"))
    return Prepared(data, facts, fitted, preset, train, valid, finetune)


def _warn_of_scale(data: Dataset) -> None:
    """Say when labels go beyond the scale, as where another scale is meant: models judge within it."""
    learnt = np.concatenate([data.index(split) for split in ("train", "valid")])
    labels = data.sentiment[learnt]
    low, high = data.scale
    if count := int(((labels < low) | (labels > high)).sum()):
        message = (
            "{name}: {count} of {n} labels lie outside [{low:g}, {high:g}], the farthest is {worst:g}. "
            "They are learned as they are; see: trisent data audit"
        )
        worst = float(labels[np.argmax(np.abs(labels))])
        facts = {"name": data.name, "count": count, "n": len(labels), "low": low, "high": high, "worst": worst}
        _log.warning("%s", t(message, **facts))


def _unknown(data: Dataset, cleaning: Cleaning, tokens: Tokens | None) -> set[Modality]:
    """Name the modalities that no utterance of train has: weights that never learnt would have their say on valid."""
    if not data.features:
        return set()
    train = Examples(data, data.index("train"), cleaning=cleaning, tokens=tokens)
    unknown = set(train.dims)
    for index in train.passes(256):
        masks = train.batch(index).masks
        unknown -= {m for m in unknown if masks[m].any()}
        if not unknown:  # mostly, the first utterances have all there is
            break
    return unknown


def _cleaned_elsewhere(data: Dataset, path: Path, preset: str | None) -> Dataset:
    """Forget which extractors made features that have changed since: a video's would reach the model uncleaned.

    Raises:
        UsageError: a preset is named all the same.
    """
    message = (
        "{path} was cleaned when it was converted ({file}), so a model of it cannot judge a video. "
        "For that, train on the data as they were, with --clean"
    )
    message = t(message, path=path, file=cleaning_file(path).name)
    if preset is not None:
        raise UsageError(message)
    _log.warning("%s", message)
    return replace(data, provenance={}, preset=None)


def _check_trainable(data: Dataset, path: Path, *, learns_text: bool) -> None:
    if not data.features and not learns_text:
        if any(text.strip() for text in data.texts):
            message = (
                "{path} has texts, labels and no features. "
                "To make them: trisent extract {path} --audio none --video none --out FEATURES. "
                "To let the encoder learn, too: trisent train {path} --finetune full"
            )
        else:
            message = "{path} has labels and no features. To make them: trisent extract {path} --out FEATURES"
        raise DataError(t(message, path=path))
    counts = {split: len(data.index(split)) for split in SPLITS}
    if not counts["train"] or not counts["valid"]:
        raise DataError(
            t(
                "{path}: training needs utterances in train and in valid, there are {counts}. "
                "To divide it: trisent data split",
                path=path,
                counts=", ".join(f"{split} {n}" for split, n in counts.items()),
            )
        )
