"""Where training runs and in which precision: accelerate's view of devices, processes and mixed precision."""

import os
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState

from trisent.compute import choose_device, native_bf16
from trisent.errors import UsageError
from trisent.i18n import t
from trisent.training.config import TrainConfig


def make_accelerator(config: TrainConfig) -> Accelerator:
    """Set up what `config` asks for; under `torchrun` or `accelerate launch`, join the other processes.

    Raises:
        UsageError: the device does not exist, or cannot compute in that precision.
    """
    device = choose_device(config.device)
    if config.precision == "fp16" and device.type != "cuda":
        raise UsageError(t("precision fp16 needs a GPU; say bf16 or fp32"))
    # accelerate remembers the first device and precision of a process; the next run may ask for others.
    AcceleratorState._reset_state(reset_partial_state=True)
    if device.index is not None:
        torch.cuda.set_device(device)
    return Accelerator(
        cpu=device.type == "cpu",
        mixed_precision=_precision(config.precision, device),
        # A model need not use all its weights for every batch, e.g. where a modality is absent.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )


def _precision(asked: str, device: torch.device) -> str:
    if asked == "auto":
        return "bf16" if native_bf16(device) else "no"
    return "no" if asked == "fp32" else asked


def is_first_process() -> bool:
    """Say whether this process is the one that writes: the only one, unless `torchrun` or `accelerate launch` began it.

    It can be asked before `make_accelerator`.
    """
    return int(os.environ.get("RANK", "0")) == 0


def machine() -> dict[str, Any]:
    """Tell the device, the precision and how many processes the last `make_accelerator` found."""
    state = AcceleratorState()
    return {"device": state.device, "precision": state.mixed_precision, "processes": state.num_processes}
