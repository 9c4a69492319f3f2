"""The state of a training run after each epoch, on disk, so that a run that was killed goes on where it was.

One safetensors file holds everything, its header what is no tensor: with two files a kill between them
would leave a pair that does not belong together. No state of a random generator is kept: `trisent.training` seeds every
epoch from (seed, epoch), so there is none to lose.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from trisent.data.batching import Examples
from trisent.files import write_whole
from trisent.i18n import system_reason, t

_log = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a run stands: tensors by name, and a report of each epoch so far as JSON."""

    model: dict[str, Tensor]
    best: dict[str, Tensor]
    optimizer: dict[str, Tensor]  # "parameter.name", as `flat_optimizer` makes it
    average: list[Tensor]  # the moving average of the weights, empty where there is none
    reports: list[dict[str, Any]]  # JSON values of several kinds


def save_checkpoint(folder: Path, checkpoint: Checkpoint, *, settings: str) -> None:
    """Write the state into `folder`, replacing the last one in a single move.

    Args:
        folder: made if need be.
        checkpoint: tensors on any device.
        settings: digest of all that decides the run; `load_checkpoint` asks for the same.
    """
    average = {str(i): x for i, x in enumerate(checkpoint.average)}
    parts = {"model": checkpoint.model, "best": checkpoint.best, "optimizer": checkpoint.optimizer, "average": average}
    # A clone each: the weights may be the best ones too, and safetensors refuses tensors that share memory.
    tensors = {
        f"{part}/{name}": x.detach().cpu().clone(memory_format=torch.contiguous_format)
        for part, state in parts.items()
        for name, x in state.items()
    }
    header = {"settings": settings, "reports": json.dumps(checkpoint.reports, allow_nan=False)}
    write_whole(folder, {CHECKPOINT: save(tensors, metadata=header)})


def load_checkpoint(folder: Path, *, settings: str) -> Checkpoint | None:
    """Read the state of an earlier run; None, with a line in the log, when it cannot be continued."""
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimizer": {}, "average": {}}
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("settings") != settings:
                _log.warning("%s", t("{path} belongs to a run with other settings or data: starting afresh", path=path))
                return None
            for key in file.keys():  # noqa: SIM118  (not a mapping)
                part, _, name = key.partition("/")
                # A clone begins where torch lets tensors begin; from another address the same product of matrices may
                # differ in its last bit.
                parts[part][name] = file.get_tensor(key).clone()
        average = parts.pop("average")
        in_order = [average[str(i)] for i in range(len(average))]
        return Checkpoint(**parts, average=in_order, reports=json.loads(header["reports"]))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        _log.warning(
            "%s", t("{path} cannot be read ({reason}): starting afresh", path=path, reason=system_reason(error))
        )
        return None


def discard_checkpoint(folder: Path) -> None:
    """Remove the state of a run that is finished."""
    (folder / CHECKPOINT).unlink(missing_ok=True)


def settings_digest(facts: Mapping[str, Any], weights: Mapping[str, Tensor], train: Examples, valid: Examples) -> str:
    """Digest all that decides a run: settings as JSON values, the weights it starts from, and the data."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())

    for name, x in weights.items():
        digest.update(f"{name} {x.dtype} {list(x.shape)}".encode())
        digest.update(x.detach().cpu().contiguous().numpy().data)
    for split in (train, valid):
        digest.update(split.digest().encode())
    return digest.hexdigest()


def flat_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimizer's tensors as "parameter.name" -> tensor."""
    state: dict[int, dict[str, Tensor]] = optimizer.state_dict()["state"]
    return {f"{i}.{name}": tensor for i, tensors in state.items() for name, tensor in tensors.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, flat: dict[str, Tensor]) -> None:
    """Put tensors of `flat_optimizer` back."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in flat.items():
        i, _, name = key.partition(".")
        state.setdefault(int(i), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
