"""Train a fusion model: one loop for all of them, the epoch chosen on the validation split.

`fit` and `evaluate` work on examples; `train` is the whole way from a data set of any format to a bundle.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import nn

from trisent.checkpoint import Bundle, save_bundle
from trisent.compute import choose_device
from trisent.data.batching import Examples, batches
from trisent.data.cleaning import FINITE, CleaningOptions, fit_cleaning
from trisent.data.dataset import SPLITS, Dataset
from trisent.data.digest import data_digest
from trisent.data.provenance import settle_preset
from trisent.data.readers import read
from trisent.data.resplit import split_digest
from trisent.errors import DataError, TrisentError, UsageError
from trisent.evaluation.metrics import Scores, scores
from trisent.fusion.batch import Batch
from trisent.fusion.registry import FusionModel, build
from trisent.history import EpochReport, History
from trisent.i18n import t
from trisent.resume import (
    Checkpoint,
    discard_checkpoint,
    flat_optimizer,
    load_checkpoint,
    restore_optimizer,
    save_checkpoint,
    settings_digest,
)
from trisent.seeding import seeded

__all__ = [
    "EpochReport",
    "History",
    "TrainConfig",
    "TrainResult",
    "evaluate",
    "fit",
    "train",
]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How to train. What the model looks like is the model's own config.

    `patience` is how many epochs may pass without a better valid MAE before training stops; `device` is "auto", "cpu",
    "cuda" or "cuda:N".
    """

    epochs: int = 50
    batch_size: int = 32
    lr: float = 1e-4
    weight_decay: float = 0.01
    patience: int = 10
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("patience", 1), ("seed", 0)):
            if (value := getattr(self, name)) < least:
                raise UsageError(t("{name} must be at least {least}, got {value}", name=name, least=least, value=value))
        if not 0 < self.lr <= 1:
            raise UsageError(t("lr must be above 0 and at most 1, got {value}; the guide uses 1e-4", value=self.lr))
        if not 0 <= self.weight_decay < 1:
            raise UsageError(t("{name} must be in [0, 1), got {value}", name="weight_decay", value=self.weight_decay))


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What `train` made: the bundle's folder, what it says, and how training went."""

    folder: Path
    bundle: Bundle
    history: History


