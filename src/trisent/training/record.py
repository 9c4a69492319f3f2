"""What a run leaves behind besides its model: how it came about, and what it says of the validation split."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import accelerate
import numpy as np
import torch
from numpy.typing import NDArray

from trisent import __version__
from trisent.data.dataset import Dataset
from trisent.data.resplit import videos_of
from trisent.evaluation.predictions import Predictions, predictions_of
from trisent.training.judging import Judged

RUN = "run.json"
PREDICTIONS = "predictions-valid.csv"
_GIT_S = 10  # seconds that git may take


def predictions_on(dataset: Dataset, index: NDArray[np.int64], judged: Judged) -> Predictions:
    """Put judgements beside the labels; the column `length` holds the steps of the longest modality.

    Args:
        dataset: the data set.
        index: the utterances that were judged, in their order.
        judged: what was said of them.
    """
    videos = videos_of(dataset)
    lengths = np.max([s.lengths for s in dataset.features.values()], axis=0) if dataset.features else None
    return predictions_of(
        judged.sentiment,
        dataset.sentiment[index],
        ids=[dataset.ids[i] for i in index],
        videos=[videos[i] or dataset.ids[i] for i in index] if any(videos) else None,
        probabilities=judged.probabilities,
        stretch=dataset.stretch,
        columns={} if lengths is None else {"length": tuple(str(lengths[i]) for i in index)},
    )


def environment(*, device: torch.device, precision: str, processes: int) -> dict[str, Any]:
    """Tell what the run ran on, as JSON values."""
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "trisent": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "accelerate": accelerate.__version__,
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": str(device),
        "gpu": gpu,
        "precision": precision,
        "processes": processes,
    }


def git_state(folder: Path) -> dict[str, Any] | None:
    """Tell which commit a folder is at and whether files differ from it; None outside a repository or without git."""
    commit, changes = _git(folder, "rev-parse", "HEAD"), _git(folder, "status", "--porcelain")
    return None if commit is None else {"commit": commit, "changed": bool(changes)}


def command() -> str:
    """Return the command line of this process."""
    return " ".join(sys.argv)


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=_GIT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
