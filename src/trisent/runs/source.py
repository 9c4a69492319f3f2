"""The data set of an evaluation: read once, its digest taken, made to fit a bundle."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from trisent.checkpoint import Bundle, own_text_encoder
from trisent.data.dataset import SPLITS, Dataset
from trisent.data.digest import data_digest
from trisent.data.labelled import labelled
from trisent.data.provenance import described
from trisent.data.readers import read
from trisent.data.resplit import split_digest
from trisent.errors import DataError
from trisent.i18n import t
from trisent.training.finetuned_data import dataset_for
from trisent.types import Modality

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A data set, and the digests of its content and of its split."""

    dataset: Dataset
    digest: str
    split_digest: str


def read_source(path: Path) -> Source:
    """Read a data set of any format.

    Raises:
        DataError: it cannot be read.
    """
    dataset = read(path)
    return Source(dataset, data_digest(dataset), split_digest(dataset))


def relation(source: Source, bundle: Bundle) -> str:
    """Tell what a data set is to a bundle: "same", "other split", "other data", or "unknown" when it does not say."""
    known, split = bundle.data.get("sha256"), bundle.data.get("split_sha256")
    if known is None or split is None:
        return "unknown"
    if known != source.digest:
        return "other data"
    return "same" if split == source.split_digest else "other split"


def with_own_text(folder: Path, bundle: Bundle, dataset: Dataset, *, split: str, device: str) -> Dataset:
    """Read the texts of train and of `split` with the bundle's own encoder, if it has one; else change nothing."""
    if own_text_encoder(folder, bundle) is None:
        return dataset
    wanted = np.flatnonzero(np.isin(np.array(dataset.splits, dtype=object), ["train", split]))
    return dataset_for(folder, bundle, dataset.take(wanted), device=device)


def fitted_to(bundle: Bundle, dataset: Dataset, *, split: str) -> Dataset:
    """Leave only the modalities that the bundle's model takes, and in the split the utterances with a sentiment.

    Raises:
        DataError: there is no such split, no sentiment in it, none of the model's modalities, or features of other
            weights.
    """
    if not len(dataset.index(split)):
        counts = ", ".join(f"{name} {len(dataset.index(name))}" for name in SPLITS)
        message = "{name} has no utterances in {split}, there are {counts}. To divide it: trisent data split"
        raise DataError(t(message, name=dataset.name, split=split, counts=counts))
    takes: dict[Modality, int] = bundle.model_config.get("dims") or bundle.data.get("widths") or dataset.dims
    features = {m: s for m, s in dataset.features.items() if m in takes}
    if not features:
        message = "{name} has features of {got}, the model takes {expected}. To make them: trisent extract"
        got = ", ".join(dataset.features) or t("nothing")
        raise DataError(t(message, name=dataset.name, got=got, expected=", ".join(takes)))
    for m in takes:
        if m not in features:
            message = "{name} has no {modality} features, which the model takes; it judges without"
            _log.warning("%s", t(message, name=dataset.name, modality=t(m)))
    for m in features:
        trained, here = (bundle.extractors or {}).get(m), dataset.provenance.get(m)
        if trained and here and trained != here:
            message = (
                "{name}: the {modality} features were made by {got}, the model was trained on those of {expected}; "
                "they cannot be mixed. Extract them again like those: trisent extract"
            )
            made = {"got": described(here), "expected": described(trained)}
            raise DataError(t(message, name=dataset.name, modality=t(m), **made))
    return replace(labelled(dataset, [split]), features=features)


def length_column(dataset: Dataset, steps: np.ndarray) -> dict[str, tuple[str, ...]]:
    """Give the column by which lengths are told: steps, else seconds, else the text whose words count, else none."""
    if len(np.unique(steps)) > 1:
        return {"length": tuple(map(str, steps.tolist()))}
    seconds = dataset.spans[:, 1] - dataset.spans[:, 0]
    if np.isfinite(seconds).all() and len(np.unique(seconds)) > 1:
        return {"duration_s": tuple(f"{s:g}" for s in seconds)}
    return {"text": dataset.texts} if any(dataset.texts) else {}
