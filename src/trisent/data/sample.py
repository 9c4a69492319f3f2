"""A practice set in the guide's format, made of random numbers."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from trisent.errors import DataError
from trisent.files import write_whole
from trisent.i18n import t
from trisent.types import Modality

# What the guide's encoders give: BERT-base, wav2vec2-base, ResNet-50.
GUIDE_DIMS: dict[Modality, int] = {"text": 768, "audio": 768, "video": 2048}


def write_sample(folder: Path, *, seed: int = 0, rows: tuple[int, int, int] = (512, 128, 128)) -> None:
    """Write a small SYNTHETIC set in the guide's format: made of random numbers, good for trying commands only.

    A hidden vector of 16 numbers decides the sentiment and, through a random linear map and noise, the features of
    every modality; text is the least noisy, as in life.

    Args:
        folder: made if need be; must be empty.
        seed: the same seed writes the same numbers.
        rows: utterances of train, valid and test.

    Raises:
        DataError: the folder has something in it.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(
            t("{folder} is not an empty folder, and nothing is overwritten. Name a new one.", folder=folder)
        )
    random = np.random.default_rng(seed)
    noise: dict[Modality, float] = {"text": 2.0, "audio": 6.0, "video": 8.0}
    maps = {m: random.standard_normal((16, dim)) / 4.0 for m, dim in GUIDE_DIMS.items()}
    direction = random.standard_normal(16) / 4.0
    files: dict[str, bytes] = {
        "README.txt": _SAMPLE_README.encode(),
        "features.json": json.dumps({"synthetic": True, "preset": None, "extractors": {}, "seed": seed}).encode(),
    }
    for name, n in zip(("train.npz", "val.npz", "test.npz"), rows, strict=True):
        hidden = random.standard_normal((n, 16))
        sentiment = 1.3 * hidden @ direction + 0.3 * random.standard_normal(n)
        arrays: dict[str, Any] = {  # Any: savez has a keyword of another type
            f"{m}_features": (hidden @ maps[m] + noise[m] * random.standard_normal((n, dim))).astype(np.float32)
            for m, dim in GUIDE_DIMS.items()
        }
        buffer = io.BytesIO()
        arrays["labels"] = np.clip(np.round(sentiment), -3, 3).astype(np.int64) + 3
        np.savez(buffer, **arrays)
        files[name] = buffer.getvalue()
    write_whole(folder, files)


_SAMPLE_README = """\
SYNTHETIC DATA. 这是合成数据，不是真实数据。

The numbers in this folder were drawn at random by `trisent data sample`. They have the shape of the guide's training
folder, so that every command can be tried; scores on them say nothing about sentiment, and no figure from them belongs
in a paper. 这里的数字是随机生成的，只用于试跑命令，其分数没有任何意义。

    train.npz  val.npz  test.npz
        text_features [n, 768]  audio_features [n, 768]  video_features [n, 2048]  float32
        labels [n]  whole numbers 0..6 = round(sentiment) + 3

    python scripts/train_pretrained.py --data-dir THIS_FOLDER --epochs 50 --batch-size 32 --lr 1e-4
"""
