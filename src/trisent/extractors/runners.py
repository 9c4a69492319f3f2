"""How a network is run: which back-end, at which precision, and how far from float32 that is.

A network here is an nn.Module whose forward maps tensors to one tensor. The back-ends are in run_*.py.
"""

import importlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trisent.compute import choose_device, native_bf16
from trisent.errors import TrisentError, UsageError, one_line
from trisent.i18n import t

_log = logging.getLogger(__name__)

PRECISIONS = ("auto", "fp32", "bf16", "int8")
BACKENDS = ("auto", "torch", "openvino", "onnx")
# The least cosine between the pooled outputs and those of float32, over all examples.
BOUNDS = {"fp32": 0.999999, "bf16": 0.9999, "fp16": 0.9999, "int8": 0.998}

Inputs = tuple[Tensor, ...]
Examples = Callable[[], Sequence[Inputs]]


@dataclass(frozen=True, slots=True)
class Compute:
    """Where and how to run: `precision` "auto" takes bf16 (fp16) if it is close enough to float32, else fp32."""

    device: torch.device
    precision: str
    backend: str


@dataclass(frozen=True, slots=True)
class Runner:
    """A network made ready; call it with the network's inputs.

    The result is float32 and may still be under computation on a GPU: fetch it only once all work has been handed over.
    `cosine` is the least pooled cosine to float32 seen on the examples.
    """

    run: Callable[..., Tensor]
    device: torch.device
    backend: str
    precision: str
    cosine: float

    def __call__(self, *inputs: Tensor) -> Tensor:
        with torch.inference_mode():
            return self.run(*inputs)


def choose_compute(*, device: str = "auto", precision: str = "auto", backend: str = "auto") -> Compute:
    """Resolve what the user asked for.

    Raises:
        UsageError: an unknown word, or a combination that does not exist.
    """
    for name, value, words in (("precision", precision, PRECISIONS), ("backend", backend, BACKENDS)):
        if value not in words:
            message = "{name} must be one of {allowed}, got {value!r}"
            raise UsageError(t(message, name=name, allowed=", ".join(words), value=value))
    if backend == "auto":
        backend = "openvino" if precision == "int8" else "torch"
    if backend == "torch":
        if precision == "int8":
            raise UsageError(t("int8 needs another back-end than torch; say --backend openvino, or --precision bf16"))
        return Compute(choose_device(device), precision, backend)
    if device.startswith("cuda"):
        message = "{backend} runs on the CPU, got --device {device}; leave one of them out"
        raise UsageError(t(message, backend=backend, device=device))
    if backend == "onnx" and precision not in ("auto", "fp32"):
        message = "onnx computes in fp32, got --precision {precision}; say --backend openvino"
        raise UsageError(t(message, precision=precision))
    return Compute(torch.device("cpu"), "fp32" if backend == "onnx" else precision, backend)


def make_runner(
    network: nn.Module, compute: Compute, *, examples: Examples, dynamic: Sequence[Mapping[int, str]]
) -> Runner:
    """Make a network ready to run, and measure how far from float32 it is.

    Args:
        network: float32, on the CPU, in evaluation mode; not to be used afterwards.
        compute: where and how.
        examples: gives inputs to export it with (the first) and to measure it on (all), when that is needed; true
            ones, for on noise the distance between precisions says little.
        dynamic: for each input the axes whose size varies, with a name each.

    Raises:
        UsageError: a precision was asked for that is farther from float32 than it may be.
        TrisentError: the package of the back-end is not installed, or it cannot run this network.
    """
    wanted = _reduced(compute) if compute.precision == "auto" else compute.precision
    compute_now = replace(compute, precision=wanted)
    if (compute.backend, wanted) == ("torch", "fp32"):
        return Runner(_prepared(network, compute_now, None, dynamic), compute.device, "torch", "fp32", 1.0)
    inputs = examples()
    with torch.inference_mode():
        expected = [network(*one) for one in inputs]
    run = _prepared(network, compute_now, inputs[0], dynamic)
    unmeasured = Runner(run, compute.device, compute.backend, wanted, 0.0)
    try:
        cosines = [pooled_cosine(unmeasured(*i).cpu(), one) for i, one in zip(inputs, expected, strict=True)]
    except RuntimeError as error:  # torch has no convolutions in bf16 for some processors
        message = "{precision} with {backend} cannot be computed here ({reason}); say --precision fp32 or auto"
        told = {"precision": wanted, "backend": compute.backend, "reason": one_line(error, limit=160)}
        raise UsageError(t(message, **told)) from error
    runner = replace(unmeasured, cosine=min(cosines))
    if runner.cosine >= BOUNDS[wanted]:
        return runner
    if compute.precision == "auto" and wanted != "fp32":
        message = "{precision} is too far from fp32 for these weights (cosine {cosine:.6f}, least {bound}): taking fp32"
        _log.info("%s", t(message, precision=wanted, cosine=runner.cosine, bound=BOUNDS[wanted]))
        return make_runner(network, replace(compute, precision="fp32"), examples=examples, dynamic=dynamic)
    message = (
        "{precision} with {backend} is too far from fp32 for these weights: cosine {cosine:.6f}, it must be at least "
        "{bound}. Say --precision fp32 or auto"
    )
    raise UsageError(
        t(
            message,
            precision=runner.precision,
            backend=runner.backend,
            cosine=runner.cosine,
            bound=BOUNDS[runner.precision],
        )
    )


def _reduced(compute: Compute) -> str:
    """Name the faster precision that the processor really has; "fp32" if there is none."""
    if native_bf16(compute.device):
        return "bf16"
    return "fp16" if compute.device.type == "cuda" else "fp32"


def _prepared(
    network: nn.Module, compute: Compute, example: Inputs | None, dynamic: Sequence[Mapping[int, str]]
) -> Callable[..., Tensor]:
    module = importlib.import_module(f"trisent.extractors.run_{compute.backend}")  # heavy, and may not be installed
    run: Callable[..., Tensor] = module.prepare(network, compute, example=example, dynamic=dynamic)
    return run


def pooled_cosine(ours: Tensor, theirs: Tensor) -> float:
    """Return the cosine between two outputs [..., dim], each averaged to [dim]; 0 for anything that is no number."""
    a, b = (x.double().reshape(-1, x.shape[-1]).mean(dim=0) for x in (ours, theirs))
    return float(torch.nan_to_num(F.cosine_similarity(a, b, dim=0)))


def missing_package(error: ImportError, *, extra: str) -> TrisentError:
    """Say which extra brings the package that could not be imported."""
    message = '{extra} cannot be imported ({reason}); run: pip install -c constraints.txt "trisent[{extra}]"'
    return TrisentError(t(message, extra=extra, reason=error))
