"""Run a network in OpenVINO, on the CPU."""

import importlib
import io
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

import torch
from torch import Tensor, nn

from trisent.errors import TrisentError, UsageError, one_line
from trisent.extractors.loading import quiet_transformers
from trisent.extractors.runners import Compute, Inputs, missing_package
from trisent.i18n import t

_HINTS = {"fp32": "f32", "bf16": "bf16"}


def prepare(
    network: nn.Module, compute: Compute, *, example: Inputs, dynamic: Sequence[Mapping[int, str]]
) -> Callable[..., Tensor]:
    """Convert and compile the network for as many threads as torch may use.

    Raises:
        UsageError: the processor does not have the precision: it is a hint to OpenVINO, which goes on in float32.
        TrisentError: OpenVINO (for int8 also NNCF) is not installed, or cannot convert this network.
    """
    with _quietly():
        try:
            openvino: Any = importlib.import_module("openvino")
            if compute.precision == "bf16" and "BF16" not in _abilities(openvino):
                raise UsageError(t("OpenVINO has no bf16 on this processor; say --precision fp32 or auto"))
            model = _converted(openvino, network, example, dynamic)
            if compute.precision == "int8":
                usual = logging.getLoggerClass()
                nncf: Any = importlib.import_module("nncf")
                logging.setLoggerClass(usual)  # NNCF would make every later logger of the process one of its own
                logging.getLogger("nncf").setLevel(logging.ERROR)
                # Weights only: quantised activations fall below the least cosine (0.994 on trained weights).
                model = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_ASYM)
        except ImportError as error:
            raise missing_package(error, extra="openvino") from error
        except UsageError:
            raise
        except Exception as error:  # the converter raises what it likes
            message = "OpenVINO cannot convert this network ({reason}); say --backend torch"
            raise TrisentError(t(message, reason=one_line(error))) from error
    settings: dict[str, Any] = {
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,  # it puts two processes on one core
    }
    if compute.precision in _HINTS:
        settings["INFERENCE_PRECISION_HINT"] = _HINTS[compute.precision]
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()

    def run(*inputs: Tensor) -> Tensor:
        arrays = [tensor.contiguous().numpy() for tensor in inputs]
        return torch.from_numpy(request.infer(arrays, share_inputs=True)[0])

    return run


def _abilities(openvino: Any) -> list[str]:
    abilities: list[str] = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return abilities


def _converted(openvino: Any, network: nn.Module, example: Inputs, dynamic: Sequence[Mapping[int, str]]) -> Any:
    model = openvino.convert_model(network, example_input=example)
    for port, tensor, axes in zip(model.inputs, example, dynamic, strict=True):
        shape = [-1 if axis in axes else size for axis, size in enumerate(tensor.shape)]
        port.get_node().set_partial_shape(openvino.PartialShape(shape))
    model.validate_nodes_and_infer_types()
    return model


@contextmanager
def _quietly() -> Iterator[None]:
    """Trace without the tracer's warnings, and without OpenVINO telling its maker that it is used."""
    told = os.environ.get("CI")
    os.environ["CI"] = "true"  # the switch that its telemetry has
    try:
        # NNCF draws its progress on standard output, where results belong.
        with warnings.catch_warnings(), quiet_transformers(), redirect_stdout(io.StringIO()), torch.inference_mode():
            warnings.simplefilter("ignore")
            yield
    finally:
        if told is None:
            del os.environ["CI"]
        else:
            os.environ["CI"] = told
