"""Whatever changes an extractor's numbers changes what its features say of where they come from."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from trisent.extractors.audio import Wav2VecAudioExtractor
from trisent.extractors.loading import quiet_transformers
from trisent.extractors.text import BERTTextExtractor
from trisent.extractors.vit import ViTVideoExtractor
from trisent.extractors.whisper import WhisperAudioExtractor
from trisent.types import Frames
from unit.extractors import tiny

FOLDER = Path("models/mine")


def text() -> Any:
    tiny.bert(FOLDER)
    return lambda: BERTTextExtractor(str(FOLDER)), ["I love the good, bad film!"]


def in_parts() -> Any:
    """Save the same BERT cut into three files."""
    model = tiny.bert(FOLDER)
    (FOLDER / "model.safetensors").unlink()
    with quiet_transformers():
        model.save_pretrained(FOLDER, max_shard_size="16KB")
    return lambda: BERTTextExtractor(str(FOLDER)), ["I love the good, bad film!"]


def sound() -> Any:
    tiny.wav2vec(FOLDER, feat_extract_norm="layer", conv_bias=True)  # group norm would undo any scale
    return lambda: Wav2VecAudioExtractor(str(FOLDER)), [3 * tiny.sound(0.5)]


def mel() -> Any:
    tiny.whisper(FOLDER)
    return lambda: WhisperAudioExtractor(str(FOLDER)), [tiny.sound(0.5)]


def pictures() -> Any:
    tiny.dinov2(FOLDER)
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 30, 3), np.uint8)
    return lambda: ViTVideoExtractor(str(FOLDER)), [Frames(images, np.arange(2, dtype=np.float32))]


def setting(file: str, **values: object) -> Callable[[], None]:
    """Change what a JSON file says."""

    def change() -> None:
        path = FOLDER / file
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def other_vocabulary() -> None:
    """Let two words change places."""
    words = ["love", "film"]
    pieces = (FOLDER / "vocab.txt").read_text(encoding="utf-8").split("\n")
    swapped = dict(zip(words, reversed(words), strict=True))
    (FOLDER / "vocab.txt").write_text("\n".join(swapped.get(p, p) for p in pieces), encoding="utf-8")


def other_last_part() -> None:
    """Change the numbers of the last layer, which are not in the first file."""
    index = json.loads((FOLDER / "model.safetensors.index.json").read_text())["weight_map"]
    file = index["bert.encoder.layer.1.output.dense.weight"]
    assert file != min(index.values())
    state = load_file(FOLDER / file)
    tiny.saved({name: -tensor if "layer.1.output.dense" in name else tensor for name, tensor in state.items()},
               FOLDER / file)  # fmt: skip


@pytest.mark.parametrize(
    ("make", "change"),
    [
        pytest.param(text, other_vocabulary, id="vocabulary"),
        pytest.param(text, setting("tokenizer_config.json", do_lower_case=False), id="case"),
        pytest.param(text, setting("config.json", num_attention_heads=4), id="heads"),
        pytest.param(text, setting("config.json", hidden_act="relu"), id="activation"),
        pytest.param(in_parts, other_last_part, id="a later part"),
        pytest.param(sound, setting("preprocessor_config.json", do_normalize=False), id="scale of sound"),
        pytest.param(sound, setting("config.json", layer_norm_eps=0.1), id="norm"),
        pytest.param(mel, setting("config.json", activation_function="relu"), id="whisper's activation"),
        pytest.param(pictures, setting("preprocessor_config.json", image_mean=[0, 0, 0]), id="mean of pictures"),
        pytest.param(pictures, setting("config.json", hidden_act="relu"), id="dinov2's activation"),
    ],
)
def test_other_numbers_come_from_elsewhere(make: Callable[[], Any], change: Callable[[], None]):
    extractor, raw = make()
    before, again = extractor(), extractor()
    assert again.provenance == before.provenance
    [values] = before.extract(raw)
    change()
    after = extractor()
    [others] = after.extract(raw)
    assert others.values.shape != values.values.shape or not np.allclose(others.values, values.values, atol=1e-5)
    assert after.provenance != before.provenance