@runtime_checkable
class Standardises(Protocol):
    """A fusion model that wants to see the average rows of the whole training split before the first epoch."""

    def fit_scaler(self, batch: Batch) -> None: ...


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

    Raises:
        TrisentError: the loss is no longer a finite number.
    """
    if not isinstance(model, FusionModel):
        raise UsageError(
            t("{name} is not a fusion model: it needs config and loss(output, batch)", name=type(model).__name__)
        )
    device = choose_device(config.device)
    model.to(device)
    if isinstance(model, Standardises):
        model.fit_scaler(train.pooled().to(device))
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    # The device counts too: a run that changed from GPU to CPU would be neither of the two.
    facts = {**asdict(config), "device": device.type, "model": type(model).__name__, "model_config": model.config}
    settings = settings_digest(facts, model.state_dict(), train, valid)
    reports: list[EpochReport] = []
    best = model.state_dict()
    if run_folder and (found := load_checkpoint(run_folder, settings=settings)):
        model.load_state_dict(found.model)
        restore_optimizer(optimizer, found.optimizer)
        best = found.best
        reports = [EpochReport.from_json(report) for report in found.reports]
        _log.info("%s", t("{folder}: going on after epoch {epoch}", folder=run_folder, epoch=len(reports)))
    resumed_after = len(reports)
    for epoch in range(len(reports) + 1, config.epochs + 1):
        if reports and len(reports) - History(tuple(reports)).best.epoch >= config.patience:
            break
        model.train()
        with seeded(config.seed, epoch, device=device):
            loss = _one_epoch(model, train, optimizer, batch_size=config.batch_size, device=device)
        if not np.isfinite(loss):
            message = t(
                "the training loss is {loss} in epoch {epoch}. Lower the learning rate: --lr {lr}",
                loss=loss,
                epoch=epoch,
                lr=config.lr / 10,
            )
            raise TrisentError(message)
        reports.append(EpochReport(epoch, loss, evaluate(model, valid)))
        if History(tuple(reports)).best.epoch == epoch:
            best = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
        if run_folder:
            state = Checkpoint(model.state_dict(), best, flat_optimizer(optimizer), [r.to_json() for r in reports])
            save_checkpoint(run_folder, state, settings=settings)
        on_epoch(reports[-1])
    model.load_state_dict(best)
    model.eval()
    return History(tuple(reports), resumed_after)


@torch.inference_mode()
def evaluate(model: nn.Module, data: Examples, *, batch_size: int = 1024) -> Scores:
    """Judge every utterance of `data` on the device the model is on, and score it.

    Long sequences are judged in smaller batches than `batch_size`, so that they fit into memory.
    """
    device = next(model.parameters()).device
    model.eval()
    parts = [model(data.batch(index).to(device)).sentiment.cpu() for index in data.passes(batch_size)]
    return scores(torch.cat(parts).numpy(), data.labels)


def train(
    data_path: Path,
    *,
    out: Path,
    config: TrainConfig,
    model: str = "concat",
    model_config: Mapping[str, Any] | None = None,
    preset: str | None = None,
    cleaning: CleaningOptions = FINITE,
    on_epoch: OnEpoch = ignore_epoch,
) -> TrainResult:
    """Train on a data set of any format and write a bundle; the test split is judged once, at the very end.

    Args:
        data_path: a file or folder that `trisent.data.readers` reads; it has a train and a valid split.
        out: folder of the bundle; while training it also holds the checkpoint, which a second call goes on from.
        config: how to train.
        model: name of the fusion model.
        model_config: its settings, except the widths, which come from the data.
        preset: whose extractors made the features; None: what the data set says, or the guide's if the widths are its.
        cleaning: how features are cleaned; fitted on train, kept in the bundle, and repeated when it judges a video.
        on_epoch: called after each epoch.

    Raises:
        DataError: the data set cannot be read, or has no features, no train or no valid split, or labels are missing.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(t("--out {out} is a file; name a folder for the bundle", out=out))
    data = read(data_path)
    preset = settle_preset(data, preset)
    _check_trainable(data, data_path)
    fitted = fit_cleaning(data, cleaning)
    for note in (*data.notes, *fitted.summary()):
        _log.warning("%s", note)
    examples = {s: Examples(data, index, cleaning=fitted) for s in SPLITS if len(index := data.index(s))}
    with seeded(config.seed):
        network = build(model, {"dims": examples["train"].dims, **(model_config or {})})
    history = fit(network, examples["train"], examples["valid"], config, run_folder=out, on_epoch=on_epoch)
    bundle = Bundle(
        model_name=model,
        model_config=network.config if isinstance(network, FusionModel) else {},
        preset=preset,
        extractors=dict(data.provenance) or None,
        scores={split: evaluate(network, judged) for split, judged in examples.items() if split != "train"},
        data={
            "name": data.name,
            "format": data.format,
            "rows": {split: len(found) for split, found in examples.items()},
            "widths": data.dims,
            "scale": list(data.scale),
            "sha256": data_digest(data),
            "split_sha256": split_digest(data),
            "notes": list(data.notes),
        },
        synthetic=data.synthetic,
        licence="CC0-1.0 (made of synthetic data)" if data.synthetic else "that of the data set it was trained on",
        seed=config.seed,
        cleaning=fitted if fitted.changes_values else None,
    )
    record = history.to_json() | {"config": asdict(config)}
    save_bundle(out, bundle, network, extra={"history.json": (json.dumps(record, indent=2) + "\n").encode()})
    discard_checkpoint(out)
    return TrainResult(out, bundle, history)


def _check_trainable(data: Dataset, path: Path) -> None:
    if not data.features:
        message = "{path} has labels and no features. To make them: trisent extract {path} --out FEATURES"
        raise DataError(t(message, path=path))
    counts = {split: len(data.index(split)) for split in SPLITS}
    if not counts["train"] or not counts["valid"]:
        raise DataError(
            t(
                "{path}: training needs utterances in train and in valid, there are {counts}. "
                "To divide it: trisent data split",
                path=path,
                counts=", ".join(f"{split} {n}" for split, n in counts.items()),
            )
        )


def _one_epoch(
    model: FusionModel, train: Examples, optimizer: torch.optim.Optimizer, *, batch_size: int, device: torch.device
) -> float:
    """Pass over `train` once, in an order drawn now; return the mean loss an utterance."""
    total = torch.zeros((), device=device)  # stays there: reading it each step would wait for the GPU
    for index in batches(train.lengths, batch_size):
        batch = train.batch(index).to(device)
        loss = model.loss(model(batch), batch)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        total += loss.detach() * len(index)
    return float(total) / len(train)
