"""Settings of an extraction: what is refused, which extractors they mean, and what they invalidate."""

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trisent.config import PRESETS
from trisent.errors import UsageError
from trisent.extractors.registry import EXTRACTORS, extractor_class
from trisent.features import settings
from trisent.features.settings import ExtractSettings, parse_layers, track_key
from trisent.types import MODALITIES, Provenance
from unit.extractors import tiny

WRONG = [
    ({"preset": "nonsense"}, "embedded"),
    ({"text": "none", "audio": "none", "video": "none"}, "all left out"),
    ({"text": "wav2vec"}, "wav2vec is an extractor for audio, not for text; for text there are: bert"),
    ({"video": ""}, "empty name"),
    ({"layers": ()}, "layers"),
    ({"layers": (3, 3)}, "layers"),
    ({"layers": "first"}, "layers must be one of last, all"),
    ({"fps": 0.0}, "fps must be above 0"),
    ({"fps": float("nan")}, "fps"),
    ({"rate_hz": -1.0}, "rate"),
    ({"frames": "half"}, "frames must be one of face, full"),
    ({"dtype": "int4"}, "dtype must be one of fp16, fp32"),
    ({"precision": "fp8"}, "precision"),
    ({"backend": "caffe"}, "backend"),
    ({"engine": "slurm"}, "engine"),
    ({"workers": -1}, "workers must be at least 0"),
    ({"frames": "full"}, "looks at faces only"),
    ({"frames": "full", "video": "face"}, "looks at faces only"),
    ({"address": "ray://head:10001"}, "--address belongs to --engine ray"),
]


@pytest.mark.parametrize(("values", "says"), WRONG, ids=str)
def test_what_makes_no_sense_is_wrong_use(values: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        ExtractSettings(**values)


def test_without_names_the_preset_decides() -> None:
    for preset in PRESETS.values():
        assert ExtractSettings(preset=preset.name).extractors() == preset.extractors


def test_a_name_replaces_one_modality_and_none_leaves_it_out() -> None:
    chosen = ExtractSettings(text="bert-base-uncased", video="none").extractors()
    assert chosen == {
        "text": ("bert", "bert-base-uncased", {}),
        "audio": PRESETS["embedded"].extractors["audio"],
    }


@pytest.mark.parametrize(
    ("modality", "name", "extractor", "weights"),
    [
        ("text", "bert", "bert", "bert-base-uncased"),
        ("text", "bert-base-chinese", "bert", "bert-base-chinese"),
        ("text", "minilm-l6", "bert", "minilm-l6"),
        ("audio", "wav2vec", "wav2vec", "wav2vec2-base"),
        ("audio", "ORG/whisper-small", "whisper", "ORG/whisper-small"),
        ("audio", "whisper:ORG/NAME", "whisper", "ORG/NAME"),
        ("audio", r"C:\models\wav2vec2-base", "wav2vec", r"C:\models\wav2vec2-base"),
        ("video", "face", "face", "efficientnet-lite0"),
        ("video", "vit", "vit", "clip-vit-base-patch32"),
        ("video", "dinov2-base", "vit", "dinov2-base"),
        ("video", "models/resnet50", "resnet", "models/resnet50"),
    ],
)
def test_extractors_are_named_by_themselves_or_by_their_weights(
    modality: str, name: str, extractor: str, weights: str
) -> None:
    chosen = ExtractSettings(**{modality: name})  # type: ignore[arg-type]
    found = {m: choice for m, choice in chosen.extractors().items() if m == modality}
    assert [choice[:2] for choice in found.values()] == [(extractor, weights)]


def test_weights_that_are_here_say_themselves_what_they_are_for(tmp_path: Path) -> None:
    folder = tmp_path / "whisper in name only"
    tiny.wav2vec(folder)
    assert ExtractSettings(audio=str(folder)).extractors()["audio"] == ("wav2vec", str(folder), {})
    with pytest.raises(UsageError, match="wav2vec2"):
        ExtractSettings(video=str(folder)).extractors()


def test_the_table_of_extractors_agrees_with_the_registry() -> None:
    assert set(settings._OWN) == set(EXTRACTORS)
    for name, (modality, weights) in settings._OWN.items():
        made = extractor_class(name)
        assert made.modality == modality
        assert inspect.signature(made).parameters["model_name"].default == weights


def test_frames_are_an_option_of_extractors_that_can_look_at_either() -> None:
    chosen = ExtractSettings(preset="pretrained", frames="face").extractors()
    assert chosen["video"] == ("resnet", "resnet50", {"frames": "face"})
    assert ExtractSettings(frames="face").extractors()["video"] == ("face", "efficientnet-lite0", {})


def test_layers_are_those_of_text_and_audio() -> None:
    own = ExtractSettings().extractors()
    assert own["text"][2]["layers"] == (3, 6)
    for given, expected in (("last", (-1,)), ("all", "all"), ((1, 2), (1, 2))):
        chosen = ExtractSettings(layers=given).extractors()  # type: ignore[arg-type]
        assert chosen["text"][2]["layers"] == chosen["audio"][2]["layers"] == expected
        assert "layers" not in chosen["video"][2]
    assert ExtractSettings().extractors() == own  # the preset itself is as it was


@pytest.mark.parametrize(("text", "layers"), [("last", "last"), ("all", "all"), ("6", (6,)), ("0, 3,-1", (0, 3, -1))])
def test_layers_are_read_from_words(text: str, layers: Any) -> None:
    assert parse_layers(text) == layers


@pytest.mark.parametrize("text", ["", "first", "3,", "3-6", "1.5"])
def test_layers_that_are_none_are_wrong_use(text: str) -> None:
    with pytest.raises(UsageError, match="--layers must be"):
        parse_layers(text)


PROVENANCE = Provenance("bert", "minilm-l6", "ab" * 32, (3, 6), "WordPiece")

# setting -> the modalities whose values it changes
CHANGES = {
    "fps": (3.0, {"video"}),
    "frames": ("face", set()),  # what it changes is in the provenance
    "rate_hz": (10.0, {"audio", "video"}),
    "dtype": ("fp32", set(MODALITIES)),
    "precision": ("fp32", set(MODALITIES)),
    "backend": ("torch", set(MODALITIES)),
    "device": ("cpu", set()),
    "workers": (3, set()),
    "engine": ("ray", set()),
    "preset": ("pretrained", set()),  # likewise
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_setting_changes_the_keys_of_the_modalities_it_touches(name: str) -> None:
    value, touched = CHANGES[name]
    before, after = ExtractSettings(), ExtractSettings(**{name: value})  # type: ignore[arg-type]
    assert {m for m in MODALITIES if track_key(PROVENANCE, before, m) != track_key(PROVENANCE, after, m)} == touched


@pytest.mark.parametrize(
    "changes", [{"extractor": "x"}, {"digest": "cd" * 32}, {"layers": (6,)}, {"preprocessing": "cased"}], ids=str
)
def test_other_weights_layers_or_preprocessing_change_the_key(changes: dict[str, Any]) -> None:
    told = ExtractSettings()
    assert track_key(PROVENANCE, told, "text") != track_key(replace(PROVENANCE, **changes), told, "text")


def test_whole_numbers_make_the_same_key_as_others() -> None:
    one, other = ExtractSettings(fps=2, rate_hz=10), ExtractSettings(fps=2.0, rate_hz=10.0)
    assert track_key(PROVENANCE, one, "video") == track_key(PROVENANCE, other, "video")
