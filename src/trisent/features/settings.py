"""What an extraction is told: which extractors, how finely to look, where to compute."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from trisent.compute import check_device_name
from trisent.config import PRESETS, named_preset
from trisent.errors import UsageError
from trisent.features.part import Dtype
from trisent.i18n import t
from trisent.types import MODALITIES, Modality, Provenance

Engine = Literal["local", "ray"]
FramesOf = Literal["face", "full"]
Precision = Literal["auto", "fp32", "bf16", "int8"]
Backend = Literal["auto", "torch", "openvino", "onnx"]
Choice = tuple[str, str, dict[str, Any]]
"""An extractor, its weights and its options, as in a preset."""
Layers = tuple[int, ...] | Literal["last", "all"]

NONE = "none"  # instead of an extractor's name: this modality is left out

# Raised when the same settings begin to give other numbers, so that old tracks are extracted again.
_VALUES_VERSION = 1

# extractor -> its modality, and the weights that its bare name stands for
_OWN: dict[str, tuple[Modality, str]] = {
    "bert": ("text", "bert-base-uncased"),
    "wav2vec": ("audio", "wav2vec2-base"),
    "whisper": ("audio", "whisper-tiny-en"),
    "resnet": ("video", "resnet50"),
    "face": ("video", "efficientnet-lite0"),
    "vit": ("video", "clip-vit-base-patch32"),
}
# What the name of weights gives away before they are here; (words, extractor), the last for all others.
_HINTS: dict[Modality, tuple[tuple[str, str], ...]] = {
    "text": (("", "bert"),),
    "audio": (("whisper", "whisper"), ("", "wav2vec")),
    "video": (("clip|dino|vit", "vit"), ("", "resnet")),
}


@dataclass(frozen=True, slots=True)
class ExtractSettings:
    """How to extract.

    Args:
        preset: whose extractors; `text`, `audio` and `video` replace one of them each.
        text, audio, video: an extractor ("wav2vec"), weights (a catalog name, a hub id, a folder), both
            ("wav2vec:FOLDER"), or "none" to leave the modality out.
        layers: encoder layers of text and audio, side by side; None takes the preset's own, or the last.
        fps: frames looked at in a second of video.
        frames: what of them is looked at; None leaves it to the extractor.
        rate_hz: audio and video in steps of 1 / rate_hz seconds; None keeps the encoders' own. Text keeps its pieces.
        dtype: numbers in the store.
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision, backend: of the computation.
        engine: "local" for this machine, "ray" for a cluster.
        workers: processes; None for one a core, 0 to do all in this one.
        address: of the Ray cluster.

    Raises:
        UsageError: a value makes no sense.
    """

    preset: str = "embedded"
    text: str | None = None
    audio: str | None = None
    video: str | None = None
    layers: Layers | None = None
    fps: float = 2.0
    frames: FramesOf | None = None
    rate_hz: float | None = None
    dtype: Dtype = "fp16"
    device: str = "auto"
    precision: Precision = "auto"
    backend: Backend = "auto"
    engine: Engine = "local"
    workers: int | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        check_device_name(self.device)
        choices = {"dtype": Dtype, "precision": Precision, "backend": Backend, "engine": Engine}
        for name, choice in choices.items():
            _check(name, getattr(self, name), get_args(choice))
        if self.frames is not None:
            _check("frames", self.frames, get_args(FramesOf))
        if isinstance(self.layers, str):
            _check("layers", self.layers, ("last", "all"))
        elif self.layers is not None and (not self.layers or len(set(self.layers)) < len(self.layers)):
            raise UsageError(t("layers must be different numbers, such as 3,6, got {value}", value=self.layers))
        for name, value in (("fps", self.fps), ("rate", self.rate_hz)):
            if value is not None and not 0 < value <= 1000:
                message = "{name} must be above 0 and at most 1000 a second, got {value}"
                raise UsageError(t(message, name=name, value=value))
        if self.workers is not None and self.workers < 0:
            raise UsageError(
                t("{name} must be at least {least}, got {value}", name="workers", least=0, value=self.workers)
            )
        if self.address is not None and self.engine != "ray":
            raise UsageError(t("--address belongs to --engine ray, got --engine {engine}", engine=self.engine))
        for modality in MODALITIES:
            self._chosen(modality)
        if self.text == self.audio == self.video == NONE:
            raise UsageError(t("text, audio and video are all left out; name an extractor for at least one of them"))

    def extractors(self) -> dict[Modality, Choice]:
        """Name each modality's extractor, its weights and its options, as a preset does; what is left out is absent.

        `options["layers"]` is a tuple of numbers or "all". Weights that are on this machine say which extractor they
        are for; of others, their name decides.

        Raises:
            UsageError: no extractor is made for these weights.
            WeightsError: weights on this machine are damaged.
        """
        chosen: dict[Modality, Choice] = {}
        for modality in MODALITIES:
            if (choice := self._chosen(modality)) is not None:
                name, weights, options = choice
                chosen[modality] = (name or _extractor_of(weights, modality), weights, options)
        return chosen

    def _chosen(self, modality: Modality) -> Choice | None:
        """Put together what is asked for, without a look at the weights; the name is "" where they decide."""
        wanted: str | None = getattr(self, modality)
        if wanted == NONE:
            return None
        preset = named_preset(self.preset).extractors[modality]
        name, weights, options = preset if wanted is None else _named(wanted, modality)
        if self.layers is not None and modality != "video":
            options = {**options, "layers": (-1,) if self.layers == "last" else self.layers}
        if self.frames is not None and modality == "video":
            if name != "face":
                options = {**options, "frames": self.frames}
            elif self.frames == "full":
                message = "the extractor face looks at faces only; with --frames full name another: --video resnet"
                raise UsageError(t(message))
        return name, weights, options


def parse_layers(text: str) -> Layers:
    """Read "last", "all" or numbers.

    >>> parse_layers("3, 6"), parse_layers("last")
    ((3, 6), 'last')

    Raises:
        UsageError: it is none of them.
    """
    words: dict[str, Layers] = {"last": "last", "all": "all"}
    try:
        return words.get(text) or tuple(int(number) for number in text.split(","))
    except ValueError as error:
        raise UsageError(t("--layers must be last, all, or numbers such as 3,6, got {value!r}", value=text)) from error


def track_key(provenance: Provenance, settings: ExtractSettings, modality: Modality) -> str:
    """Digest what decides the values of one modality: sha256, 64 hex digits.

    Two tracks of one key may be mixed; a setting that does not touch this modality does not change its key. Where the
    settings say "auto" for precision or backend, give them with what was really chosen.
    """
    decides: dict[str, Any] = {
        "version": _VALUES_VERSION,
        "provenance": asdict(provenance),
        "dtype": settings.dtype,
        "precision": settings.precision,
        "backend": settings.backend,
    }
    if modality != "text":
        decides["rate_hz"] = None if settings.rate_hz is None else float(settings.rate_hz)
    if modality == "video":
        decides["fps"] = float(settings.fps)  # which part of the frames is looked at, the provenance says
    return hashlib.sha256(json.dumps(decides, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _check(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        message = "{name} must be one of {allowed}, got {value!r}"
        raise UsageError(t(message, name=name, allowed=", ".join(allowed), value=value))


def _named(wanted: str, modality: Modality) -> Choice:
    """Find the extractor that `wanted` means: its own name, EXTRACTOR:WEIGHTS, or weights."""
    name, _, weights = wanted.partition(":")
    if name in _OWN:  # not so for C:\weights
        found, usual = _OWN[name]
        if found != modality:
            names = ", ".join(n for n, (m, _) in _OWN.items() if m == modality)
            message = "{name} is an extractor for {found}, not for {modality}; for {modality} there are: {names}"
            raise UsageError(t(message, name=name, found=t(found), modality=t(modality), names=names))
        return name, weights or usual, {}
    if not wanted:
        message = "the extractor for {modality} has an empty name; to leave it out, say none"
        raise UsageError(t(message, modality=t(modality)))
    presets = (preset.extractors[modality] for preset in PRESETS.values())
    return next((choice for choice in presets if choice[1] == wanted), ("", wanted, {}))


def _extractor_of(weights: str, modality: Modality) -> str:
    from trisent.extractors.registry import extractor_for
    from trisent.weights import find

    if find(weights) is not None:
        return extractor_for(modality, weights)
    return next(name for words, name in _HINTS[modality] if re.search(words, weights.lower()))
