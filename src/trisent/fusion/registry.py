"""The fusion models by name. Adding one adds a line here, or an entry point to a package of one's own.

[project.entry-points."trisent.fusion_models"]
mine = "my_package.model:MyFusion"
"""

import inspect
import logging
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from trisent.errors import TrisentError, UsageError, one_line
from trisent.fusion.batch import Batch, Output
from trisent.i18n import t

_log = logging.getLogger(__name__)

ENTRY_POINTS = "trisent.fusion_models"


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
    "gated": "trisent.fusion.gated:GatedFusion",
    "lf_dnn": "trisent.fusion.lf_dnn:LateFusionDNN",
    "ef_lstm": "trisent.fusion.ef_lstm:EarlyFusionLSTM",
    "tfn": "trisent.fusion.tfn:TensorFusion",
    "lmf": "trisent.fusion.lmf:LowRankFusion",
    "mfn": "trisent.fusion.mfn:MemoryFusion",
    "mult": "trisent.fusion.mult:CrossmodalTransformers",
    "misa": "trisent.fusion.misa:SharedPrivateFusion",
    "self_mm": "trisent.fusion.self_mm:SelfSupervisedFusion",
    "mag": "trisent.fusion.mag:AdaptationGate",
    "tetfn": "trisent.fusion.tetfn:TextEnhancedTransformers",
}


def fusion_models() -> dict[str, EntryPoint]:
    """Find every fusion model by name: trisent's own, then those of installed packages, without importing any.

    A package cannot replace one of trisent's: what a bundle calls `concat` is the same everywhere.
    """
    found = {name: EntryPoint(name, value, ENTRY_POINTS) for name, value in FUSION_MODELS.items()}
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda p: (p.name, p.value)):
        if point.name in found:
            _log.warning(
                "%s",
                t(
                    "the fusion model {name} of {package} is left out: the name is taken by {other}",
                    name=point.name,
                    package=_package(point),
                    other=found[point.name].value,
                ),
            )
        else:
            found[point.name] = point
    return found


def fusion_class(name: str) -> type[nn.Module]:
    """Import the class of the fusion model `name`.

    Raises:
        UsageError: no model has that name, or its package cannot be imported.
    """
    models = fusion_models()
    if name not in models:
        raise UsageError(
            t("no fusion model is called {name!r}; there are: {names}", name=name, names=", ".join(models))
        )
    try:
        kind: type[nn.Module] = models[name].load()
    except Exception as error:  # whatever other people's code does when it is imported
        message = t(
            "the fusion model {name} of {package} cannot be imported: {reason}. Upgrade or remove that package.",
            name=name,
            package=_package(models[name]),
            reason=one_line(error),
        )
        raise UsageError(message) from error
    return kind


def build(name: str, config: Mapping[str, Any]) -> nn.Module:
    """Make the fusion model `name` from its config.

    Raises:
        UsageError: no model has that name, it does not take these settings, or what was made is no fusion model.
    """
    kind = fusion_class(name)
    parameters = inspect.signature(kind).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        required = {n for n, p in parameters.items() if p.default is p.empty}
        if wrong := sorted((set(config) - set(parameters)) | (required - set(config))):
            message = t(
                "the fusion model {name} has other settings: {wrong} is unknown or missing; it takes {names}",
                name=name,
                wrong=", ".join(wrong),
                names=", ".join(parameters),
            )
            raise UsageError(message)
    try:
        model = kind(**config)
    except TrisentError:
        raise
    except Exception as error:  # whatever other people's code, or a setting of a kind nobody foresaw, brings about
        message = t(
            "the fusion model {name} cannot be made: {reason}",
            name=name,
            reason=f"{type(error).__name__}: {one_line(error)}",
        )
        raise UsageError(message) from error
    if not isinstance(model, nn.Module) or not isinstance(model, FusionModel):
        message = t("{name} is not a fusion model: it needs config and loss(output, batch)", name=kind.__name__)
        raise UsageError(message)
    return model


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value
