"""Run a network in torch, on the CPU or a GPU."""

import copy
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from trisent.extractors.runners import Compute, Inputs

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def prepare(
    network: nn.Module, compute: Compute, *, example: Inputs | None, dynamic: Sequence[Mapping[int, str]]
) -> Callable[..., Tensor]:
    """Move the network to the device, its weights in the precision asked for; what goes in follows."""
    del example, dynamic  # only an exported graph needs them
    dtype, device = _DTYPES[compute.precision], compute.device
    if compute.precision != "fp32":  # whoever finds it too far off goes back to the network as it was
        network = copy.deepcopy(network)
    network = network.to(device, dtype)

    def moved(tensor: Tensor) -> Tensor:
        if device.type == "cuda":  # pinned memory is copied while the GPU computes
            tensor = tensor.pin_memory()
        return tensor.to(device, dtype if tensor.is_floating_point() else None, non_blocking=True)

    def run(*inputs: Tensor) -> Tensor:
        output: Tensor = network(*[moved(tensor) for tensor in inputs])
        return output.float()

    return run
