"""A data set in memory: three splits, one row of features an utterance."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trisent.errors import DataError
from trisent.fusion.batch import Batch
from trisent.i18n import t
from trisent.types import Floats, Modality, Provenance


class Examples(Protocol):
    """Labelled utterances, taken by number: all that training and evaluation ask of a data set."""

    @property
    def labels(self) -> Floats: ...

    def __len__(self) -> int: ...

    def batch(self, index: Tensor) -> Batch: ...


@dataclass(frozen=True, slots=True)
class Split:
    """Some utterances, one row of features each; `masks` [n] is False where an utterance lacks the modality."""

    features: dict[Modality, Floats]
    masks: dict[Modality, NDArray[np.bool_]]
    labels: Floats

    def __post_init__(self) -> None:
        n = len(self.labels)
        for m, values in self.features.items():
            if values.ndim != 2 or values.shape[0] != n or self.masks[m].shape != (n,):
                message = t(
                    "{modality}: {n} labels need features [{n}, width] and a mask [{n}], got {values} and {mask}",
                    modality=m,
                    n=n,
                    values=list(values.shape),
                    mask=list(self.masks[m].shape),
                )
                raise DataError(message)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def dims(self) -> dict[Modality, int]:
        """Width of each modality's features."""
        return {m: values.shape[1] for m, values in self.features.items()}

    def batch(self, index: Tensor) -> Batch:
        """Take the utterances `index` [utterances]: rows of resident arrays, with no Python an utterance."""
        return Batch(
            {m: torch.from_numpy(values)[index].unsqueeze(1) for m, values in self.features.items()},  # [_, 1, dim]
            {m: torch.from_numpy(mask)[index].unsqueeze(1) for m, mask in self.masks.items()},  # [_, 1]
            torch.from_numpy(self.labels)[index],
        )


@dataclass(frozen=True, slots=True)
class DataSet:
    """Three splits with the same modalities and widths, and what is known of where they come from."""

    train: Split
    valid: Split
    test: Split
    dims: dict[Modality, int]
    provenance: dict[Modality, Provenance] | None = None
    synthetic: bool = False
    preset: str | None = None


def provenance_from_json(values: Mapping[str, Any]) -> Provenance:
    """Rebuild what `dataclasses.asdict` made of a provenance, once it has been through JSON.

    Raises:
        KeyError, TypeError: a field is missing, too many, or not what it should be.
    """
    return Provenance(**{**values, "layers": tuple(int(layer) for layer in values["layers"])})
