"""From the user's own video to sentiment: media, extractors, fusion model, one after the other."""

import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from trisent.checkpoint import Bundle, load_bundle, own_text_encoder
from trisent.compute import choose_device
from trisent.data.cleaning import Cleaning
from trisent.data.provenance import described
from trisent.errors import BundleError
from trisent.extractors.base import Extractor
from trisent.extractors.registry import extractors_like, preset_extractors
from trisent.features.worker import features_of
from trisent.fusion.batch import collate
from trisent.fusion.contributions import contributions
from trisent.i18n import t
from trisent.media.clips import Pictures, read_clips
from trisent.media.listening import listen
from trisent.media.speech import Recogniser
from trisent.media.transcripts import read_transcript
from trisent.types import (
    MODALITIES,
    Clip,
    Features,
    Judgement,
    Modality,
    OnProgress,
    Prediction,
    Provenance,
    VideoPrediction,
    no_progress,
)
from trisent.weights import ensure
from trisent.weights.find import can_be_fetched

logger = logging.getLogger(__name__)

_CLIPS_AT_A_TIME = 8
_KEY_FRAME_HEIGHT = 180


class Predictor:
    """Judges videos with one bundle; weights load once and stay.

        >>> Predictor.from_bundle("embedded").predict("talk.mp4").predictions  # doctest: +SKIP

    Use `from_bundle`; the constructor takes the parts.
    """

    def __init__(
        self,
        bundle: Bundle,
        model: nn.Module,
        extractors: Mapping[Modality, Extractor[Any]],
        *,
        device: torch.device | str = "cpu",
        on_progress: OnProgress = no_progress,
    ) -> None:
        self.bundle = bundle
        self._model, self._extractors, self._device = model.to(device).eval(), dict(extractors), device
        self._on_progress = on_progress
        self._cleaning = bundle.cleaning or Cleaning.nothing()

    @classmethod
    def from_bundle(
        cls,
        where: str | Path = "embedded",
        *,
        preset: str | None = None,
        device: str = "auto",
        on_progress: OnProgress = no_progress,
    ) -> "Predictor":
        """Load a bundle and the extractors it was trained with, fetching weights that are absent.

        Args:
            where: the name of a shipped bundle ("embedded"), or a bundle's folder.
            preset: which extractors made the training features, for a bundle that does not know.
            device: "auto", "cpu", "cuda".
            on_progress: hears of bytes while weights are fetched.

        Raises:
            BundleError: the bundle is broken, does not know its extractors, or was trained with others.
            WeightsError: weights cannot be had.
        """
        bundle, model = load_bundle(where)
        encoder = own_text_encoder(where, bundle)
        known = bundle.extractors or {}
        needed: set[Modality] = set(model.dims)  # type: ignore[arg-type]  # nn.Module types every attribute as a tensor
        chosen = _preset_of(bundle, where, preset)
        if needed <= set(known):
            own: dict[Modality, Path] = {"text": encoder} if encoder else {}
            wanted = {m: _extractor_alone(known[m]) for m in known if m in needed}
            extractors = extractors_like(wanted, device=device, own=own, on_progress=on_progress)
        elif chosen:
            instead: dict[Modality, tuple[Path, Provenance]] = {"text": (encoder, known["text"])} if encoder else {}
            extractors = preset_extractors(chosen, needed, device=device, own=instead, on_progress=on_progress)
        else:
            message = (
                "{bundle} does not know which extractors made its training features. If you know: --preset pretrained "
                "(BERT-base, wav2vec2-base, ResNet-50) or --preset embedded"
            )
            raise BundleError(t(message, bundle=where))
        _check_fit(bundle, model, extractors, where)
        return cls(bundle, model, extractors, device=choose_device(device), on_progress=on_progress)

    @property
    def provenance(self) -> dict[Modality, Provenance]:
        """Which weights make the features of each modality."""
        return {m: e.provenance for m, e in self._extractors.items()}

    @cached_property
    def _recogniser(self) -> Recogniser:
        return Recogniser(ensure("whisper-tiny-en", on_progress=self._on_progress).folder)

    def predict(
        self, video: str | Path, text: str | None = None, *, on_progress: OnProgress = no_progress
    ) -> VideoPrediction:
        """Judge every utterance of a video.

        Args:
            video: any file with sound or pictures that FFmpeg reads.
            text: what is said, as text or the name of a .txt, .srt or .vtt file; without it, speech is recognised.
            on_progress: hears of utterances judged.

        Returns:
            One prediction an utterance, in order of time. What the file lacks is said in `missing`; the judgement then
            rests on what is left.

        Raises:
            MediaError: the file cannot be read, or is cut off.
            UsageError: `text` names a file that is not there, or subtitles that all lie outside the video.
        """
        path = Path(video)
        given = read_transcript(text) if text is not None else None
        speech = listen(path, lambda: self._recogniser, given=given)
        predictions: list[Prediction] = []
        pictures = getattr(self._extractors.get("video"), "pictures", Pictures())
        if (video_as := self._trained_on("video")) and video_as.fps:
            pictures = replace(pictures, fps=video_as.fps)
        clips = read_clips(path, speech.utterances, sound="audio" not in speech.missing, pictures=pictures)
        while some := list(islice(clips, _CLIPS_AT_A_TIME)):
            predictions += self._judge(some, speech.missing)
            on_progress(path.name, len(predictions), len(speech.utterances))
        missing = dict(speech.missing)
        for modality in MODALITIES:
            reasons = [p.missing.get(modality) for p in predictions]
            if all(reasons) and reasons[0]:
                missing.setdefault(modality, reasons[0])
        predictions.sort(key=lambda p: p.utterance.start)  # clips come as they end, and subtitles overlap
        return VideoPrediction(path, speech.duration_s, tuple(predictions), missing)

    def _judge(self, clips: Sequence[Clip], missing: Mapping[Modality, str]) -> Iterator[Prediction]:
        features = self._extract(clips)
        dims = {m: self._cleaning.width(m, e.dim) for m, e in self._extractors.items()}
        judged = contributions(self._model, collate(features, dims).to(self._device))
        probabilities = judged.output.class_logits.softmax(dim=-1).tolist()
        for i, clip in enumerate(clips):
            seen = [m for m in MODALITIES if m in features[i] and features[i][m].mask.any()]
            judgement = Judgement(
                sentiment=float(judged.output.sentiment[i]),
                class_probabilities=tuple(probabilities[i]),
                alone={m: float(judged.alone[m][i]) for m in seen},
                contributions={m: float(judged.shapley[m][i]) for m in seen},
                baseline=float(judged.baseline[i]),
            )
            lacks = {m: self._reason(m, clip, missing) for m in MODALITIES if m not in seen}
            yield Prediction(clip.utterance, judgement, lacks, _key_frame(clip, features[i].get("video")))

    def _reason(self, modality: Modality, clip: Clip, missing: Mapping[Modality, str]) -> str:
        if modality not in self._extractors:
            return t("not part of this model")
        return missing.get(modality) or _reason(modality, clip)

    def _extract(self, clips: Sequence[Clip]) -> list[dict[Modality, Features]]:
        """Run every extractor over the clips that have its modality; average and clean as in training."""
        features: list[dict[Modality, Features]] = [{} for _ in clips]
        for modality, extractor in self._extractors.items():
            trained_on = self._trained_on(modality)
            found = features_of(clips, modality, extractor, rate_hz=trained_on.rate_hz if trained_on else None)
            for of_clip, one in zip(features, found, strict=True):
                one = one.as_one_step() if modality in self.bundle.pooled else one
                of_clip[modality] = self._cleaning.apply_features(one, modality)
        return features

    def _trained_on(self, modality: Modality) -> Provenance | None:
        return (self.bundle.extractors or {}).get(modality)


