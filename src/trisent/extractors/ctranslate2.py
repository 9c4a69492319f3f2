"""Read the encoder of a Whisper that was published for CTranslate2 (`model.bin`) into transformers' WhisperEncoder.

The file holds: version u32, name, revision u32, count u32; then per tensor name, rank u8, dims u32, type u8, bytes u32,
data; then aliases. Strings are a u16 length and bytes that end in NUL. (ctranslate2/specs/model_spec.py)
"""

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from trisent.errors import WeightsError, one_line
from trisent.extractors.backend import transformers
from trisent.extractors.loading import Encoder
from trisent.i18n import t

_TYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)


def _number(file: BinaryIO, code: str) -> int:
    size = struct.calcsize(f"<{code}")
    return int(struct.unpack(f"<{code}", file.read(size))[0])


def _string(file: BinaryIO) -> str:
    return file.read(_number(file, "H")).rstrip(b"\0").decode()


def _read_tensors(path: Path, prefix: str) -> dict[str, np.ndarray]:
    """Read the tensors whose names begin with `prefix`; the others are skipped in the file."""
    tensors: dict[str, np.ndarray] = {}
    with path.open("rb") as file:
        _number(file, "I"), _string(file), _number(file, "I")  # version, name, revision
        for _ in range(_number(file, "I")):
            name = _string(file)
            shape = [_number(file, "I") for _ in range(_number(file, "B"))]
            dtype, size = np.dtype(_TYPES[_number(file, "B")]), _number(file, "I")
            if name.startswith(prefix):
                tensors[name.removeprefix(prefix)] = np.frombuffer(file.read(size), dtype).reshape(shape)
            else:
                file.seek(size, 1)
        for _ in range(_number(file, "I")):
            alias, name = _string(file), _string(file)
            if alias.startswith(prefix) and name.startswith(prefix):
                tensors[alias.removeprefix(prefix)] = tensors[name.removeprefix(prefix)]
    return tensors


def read_encoder(path: Path) -> Encoder:
    """Build transformers' WhisperEncoder from `model.bin`, float32, evaluation mode.

    Raises:
        WeightsError: the file is no CTranslate2 Whisper, or is quantised.
    """
    config_class = transformers().WhisperConfig
    encoder_class = transformers().models.whisper.modeling_whisper.WhisperEncoder
    try:
        tensors = _read_tensors(path, "encoder/")
        layers = sum(name.endswith("self_attention/layer_norm/gamma") for name in tensors)
        width, mels, _ = tensors["conv1/weight"].shape
        config = config_class(
            d_model=width,
            num_mel_bins=mels,
            encoder_layers=layers,
            encoder_attention_heads=int(tensors["num_heads"]),
            encoder_ffn_dim=len(tensors["layer_0/ffn/linear_0/bias"]),
            max_source_positions=len(tensors["position_encodings/encodings"]),
        )
        encoder = encoder_class(config)
        encoder.load_state_dict(_state(tensors, layers), strict=True)
    except (struct.error, KeyError, IndexError, ValueError, RuntimeError, UnicodeDecodeError) as error:
        message = "{path}: is no float CTranslate2 Whisper model ({reason})"
        raise WeightsError(t(message, path=path, reason=one_line(error))) from error
    return encoder.eval()


def _state(tensors: dict[str, np.ndarray], layers: int) -> dict[str, Tensor]:
    """Rename CTranslate2's tensors to transformers'; the fused query-key-value projection is taken apart."""

    def tensor(name: str) -> Tensor:
        return torch.from_numpy(tensors[name].astype(np.float32))

    state = {"embed_positions.weight": tensor("position_encodings/encodings")}
    pairs = {"conv1": "conv1", "conv2": "conv2", "layer_norm": "layer_norm"}
    for i in range(layers):
        ours, theirs = f"layers.{i}", f"layer_{i}"
        pairs |= {
            f"{ours}.self_attn_layer_norm": f"{theirs}/self_attention/layer_norm",
            f"{ours}.self_attn.out_proj": f"{theirs}/self_attention/linear_1",
            f"{ours}.final_layer_norm": f"{theirs}/ffn/layer_norm",
            f"{ours}.fc1": f"{theirs}/ffn/linear_0",
            f"{ours}.fc2": f"{theirs}/ffn/linear_1",
        }
        fused = f"{theirs}/self_attention/linear_0"
        weights, biases = tensor(f"{fused}/weight").chunk(3), tensor(f"{fused}/bias").chunk(3)
        for name, weight, bias in zip(("q_proj", "k_proj", "v_proj"), weights, biases, strict=True):
            state[f"{ours}.self_attn.{name}.weight"] = weight
            if name != "k_proj":  # Whisper's keys have no bias; CTranslate2 stores zeros
                state[f"{ours}.self_attn.{name}.bias"] = bias
    for ours, theirs in pairs.items():
        is_norm = f"{theirs}/gamma" in tensors
        state[f"{ours}.weight"] = tensor(f"{theirs}/{'gamma' if is_norm else 'weight'}")
        state[f"{ours}.bias"] = tensor(f"{theirs}/{'beta' if is_norm else 'bias'}")
    return state
