"""Checkpoints of the true architectures, some tens of numbers wide, in files named and laid out like the real ones."""

import json
import string
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForPreTraining,
    Dinov2Config,
    Dinov2Model,
    Wav2Vec2Config,
    Wav2Vec2ForPreTraining,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

from trisent.extractors.loading import quiet_transformers

_Model = TypeVar("_Model", bound=nn.Module)

WORDS = ["good", "bad", "film", "the", "a", "i", "love", "##ed"]
_PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *string.ascii_lowercase, *".,!?'", "很", "好"]
VOCABULARY = list(dict.fromkeys([*_PIECES, *(f"##{letter}" for letter in string.ascii_lowercase)]))

WAV2VEC_CONFIG = {
    "model_type": "wav2vec2",
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": [8] * 7,  # kernels and strides are wav2vec2-base's: the defaults
    "feat_extract_norm": "group",
    "do_stable_layer_norm": False,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "num_codevectors_per_group": 4,
    "codevector_dim": 8,
    "proj_codevector_dim": 8,
}


def drawn(name: str, like: Tensor) -> Tensor:
    """Draw a tensor that depends on its name and shape alone, so golden features outlive new initialisers."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    if like.dtype == torch.int64:
        return like.clone()
    numbers = random.standard_normal(tuple(like.shape))
    if name.endswith("running_var"):
        numbers = 0.5 + numbers**2
    elif like.ndim > 1:
        numbers *= 2 / np.sqrt(np.prod(like.shape[1:]))  # keeps the size of what passes through
    return torch.tensor(numbers, dtype=torch.float32)


def filled(model: _Model) -> _Model:
    """Fill a network with drawn numbers; tied tensors stay tied."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(drawn(name, parameter))
    return model.eval()


def bert(folder: Path, *, file: str = "model.safetensors", **config: int) -> BertForPreTraining:
    """Save a BERT as models/bert-base-uncased holds it, with the tensor names of 2018; return the source."""
    settings = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, **config}
    model = filled(BertForPreTraining(BertConfig(vocab_size=len(VOCABULARY), **settings)))
    state = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in model.state_dict().items()
        if not name.endswith("decoder.bias")
    }
    state["bert.embeddings.position_ids"] = torch.arange(512)[None]
    saved(state, folder / file)
    document = {"model_type": "bert", "architectures": ["BertForMaskedLM"], "vocab_size": len(VOCABULARY), **settings}
    (folder / "config.json").write_text(json.dumps(document), encoding="utf-8")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true, "model_max_length": 512}', encoding="utf-8")
    return model


def wav2vec(folder: Path, **config: object) -> Wav2Vec2ForPreTraining:
    """Save a wav2vec 2.0 as models/wav2vec2-base holds it: a pretraining checkpoint; return the source."""
    model = filled(Wav2Vec2ForPreTraining(Wav2Vec2Config(**WAV2VEC_CONFIG | config)))
    names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    state = {}
    for name, tensor in model.state_dict().items():
        for new, old in names.items():
            name = name.replace(new, old)
        state[name] = tensor
    saved(state, folder / "pytorch_model.bin")
    document = WAV2VEC_CONFIG | config | {"architectures": ["Wav2Vec2ForPreTraining"]}
    (folder / "config.json").write_text(json.dumps(document), encoding="utf-8")
    prepare = {"do_normalize": True, "feature_size": 1, "padding_side": "right", "padding_value": 0.0}
    prepare |= {"return_attention_mask": False, "sampling_rate": 16000}
    (folder / "preprocessor_config.json").write_text(json.dumps(prepare), encoding="utf-8")
    return model


def whisper(folder: Path) -> WhisperForConditionalGeneration:
    """Save a Whisper in transformers' format; return the source."""
    ids = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 1)
    config = WhisperConfig(
        d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=24, decoder_ffn_dim=24, vocab_size=8, max_target_positions=4, begin_suppress_tokens=None, **ids,
    )  # fmt: skip
    model = filled(WhisperForConditionalGeneration(config))
    with quiet_transformers():
        model.save_pretrained(folder)
    return model


def resnet_state(*, width: int = 8, depths: tuple[int, ...] = (3, 4, 6, 3)) -> dict[str, Tensor]:
    """Draw a bottleneck ResNet under torchvision's names; `width` is that of the stem, 64 in ResNet-50."""
    state: dict[str, Tensor] = {}

    def conv(name: str, outputs: int, inputs: int, kernel: int) -> None:
        state[f"{name}.weight"] = drawn(name, torch.empty(outputs, inputs, kernel, kernel))

    def norm(name: str, channels: int) -> None:
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            state[f"{name}.{leaf}"] = drawn(f"{name}.{leaf}", torch.empty(channels))
        if name.endswith("bn3"):
            state[f"{name}.weight"] *= 0.1  # sixteen residuals must not add up to millions
        state[f"{name}.num_batches_tracked"] = torch.tensor(0)

    conv("conv1", width, 3, 7), norm("bn1", width)
    inputs = width
    for stage, depth in enumerate(depths, start=1):
        narrow = width * 2 ** (stage - 1)
        for block in range(depth):
            at = f"layer{stage}.{block}"
            for i, (o, k) in enumerate(((narrow, 1), (narrow, 3), (4 * narrow, 1)), start=1):
                conv(f"{at}.conv{i}", o, inputs if i == 1 else narrow, k), norm(f"{at}.bn{i}", o)
            if block == 0:
                conv(f"{at}.downsample.0", 4 * narrow, inputs, 1), norm(f"{at}.downsample.1", 4 * narrow)
            inputs = 4 * narrow
    state["fc.weight"], state["fc.bias"] = drawn("fc", torch.empty(10, inputs)), torch.zeros(10)
    return state


def resnet(folder: Path, *, file: str = "resnet50-0676ba61.pth", width: int = 8) -> dict[str, Tensor]:
    """Save a ResNet with the depths of ResNet-50 as torchvision does, or as timm's safetensors; return its tensors."""
    state = resnet_state(width=width)
    saved(state, folder / file)
    return state


def dinov2(folder: Path) -> Dinov2Model:
    """Save a DINOv2 with what it wants pictures to be like; return the source."""
    settings = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}
    model = filled(Dinov2Model(Dinov2Config(**settings)))
    keep(model, folder)
    prepare = {"size": 32, "crop_size": 28, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.2]}
    (folder / "preprocessor_config.json").write_text(json.dumps(prepare), encoding="utf-8")
    return model


def keep(model: nn.Module, folder: Path) -> None:
    """Save a network of transformers as its makers do."""
    with quiet_transformers():
        model.save_pretrained(folder)


def saved(state: Mapping[str, Tensor], file: Path) -> Path:
    """Write tensors to safetensors or torch's format, by the file's name."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".safetensors":
        save_file({name: tensor.clone().contiguous() for name, tensor in state.items()}, file, {"format": "pt"})
    else:
        torch.save({name: tensor.clone() for name, tensor in state.items()}, file)
    return file


def sound(seconds: float, *, seed: int = 0) -> np.ndarray:
    """Make a waveform of `seconds`: float32 mono 16 kHz."""
    return (np.random.default_rng(seed).standard_normal(int(seconds * 16_000)) / 10).astype(np.float32)
