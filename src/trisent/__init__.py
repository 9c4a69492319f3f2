"""trisent: sentiment from talking-head video, from what is said, how it sounds and how it looks.

    >>> import trisent
    >>> predictor = trisent.Predictor.from_bundle("embedded")  # doctest: +SKIP
    >>> predictor.predict("talk.mp4").predictions[0].judgement.sentiment  # doctest: +SKIP
    -0.8

Importing this package imports neither torch nor transformers: each name arrives when it is first used.
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from trisent.checkpoint import Bundle, load_bundle, save_bundle
    from trisent.data.batching import Examples
    from trisent.data.dataset import Dataset
    from trisent.data.readers import read
    from trisent.errors import BundleError, DataError, MediaError, TrainingError, TrisentError, UsageError, WeightsError
    from trisent.evaluation.metrics import Scores, scores
    from trisent.extractors.audio import Wav2VecAudioExtractor
    from trisent.extractors.face import FaceVideoExtractor
    from trisent.extractors.resnet import ResNetVideoExtractor
    from trisent.extractors.text import BERTTextExtractor
    from trisent.extractors.whisper import WhisperAudioExtractor
    from trisent.features.extract import extract
    from trisent.features.settings import ExtractSettings
    from trisent.features.store import FeatureStore
    from trisent.predictor import Predictor
    from trisent.training import TrainConfig, evaluate, fit, train
    from trisent.types import Clip, Features, Frames, Judgement, Prediction, Utterance, VideoPrediction, Word

# public name -> the module that holds it
_HOMES = {
    "BERTTextExtractor": "trisent.extractors.text",
    "Bundle": "trisent.checkpoint",
    "BundleError": "trisent.errors",
    "Clip": "trisent.types",
    "DataError": "trisent.errors",
    "Dataset": "trisent.data.dataset",
    "Examples": "trisent.data.batching",
    "ExtractSettings": "trisent.features.settings",
    "FaceVideoExtractor": "trisent.extractors.face",
    "FeatureStore": "trisent.features.store",
    "Features": "trisent.types",
    "Frames": "trisent.types",
    "Judgement": "trisent.types",
    "MediaError": "trisent.errors",
    "Prediction": "trisent.types",
    "Predictor": "trisent.predictor",
    "ResNetVideoExtractor": "trisent.extractors.resnet",
    "Scores": "trisent.evaluation.metrics",
    "TrainConfig": "trisent.training",
    "TrainingError": "trisent.errors",
    "TrisentError": "trisent.errors",
    "UsageError": "trisent.errors",
    "Utterance": "trisent.types",
    "VideoPrediction": "trisent.types",
    "Wav2VecAudioExtractor": "trisent.extractors.audio",
    "WeightsError": "trisent.errors",
    "WhisperAudioExtractor": "trisent.extractors.whisper",
    "Word": "trisent.types",
    "evaluate": "trisent.training",
    "extract": "trisent.features.extract",
    "fit": "trisent.training",
    "load_bundle": "trisent.checkpoint",
    "read": "trisent.data.readers",
    "save_bundle": "trisent.checkpoint",
    "scores": "trisent.evaluation.metrics",
    "train": "trisent.training",
}

__all__ = [
    "BERTTextExtractor",
    "Bundle",
    "BundleError",
    "Clip",
    "DataError",
    "Dataset",
    "Examples",
    "ExtractSettings",
    "FaceVideoExtractor",
    "FeatureStore",
    "Features",
    "Frames",
    "Judgement",
    "MediaError",
    "Prediction",
    "Predictor",
    "ResNetVideoExtractor",
    "Scores",
    "TrainConfig",
    "TrainingError",
    "TrisentError",
    "UsageError",
    "Utterance",
    "VideoPrediction",
    "Wav2VecAudioExtractor",
    "WeightsError",
    "WhisperAudioExtractor",
    "Word",
    "evaluate",
    "extract",
    "fit",
    "load_bundle",
    "read",
    "save_bundle",
    "scores",
    "train",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    msg = f"module 'trisent' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