def _reason(modality: Modality, clip: Clip) -> str:
    if modality == "text":
        return t("no words recognised")
    if modality == "audio":
        return t("too short to hear") if clip.waveform is not None else t("no speech")
    return t("no picture at this time") if clip.frames is None else t("no face")


def _key_frame(clip: Clip, features: Features | None) -> bytes | None:
    """Take the frame of the middle step in which the face was seen, as a small JPEG; else the one in the middle."""
    if clip.frames is None:
        return None
    nearest = len(clip.frames.images) // 2
    if features is not None and features.mask.any() and np.isfinite(features.times).all():
        seen_s = features.times[features.mask] + clip.utterance.start
        nearest = int(np.abs(clip.frames.times - seen_s[len(seen_s) // 2]).argmin())
    image = Image.fromarray(clip.frames.images[nearest])
    image.thumbnail((10 * _KEY_FRAME_HEIGHT, _KEY_FRAME_HEIGHT))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def _preset_of(bundle: Bundle, where: str | Path, preset: str | None) -> str | None:
    """Decide whose extractors to use where the bundle does not know each of them; a contradiction is an error."""
    if bundle.preset and preset and preset != bundle.preset:
        message = "{bundle} was trained on features of the preset {own}, not {asked}; leave out --preset"
        raise BundleError(t(message, bundle=where, own=bundle.preset, asked=preset))
    return bundle.preset or preset


def _extractor_alone(trained: Provenance) -> Provenance:
    """Leave out how features were taken from what an extractor gives."""
    return replace(trained, fps=None, rate_hz=None)


def _check_fit(
    bundle: Bundle, model: nn.Module, extractors: Mapping[Modality, Extractor[Any]], where: str | Path
) -> None:
    """Refuse features of other weights or widths than the model was trained on.

    Raises:
        BundleError: naming the modality, what was expected and what is there.
    """
    dims: Mapping[Modality, int] = model.dims  # type: ignore[assignment]  # nn.Module types every attribute as a tensor
    for modality, dim in dims.items():
        extractor = extractors[modality]
        if bundle.cleaning is not None and modality in bundle.cleaning.columns:
            dim = bundle.cleaning.columns[modality].width  # some of them are left out before the model sees them
        if extractor.dim != dim:
            message = (
                "{bundle}: expects {dim} {modality} features a step, {name} gives {got}; use the bundle's extractors"
            )
            name = extractor.provenance.weights
            raise BundleError(t(message, bundle=where, dim=dim, modality=modality, name=name, got=extractor.dim))
        trained = (bundle.extractors or {}).get(modality)
        if trained is not None and _extractor_alone(trained) != extractor.provenance:
            message = (
                "{bundle}: its {modality} features were made by {trained}, here is {here}; features of different "
                "weights cannot be mixed."
            )
            made_by = {"trained": described(trained), "here": described(extractor.provenance)}
            name = trained.weights.split("+")[0]
            advice = t("Put those it was trained with back into models/{name}", name=name)
            if can_be_fetched(name):
                advice = t("Fetch the right ones: trisent weights pull {name}", name=name)
            raise BundleError(t(message, bundle=where, modality=modality, **made_by) + " " + advice)
