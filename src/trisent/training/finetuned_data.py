"""Give a data set the text features that a bundle with its own text encoder was trained on."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from trisent.checkpoint import Bundle, own_text_encoder
from trisent.data.dataset import Dataset, sequences
from trisent.errors import DataError
from trisent.extractors.base import Extractor
from trisent.extractors.text import BERTTextExtractor
from trisent.i18n import t


def dataset_for(bundle_folder: str | Path, bundle: Bundle, dataset: Dataset, *, device: str = "auto") -> Dataset:
    """Return the data set as the bundle's fusion model wants it.

    That is the data set as it is, unless the bundle has its own text encoder: then the texts are read with that.

    Raises:
        DataError: the bundle has its own text encoder, and the data set no texts.
    """
    folder = own_text_encoder(bundle_folder, bundle)
    if folder is None or bundle.extractors is None:
        return dataset
    layers = bundle.extractors["text"].layers
    return with_text(dataset, cast(Extractor[Any], BERTTextExtractor(str(folder), layers=layers, device=device)))


def with_text(dataset: Dataset, extractor: Extractor[Any]) -> Dataset:
    """Replace text features by those that `extractor` makes of the texts; a blank text has none.

    Raises:
        DataError: the data set has no texts.
    """
    if not any(text.strip() for text in dataset.texts):
        message = "{name} has no texts, which this bundle reads with its own encoder. Name a data set with texts."
        raise DataError(t(message, name=dataset.name))
    text = sequences(extractor.extract(list(dataset.texts)), extractor.dim)
    provenance = {**dataset.provenance, "text": extractor.provenance}
    return replace(dataset, features={**dataset.features, "text": text}, provenance=provenance)
