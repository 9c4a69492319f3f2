"""The extractors by name. Adding one adds a line here."""

import importlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, cast

from trisent.config import PRESETS, named_preset
from trisent.errors import UsageError, WeightsError
from trisent.extractors.base import Extractor
from trisent.extractors.declared import read_json
from trisent.i18n import t
from trisent.types import MODALITIES, Modality, OnProgress, Provenance, no_progress
from trisent.weights import ensure, find
from trisent.weights.find import can_be_fetched

# name -> "module:class"; imported on demand so that listing names costs nothing
EXTRACTORS = {
    "bert": "trisent.extractors.text:BERTTextExtractor",
    "wav2vec": "trisent.extractors.audio:Wav2VecAudioExtractor",
    "whisper": "trisent.extractors.whisper:WhisperAudioExtractor",
    "resnet": "trisent.extractors.resnet:ResNetVideoExtractor",
    "face": "trisent.extractors.face:FaceVideoExtractor",
    "vit": "trisent.extractors.vit:ViTVideoExtractor",
}

# what config.json says of itself -> extractor
_FAMILIES: dict[Modality, dict[str, str]] = {
    "text": dict.fromkeys(("bert", "electra", "roberta", "xlm-roberta", "camembert", "data2vec-text"), "bert"),
    "audio": {**dict.fromkeys(("wav2vec2", "hubert", "wavlm", "data2vec-audio"), "wav2vec"), "whisper": "whisper"},
    "video": dict.fromkeys(("clip", "clip_vision_model", "dinov2"), "vit"),
}


def extractor_class(name: str) -> Any:
    """Return the class of the extractor `name`.

    Raises:
        UsageError: no extractor has that name.
    """
    if name not in EXTRACTORS:
        names = ", ".join(EXTRACTORS)
        raise UsageError(t("no extractor is called {name!r}; there are: {names}", name=name, names=names))
    module, _, attribute = EXTRACTORS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def extractor_for(modality: Modality, weights_name: str, *, on_progress: OnProgress = no_progress) -> str:
    """Name the extractor that these weights are for, fetching them when they are absent.

    Args:
        modality: which one is asked for.
        weights_name: a catalog name, a hub id, or a folder.
        on_progress: hears of bytes while weights are fetched.

    Raises:
        WeightsError: the weights cannot be had.
        UsageError: no extractor for that modality takes such a network.
    """
    for preset in PRESETS.values():
        if preset.extractors[modality][1] == weights_name:
            return preset.extractors[modality][0]
    weights = ensure(weights_name, on_progress=on_progress)
    config = read_json(weights, "config.json")
    found = config.get("model_type") or config.get("architecture")  # timm's word for it
    if modality == "audio" and weights.file.name == "model.bin":  # CTranslate2's format, whose config names nothing
        return "whisper"
    if modality == "video" and (str(found).startswith("resnet") or weights.file.name.startswith("resnet")):
        return "resnet"
    if found in _FAMILIES[modality]:
        return _FAMILIES[modality][str(found)]
    names = ", ".join([*_FAMILIES[modality], *(["resnet"] if modality == "video" else [])])
    message = "{name}: a network of type {found!r} gives no features for {modality}; supported are {names}"
    raise UsageError(t(message, name=weights_name, found=found, modality=t(modality), names=names))


def preset_extractors(
    preset: str,
    modalities: Collection[Modality] = MODALITIES,
    *,
    device: str = "auto",
    precision: str = "fp32",
    backend: str = "auto",
    own: Mapping[Modality, tuple[Path, Provenance]] | None = None,
    on_progress: OnProgress = no_progress,
) -> dict[Modality, Extractor[Any]]:
    """Make the extractors of a preset, fetching weights that are absent.

    Args:
        preset: its name.
        modalities: of which; all three unless said otherwise.
        device, precision, backend, on_progress: as every extractor takes them.
        own: modalities that have other weights than the preset's, those in a folder, used as the provenance says.

    Raises:
        UsageError: no preset has that name, or precision and back-end do not go together.
        WeightsError: weights cannot be had.
    """
    chosen = {m: one for m, one in named_preset(preset).extractors.items() if m in modalities}
    for modality, (folder, provenance) in (own or {}).items():
        chosen[modality] = (provenance.extractor, str(folder), {"layers": provenance.layers})
    return make_extractors(chosen, device=device, precision=precision, backend=backend, on_progress=on_progress)


def make_extractors(
    chosen: Mapping[Modality, tuple[str, str, dict[str, Any]]],
    *,
    device: str = "auto",
    precision: str = "fp32",
    backend: str = "auto",
    on_progress: OnProgress = no_progress,
) -> dict[Modality, Extractor[Any]]:
    """Make extractors, fetching weights that are absent.

    Args:
        chosen: by modality (name in the registry, name in the catalog, further options), as in a preset.
        device, precision, backend: as every extractor takes them.
        on_progress: hears of bytes while weights are fetched.

    Raises:
        UsageError: no extractor has that name or such an option, or precision and back-end do not go together.
        WeightsError: weights cannot be had.
    """
    made: dict[Modality, Extractor[Any]] = {}
    for modality in (m for m in MODALITIES if m in chosen):
        name, weights, options = chosen[modality]
        one = extractor_class(name)(
            weights, device=device, precision=precision, backend=backend, on_progress=on_progress, **options
        )
        made[modality] = cast(Extractor[Any], one)
    return made


def extractors_like(
    wanted: Mapping[Modality, Provenance],
    *,
    device: str = "auto",
    own: Mapping[Modality, Path] | None = None,
    on_progress: OnProgress = no_progress,
) -> dict[Modality, Extractor[Any]]:
    """Make the extractors that features came from, fetching weights that are absent.

    Whether they are the very same, weights and all, is for the caller to compare.

    Args:
        wanted: where the features came from.
        device, on_progress: as every extractor takes them.
        own: folders of weights that no catalog knows.

    Raises:
        UsageError: no extractor has that name.
        WeightsError: weights cannot be had.
    """
    made: dict[Modality, Extractor[Any]] = {}
    for modality, provenance in wanted.items():
        kind, weights = extractor_class(provenance.extractor), provenance.weights.split("+")[0]
        weights = str(own[modality]) if own and modality in own else weights
        if find(weights) is None and not can_be_fetched(weights):
            message = (
                "the {modality} features were made with weights of your own, in a folder {name} (sha256 {digest}), "
                "which is not here. Put it where you work, as models/{name}"
            )
            raise WeightsError(t(message, modality=t(modality), name=weights, digest=provenance.digest[:12]))
        layers = {"layers": provenance.layers} if modality != "video" or provenance.layers != (-1,) else {}
        for looks_at in ({}, {"frames": "face"}) if modality == "video" else ({},):
            options = {**layers, **looks_at}
            made[modality] = cast(Extractor[Any], kind(weights, device=device, on_progress=on_progress, **options))
            if made[modality].provenance == provenance or provenance.extractor == "face":
                break
    return made
