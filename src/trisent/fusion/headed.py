"""What fusion models with one head share: settings, the scale of the inputs, and the loss."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from trisent.fusion.batch import Batch, Output
from trisent.fusion.inputs import Inputs, in_order
from trisent.types import Modality


class HeadedFusion(nn.Module):
    """A fusion model whose `head`, made by `make_head`, judges one vector an utterance.

    Args:
        given: the arguments of the model's constructor, as `locals()` has them in its first line. `dims` and all others
            become the `config`, which rebuilds the model.
    """

    head: Any  # a Head that is an nn.Module: Python has no type for both

    def __init__(self, given: Mapping[str, Any]) -> None:
        super().__init__()
        self.dims: dict[Modality, int] = in_order(given["dims"])
        settings = {name: value for name, value in given.items() if name not in ("self", "__class__", "dims")}
        self.config: dict[str, Any] = {"dims": dict(self.dims), **settings}

    @property
    def averages(self) -> bool:
        """Whether the model sees nothing of a modality but the average of its visible steps."""
        inputs = [part for part in self.modules() if isinstance(part, Inputs)]
        return bool(inputs) and all(part.pooled for part in inputs)

    def fit_scaler(self, batches: Iterable[Batch]) -> None:
        """Learn the scale of the inputs from the training split, batch by batch."""
        next(part for part in self.modules() if isinstance(part, Inputs)).fit_scaler(batches)

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """Return the loss of the head."""
        loss: Tensor = self.head.loss(output, batch)
        return loss
