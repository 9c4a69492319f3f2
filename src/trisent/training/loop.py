"""One loop for all fusion models, the epoch chosen on the validation split.

Under `torchrun` or `accelerate launch` the processes divide every batch among themselves. The gradient is the mean over
the whole batch, so they learn what one process learns; only the first of them writes.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from trisent.data.batching import Examples, batches
from trisent.errors import TrainingError, TrisentError, UsageError
from trisent.evaluation.metrics import scores
from trisent.fusion.batch import Batch
from trisent.fusion.registry import FusionModel
from trisent.i18n import t
from trisent.seeding import seeded
from trisent.training.config import TrainConfig
from trisent.training.history import EpochReport, History
from trisent.training.judging import judge
from trisent.training.learner import Learner
from trisent.training.machine import make_accelerator
from trisent.training.noise import WholeBatchNoise
from trisent.training.resume import (
    Checkpoint,
    flat_optimizer,
    load_checkpoint,
    restore_optimizer,
    save_checkpoint,
    settings_digest,
)

_log = logging.getLogger(__name__)

_NOISE = 1 << 32  # seeds of dropout are apart from those of orders, which are numbers of epochs
_SHARE_OF_A_GPU = 0.5  # of its free memory, that features may take


@runtime_checkable
class Standardises(Protocol):
    """A fusion model that wants to see the whole training split, batch by batch, before the first epoch."""

    def fit_scaler(self, batches: Iterable[Batch]) -> None: ...


@runtime_checkable
class Averages(Protocol):
    """A fusion model that may see of each modality no more than the average of the visible steps."""

    @property
    def averages(self) -> bool: ...


OnEpoch = Callable[[EpochReport], None]


def ignore_epoch(report: EpochReport) -> None:
    """Do nothing: the default of every `on_epoch`."""


def fit(
    model: nn.Module,
    train: Examples,
    valid: Examples,
    config: TrainConfig,
    *,
    run_folder: Path | None = None,
    on_epoch: OnEpoch = ignore_epoch,
) -> History:
    """Train `model` in place with AdamW; it ends with the weights of the epoch that was best on `valid`, in eval mode.

    With a `run_folder`, the state is written there after each epoch, and a call with the same model, data and settings
    goes on from it: on the CPU, with as many threads, the result is the same to the bit as without the interruption.
    Of several processes only the first writes and calls `on_epoch`.

    Raises:
        TrainingError: the loss, or what the model says of valid, is no longer a finite number.
    """
    if not isinstance(model, FusionModel):
        raise UsageError(
            t("{name} is not a fusion model: it needs config and loss(output, batch)", name=type(model).__name__)
        )
    accelerator = make_accelerator(config)
    device, ranks = accelerator.device, accelerator.num_processes
    model.to(device)
    # The device counts too: a run that changed from GPU to CPU would be neither of the two.
    facts = {**asdict(config), "device": device.type, "processes": ranks, "precision": accelerator.mixed_precision}
    facts |= {"model": type(model).__name__, "model_config": model.config}
    settings = settings_digest(facts, model.state_dict(), train, valid) if run_folder else ""
    found = load_checkpoint(run_folder, settings=settings) if run_folder else None
    if isinstance(model, Averages) and model.averages:  # once, not in every step of every epoch
        train, valid = train.averaged(), valid.averaged()
    train, valid = _near(train, device), _near(valid, device)
    if isinstance(model, Standardises) and not found:  # else the scale is in the checkpoint
        model.fit_scaler(train.batch(index).to(device) for index in train.passes(256))
    a_pass = -(-len(train) // config.batch_size)
    learner = Learner(model, config, accelerator=accelerator, steps=config.epochs * a_pass)
    reports: list[EpochReport] = []
    best = model.state_dict()
    if run_folder and found:
        model.load_state_dict(found.model)
        restore_optimizer(learner.optimizer, found.optimizer)
        best = found.best
        reports = [EpochReport.from_json(report) for report in found.reports]
        learner.go_on_after(len(reports) * a_pass, found.average)
        _log.info("%s", t("{folder}: going on after epoch {epoch}", folder=run_folder, epoch=len(reports)))
    _check_together(accelerator, len(reports))
    resumed_after = len(reports)
    for epoch in range(len(reports) + 1, config.epochs + 1):
        if reports and len(reports) - History(tuple(reports), select=config.select).best.epoch >= config.patience:
            break
        loss = _one_epoch(learner, model, train, config, accelerator=accelerator, epoch=epoch)
        with learner.averaged():
            said = judge(model, valid, accelerator=accelerator).sentiment
            if not (np.isfinite(loss) and np.isfinite(said).all()):  # the last steps may be the fatal ones
                message = "training diverged in epoch {epoch} (loss {loss}). Lower the learning rate: --lr {lr:g}"
                raise TrainingError(t(message, loss=loss, epoch=epoch, lr=config.lr / 10))
            valid_scores = scores(said, valid.labels)
            reports.append(EpochReport(epoch, loss, valid_scores))
            if History(tuple(reports), select=config.select).best.epoch == epoch:
                best = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
        if accelerator.is_main_process:
            if run_folder:
                optimizer = flat_optimizer(learner.optimizer)
                told = [report.to_json() for report in reports]
                state = Checkpoint(model.state_dict(), best, optimizer, learner.average, told)
                save_checkpoint(run_folder, state, settings=settings)
            on_epoch(reports[-1])
    model.load_state_dict(best)
    model.eval()
    return History(tuple(reports), resumed_after, config.select)


def _near(data: Examples, device: torch.device) -> Examples:
    """Keep features in the GPU's memory if there is room: copying every batch there would take longer than the step."""
    if device.type != "cuda":
        return data
    room = _SHARE_OF_A_GPU * torch.cuda.mem_get_info(device)[0] / 1e6
    return data.on(device) if data.megabytes < room else data


def _check_together(accelerator: Accelerator, epochs: int) -> None:
    """Refuse processes that found different checkpoints."""
    all_epochs = accelerator.gather(torch.tensor([epochs], device=accelerator.device)).tolist()
    if len(set(all_epochs)) > 1:
        message = "the processes go on after different epochs ({epochs}): --out must be a folder that all of them share"
        raise TrisentError(t(message, epochs=", ".join(map(str, all_epochs))))


def _one_epoch(
    learner: Learner, model: nn.Module, train: Examples, config: TrainConfig, *, accelerator: Accelerator, epoch: int
) -> float:
    """Pass over `train` once, in an order drawn now; return the mean loss an utterance."""
    rank, ranks, device = accelerator.process_index, accelerator.num_processes, accelerator.device
    with seeded(config.seed, epoch):
        order = batches(train.lengths, config.batch_size)  # the same in every process
    total = torch.zeros((), device=device)  # stays there: reading it each step would wait for the GPU
    model.train()
    together = ranks > 1 and device.type == "cpu"  # see WholeBatchNoise
    with seeded(config.seed, _NOISE + (epoch if together else epoch * ranks + rank), device=device):
        for index in order:
            own = torch.arange(len(index))[rank::ranks]
            weight = len(own) * ranks / len(index)
            # Gradients are averaged over processes, which hold unequal parts; one that holds none lends a hand for
            # nothing, since all have to take part.
            rows = own if len(own) else torch.zeros(1, dtype=torch.int64)
            if together:
                with WholeBatchNoise(rows, utterances=len(index)):
                    loss = learner.learn(train.batch(index).take(rows), weight=weight)
            else:
                loss = learner.learn(train.batch(index[rows]).to(device), weight=weight)
            total += loss * len(own)
    return float(accelerator.reduce(total, "sum")) / len(train)
