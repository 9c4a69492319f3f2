"""Utterances that nobody has judged: they stay in a data set, and are neither learned from nor scored on."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from trisent.data.dataset import Dataset
from trisent.errors import DataError
from trisent.i18n import t

_log = logging.getLogger(__name__)


def labelled(dataset: Dataset, splits: Sequence[str]) -> Dataset:
    """Take the utterances without a sentiment out of these splits, and say how many there were; no features are copied.

    Raises:
        DataError: a split has utterances, and none of them has a sentiment.
    """
    unknown = ~np.isfinite(dataset.sentiment)
    left = list(dataset.splits)
    for split in splits:
        index = dataset.index(split)
        without = index[unknown[index]]
        for i in without:
            left[i] = ""
        names = ", ".join(dataset.ids[i] for i in without[:5])
        facts = {"name": dataset.name, "split": split, "count": len(without), "n": len(index), "ids": names}
        if 0 < len(without) == len(index):
            message = "{name}: none of the {n} utterances of {split} has a sentiment ({ids}). See: trisent data audit"
            raise DataError(t(message, **facts))
        if len(without):
            message = "{name}: {count} of {n} utterances of {split} have no sentiment and are left out ({ids})"
            _log.warning("%s", t(message, **facts))
    return replace(dataset, splits=tuple(left)) if left != list(dataset.splits) else dataset
