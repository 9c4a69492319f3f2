"""A data set made ready to be trained on: read, checked, cleaned. Of the test split, only the size is looked at."""

import logging
from collections.abc import Sequence
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
from trisent.types import MODALITIES, Modality

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
        modalities: those that were asked for; None: all there are.
    """

    dataset: Dataset
    facts: dict[str, Any]
    cleaning: Cleaning
    preset: str | None
    train: Examples
    valid: Examples
    finetune: Finetune | None = None
    modalities: tuple[Modality, ...] | None = None


def prepare(
    data_path: Path,
    *,
    preset: str | None = None,
    cleaning: CleaningOptions = FINITE,
    finetune: Finetune | None = None,
    modalities: Sequence[str] | None = None,
) -> Prepared:
    """Read a data set and make it ready; the arguments are those of `train`.

    Raises:
        DataError: it cannot be read, or has no train or no valid split, no labels there, or no features that can be
            used.
        UsageError: a modality is none, or is not there, or text is to be learned and left out.
    """
    chosen = None if modalities is None else known_modalities(modalities)
    data = read(data_path)
    if cleaning_file(data_path).is_file():
        data = _cleaned_elsewhere(data, data_path, preset)
    else:
        preset = settle_preset(data, preset)
    whole = data
    data = labelled(data, ("train", "valid"))
    if chosen is not None:
        data = _only(data, chosen, learns_text=finetune is not None)
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
    if unknown := emptied | _unseen(left, "train", cleaning=fitted, tokens=tokens):
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
    _warn_of_unseen(data, data_path, cleaning=fitted, tokens=tokens)
    train, valid = (Examples(data, data.index(s), cleaning=fitted, tokens=tokens) for s in ("train", "valid"))
    return Prepared(data, facts, fitted, preset, train, valid, finetune, chosen)


def known_modalities(names: Sequence[str]) -> tuple[Modality, ...]:
    """Put names of modalities in order.

    Raises:
        UsageError: one of them is no modality, or there is none.
    """
    if wrong := [name for name in names if name not in MODALITIES] or ([] if names else ["-"]):
        told = {"name": "modalities", "names": ", ".join(MODALITIES), "got": ", ".join(map(str, wrong))}
        raise UsageError(t("{name} must be some of {names}, got {got}", **told))
    return tuple(m for m in MODALITIES if m in names)


def _only(data: Dataset, chosen: Sequence[Modality], *, learns_text: bool) -> Dataset:
    """Leave all other modalities out, as if nobody had made their features."""
    if learns_text and "text" not in chosen:
        raise UsageError(t("--finetune learns from texts, so text must be among the modalities"))
    there = [*data.features, *(["text"] if learns_text else [])]
    if absent := [m for m in chosen if m not in there]:
        message = "{name} has no {modality} features; there are {names}"
        facts = {"name": data.name, "modality": t(absent[0]), "names": ", ".join(data.features) or t("nothing")}
        raise UsageError(t(message, **facts))
    left = [m for m in data.features if m in chosen]
    provenance = {m: p for m, p in data.provenance.items() if m in left}
    return replace(data, features={m: data.features[m] for m in left}, provenance=provenance)


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


def _unseen(data: Dataset, split: str, *, cleaning: Cleaning, tokens: Tokens | None) -> set[Modality]:
    """Name the modalities that no utterance of a split has: of train, weights would never learn and yet have a say."""
    if not data.features:
        return set()
    examples = Examples(data, data.index(split), cleaning=cleaning, tokens=tokens)
    unseen = set(examples.dims)
    for index in examples.passes(256):
        masks = examples.batch(index).masks
        unseen -= {m for m in unseen if masks[m].any()}
        if not unseen:  # mostly, the first utterances have all there is
            break
    return unseen


def _warn_of_unseen(data: Dataset, path: Path, *, cleaning: Cleaning, tokens: Tokens | None) -> None:
    """Say which modalities no utterance of valid has: nothing can be chosen by what is judged from nothing.

    Raises:
        DataError: it has none at all.
    """
    unseen = _unseen(data, "valid", cleaning=cleaning, tokens=tokens)
    if unseen and unseen == set(data.features) and tokens is None:
        message = "{path}: valid has no features that can be used. Look at them: trisent data audit {path}"
        raise DataError(t(message, path=path))
    for modality in sorted(unseen):
        message = "{modality}: no utterance of valid has any that can be used; its part in the model is not tried there"
        _log.warning("%s", t(message, modality=modality))


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
