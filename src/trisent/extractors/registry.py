"""The extractors by name. Adding one adds a line here."""

import importlib
from typing import Any, cast

from trisent.config import named_preset
from trisent.errors import UsageError
from trisent.extractors.base import Extractor
from trisent.i18n import t
from trisent.types import MODALITIES, Modality, OnProgress, no_progress

# name -> "module:class"; imported on demand so that listing names costs nothing
EXTRACTORS = {
    "bert": "trisent.extractors.text:BERTTextExtractor",
    "wav2vec": "trisent.extractors.audio:Wav2VecAudioExtractor",
    "whisper": "trisent.extractors.whisper:WhisperAudioExtractor",
    "resnet": "trisent.extractors.resnet:ResNetVideoExtractor",
    "face": "trisent.extractors.face:FaceVideoExtractor",
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


def preset_extractors(
    preset: str, *, device: str = "auto", on_progress: OnProgress = no_progress
) -> dict[Modality, Extractor[Any]]:
    """Make the three extractors of a preset, fetching weights that are absent.

    Raises:
        UsageError: no preset has that name.
        WeightsError: weights cannot be had.
    """
    chosen = named_preset(preset).extractors
    extractors = {}
    for modality in MODALITIES:
        name, weights, options = chosen[modality]
        made = extractor_class(name)(weights, device=device, on_progress=on_progress, **options)
        extractors[modality] = cast(Extractor[Any], made)
    return extractors
