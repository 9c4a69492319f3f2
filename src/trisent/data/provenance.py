"""Where a data set's features come from, and which preset's extractors made them."""

import logging
from collections.abc import Mapping
from typing import Any

from trisent.config import PRESETS, named_preset
from trisent.data.dataset import Dataset
from trisent.data.sample import GUIDE_DIMS
from trisent.errors import UsageError
from trisent.i18n import t
from trisent.types import Modality, Provenance

_log = logging.getLogger(__name__)


def provenance_from_json(values: Mapping[str, Any]) -> Provenance:
    """Rebuild what `dataclasses.asdict` made of a provenance, once it has been through JSON.

    Raises:
        KeyError, TypeError: a field is missing, too many, or not what it should be.
    """
    return Provenance(**{**values, "layers": tuple(int(layer) for layer in values["layers"])})


def described(provenance: Provenance) -> str:
    """Say in one line which weights made features, and how."""
    layers = ",".join(map(str, provenance.layers))
    how = [f"sha256 {provenance.digest[:12]}, layers {layers}", provenance.preprocessing]
    if provenance.fps is not None:
        how.append(t("{fps:g} frames a second", fps=provenance.fps))
    if provenance.rate_hz is not None:
        how.append(t("{rate:g} steps a second", rate=provenance.rate_hz))
    return f"{provenance.weights} ({'; '.join(how)})"


def preset_of(provenance: Mapping[Modality, Provenance]) -> str | None:
    """Name the preset whose extractors, weights and layers these are; None when there is no such preset."""
    for name, preset in PRESETS.items():
        if provenance and all(_same(p, preset.extractors[m]) for m, p in provenance.items()):
            return name
    return None


def _same(provenance: Provenance, choice: tuple[str, str, dict[str, Any]]) -> bool:
    extractor, weights, options = choice
    # A face extractor names the detector it looks through as well: "efficientnet-lite0+mtcnn".
    named = (provenance.extractor, provenance.weights.split("+")[0])
    return named == (extractor, weights) and provenance.layers == options.get("layers", provenance.layers)


def settle_preset(data: Dataset, asked: str | None) -> str | None:
    """Decide which preset's extractors made the features: what is asked for, what the data say, or what widths tell.

    Raises:
        UsageError: no preset has that name, or the data say otherwise.
    """
    if asked is not None:
        named_preset(asked)
    if asked and data.preset and asked != data.preset:
        message = t(
            "--preset {asked} contradicts {data}, which says {found}. Leave --preset out.",
            asked=asked,
            data=data.name,
            found=data.preset,
        )
        raise UsageError(message)
    if asked or data.preset:
        return asked or data.preset
    if data.dims == GUIDE_DIMS and not data.provenance:
        _log.info(
            "%s", t("nothing says which extractors made these features; their widths are those of preset pretrained")
        )
        return "pretrained"
    return None
