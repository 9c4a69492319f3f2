"""Write the golden features anew: python tests/golden/make.py. Look at what changed before you keep it.

Tiny networks of the three pretrained architectures, filled with numbers that depend on tensor names alone, read one
fixed input each. What is stored: what goes into the network, every layer, and the features.
"""
# ruff: noqa: E402 - as a script it first says where trisent and the tests' own modules are

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save

HERE = Path(__file__).resolve().parent
if __name__ == "__main__":
    sys.path[:0] = [str(HERE.parents[1] / "src"), str(HERE.parent)]

from trisent.extractors.audio import Wav2VecAudioExtractor
from trisent.extractors.resnet import ResNetVideoExtractor, prepare
from trisent.extractors.text import BERTTextExtractor
from trisent.types import Frames, Word
from unit.extractors import tiny

WORDS = tuple(Word(i / 2, i / 2 + 0.4, text) for i, text in enumerate(["I", "loved", "the", "film,", "not", "bad!"]))


def text(folder: Path) -> dict[str, np.ndarray]:
    """BERT on six words with times."""
    tiny.bert(folder)
    [features] = BERTTextExtractor(str(folder), layers=(0, 1, 2)).extract([WORDS])
    return {"features": features.values, "times": features.times}


def audio(folder: Path) -> dict[str, np.ndarray]:
    """wav2vec 2.0 on half a second of two tones."""
    tiny.wav2vec(folder)
    seconds = np.arange(8000) / 16_000
    waveform = (np.sin(2 * np.pi * 220 * seconds) + np.sin(2 * np.pi * 331 * seconds)).astype(np.float32) / 4
    [features] = Wav2VecAudioExtractor(str(folder), layers=(0, 1, 2)).extract([waveform])
    return {"input": waveform, "features": features.values, "times": features.times}


def video(folder: Path) -> dict[str, np.ndarray]:
    """ResNet on two colour gradients."""
    tiny.resnet(folder)
    across, down = np.meshgrid(np.linspace(0, 255, 320), np.linspace(0, 255, 240))
    images = np.stack([np.stack(c, -1) for c in ((across, down, 255 - down), (down, 255 - across, across))])
    frames = Frames(images.astype(np.uint8), np.array([0.25, 0.75], np.float32))
    [features] = ResNetVideoExtractor(str(folder)).extract([frames])
    # Every eighth pixel is enough to see a change of the preprocessing.
    return {"input": prepare(frames.images[0])[:, ::8, ::8], "features": features.values, "times": features.times}


MAKERS = {"text": text, "audio": audio, "video": video}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, maker in MAKERS.items():
        with tempfile.TemporaryDirectory() as folder:
            tensors = {key: np.ascontiguousarray(values) for key, values in maker(Path(folder)).items()}
        (HERE / f"{name}.safetensors").write_bytes(save(tensors))
        sys.stdout.write(f"{name}: { ({key: values.shape for key, values in tensors.items()}) }\n")
