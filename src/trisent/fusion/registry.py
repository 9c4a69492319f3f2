"""The fusion models by name. Adding one adds a line here."""

import importlib
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from trisent.errors import UsageError
from trisent.fusion.batch import Batch, Output
from trisent.i18n import t


@runtime_checkable
class FusionModel(Protocol):
    """Features of any subset of modalities -> sentiment. Also an `nn.Module`; it owns its loss.

    `config` holds the keyword arguments that rebuild the model, as JSON values.
    """

    config: dict[str, Any]  # JSON values of many shapes

    def __call__(self, batch: Batch) -> Output: ...

    def loss(self, output: Output, batch: Batch) -> Tensor: ...


# name -> "module:class"; imported on demand so that listing names costs nothing
FUSION_MODELS = {
    "concat": "trisent.fusion.concat:ConcatFusion",
    "late": "trisent.fusion.late:LateFusion",
}


def build(name: str, config: Mapping[str, Any]) -> nn.Module:
    """Make the fusion model `name` from its config.

    Raises:
        UsageError: no model has that name.
    """
    if name not in FUSION_MODELS:
        raise UsageError(
            t("no fusion model is called {name!r}; there are: {names}", name=name, names=", ".join(FUSION_MODELS))
        )
    module, _, attribute = FUSION_MODELS[name].partition(":")
    model: nn.Module = getattr(importlib.import_module(module), attribute)(**config)
    return model
