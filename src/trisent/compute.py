"""Which processor the networks run on."""

import logging
import re
from typing import TYPE_CHECKING

from trisent.errors import UsageError
from trisent.i18n import t

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)


def choose_device(name: str = "auto") -> "torch.device":
    """Turn "auto", "cpu", "cuda" or "cuda:1" into a device that exists.

    "auto" takes the first GPU if there is one. Asking for CUDA where there is none is not fatal, since the work can be
    done all the same, but it is said loudly: a run on the CPU that was meant for a GPU wastes a night.

    Raises:
        UsageError: the name is none of these, or the machine has fewer GPUs than the name asks for.
    """
    import torch

    check_device_name(name)
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        _log.warning(
            "%s",
            t(
                "CUDA IS NOT AVAILABLE: {name} was asked for, running on the CPU instead, which is slower "
                "(torch {version}). Install a CUDA build of torch (https://pytorch.org/get-started/locally), "
                "or say --device cpu.",
                name=name,
                version=torch.__version__,
            ),
        )
        return torch.device("cpu")
    device = torch.device("cuda" if name == "auto" else name)
    if (device.index or 0) >= torch.cuda.device_count():
        message = t(
            "{name} was asked for, this machine has {count} GPU(s): cuda:0 to cuda:{last}. "
            "Say one of them, or --device cpu.",
            name=name,
            count=torch.cuda.device_count(),
            last=torch.cuda.device_count() - 1,
        )
        raise UsageError(message)
    return device


def check_device_name(name: str) -> None:
    """Refuse what names no device, whether or not this machine has it.

    Raises:
        UsageError: the name is not auto, cpu, cuda or cuda:N.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise UsageError(t("--device must be auto, cpu, cuda or cuda:N, got {name!r}", name=name))


def native_bf16(device: "torch.device") -> bool:
    """Say whether a processor multiplies bf16 numbers itself; on others that is slower than float32."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
