"""The digest of a data set: equal content, however it lies on the disk, has an equal one."""

import hashlib
import json

import numpy as np

from trisent.data.dataset import Dataset, Sequences

_VALUES_A_READ = 4_000_000  # features may be mapped and larger than the memory


def data_digest(dataset: Dataset) -> str:
    """Return the sha256 over ids, texts, labels and features, in hex; not over splits, names and notes."""
    digest = hashlib.sha256(json.dumps([dataset.ids, dataset.texts, list(dataset.scale)]).encode())
    for name, values in sorted(dataset.labels.items()):
        digest.update(f"{name} {values.dtype}".encode())
        digest.update(_plain(values))
    for modality, sequences in sorted(dataset.features.items()):
        digest.update(f"{modality} {sequences.values.dtype} {sequences.dim}".encode())
        _add(digest, sequences)
    return digest.hexdigest()


def _add(digest: "hashlib._Hash", sequences: Sequences) -> None:
    digest.update(sequences.offsets.tobytes() + sequences.mask.tobytes())
    size = max(1, _VALUES_A_READ // max(sequences.dim, 1))
    for first in range(0, len(sequences.values), size):
        digest.update(_plain(sequences.values[first : first + size]))


def _plain(values: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> bytes:
    # NaN has many bit patterns
    return np.where(np.isnan(values), np.array(np.nan, values.dtype), values).tobytes()
