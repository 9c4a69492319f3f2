"""Run a network in ONNX Runtime, on the CPU, in float32."""

import importlib
import logging
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trisent.errors import TrisentError, one_line
from trisent.extractors.loading import quiet_transformers
from trisent.extractors.runners import Compute, Inputs, missing_package
from trisent.i18n import t


def prepare(
    network: nn.Module, compute: Compute, *, example: Inputs, dynamic: Sequence[Mapping[int, str]]
) -> Callable[..., Tensor]:
    """Export the network and open a session with as many threads as torch may use.

    Raises:
        TrisentError: the packages are not installed, or this network cannot be exported.
    """
    del compute  # there is one device and one precision
    try:
        onnxruntime: Any = importlib.import_module("onnxruntime")
        importlib.import_module("onnxscript")  # the exporter needs it, and says so less clearly
    except ImportError as error:
        raise missing_package(error, extra="onnx") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "network.onnx"  # a file: above 2 GB the weights go beside the graph
        try:
            _export(network, path, example, dynamic)
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the exporter raises what it likes
            message = "ONNX Runtime cannot run this network ({reason}); say --backend torch"
            raise TrisentError(t(message, reason=one_line(error))) from error
    names = [argument.name for argument in session.get_inputs()]

    def run(*inputs: Tensor) -> Tensor:
        arrays = {name: tensor.contiguous().numpy() for name, tensor in zip(names, inputs, strict=True)}
        return torch.from_numpy(session.run(None, arrays)[0])

    return run


def _export(network: nn.Module, path: Path, example: Inputs, dynamic: Sequence[Mapping[int, str]]) -> None:
    shapes = tuple(dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for axes in dynamic)
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)  # it warns of every package that it could also have exported
    try:
        with warnings.catch_warnings(), quiet_transformers(), torch.inference_mode():
            warnings.simplefilter("ignore")
            torch.onnx.export(network, example, path, dynamo=True, dynamic_shapes=shapes, verbose=False)
    finally:
        log.setLevel(level)
