"""The whole way from a data set of any format to a run folder. The test split is not looked at."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from trisent.checkpoint import Bundle, save_bundle
from trisent.data.batching import Examples
from trisent.data.cleaning import FINITE, CleaningOptions
from trisent.errors import UsageError
from trisent.evaluation.metrics import scores
from trisent.evaluation.writing import predictions_csv
from trisent.files import alone_in, check_out, json_bytes
from trisent.fusion.batch import Batch
from trisent.fusion.outputs import calibrate
from trisent.fusion.registry import FusionModel, build
from trisent.fusion.rehearsal import rehearse
from trisent.i18n import t
from trisent.seeding import seeded
from trisent.training.config import TrainConfig
from trisent.training.finetune import (
    Finetune,
    FineTuned,
    encoder_files,
    layer_settings,
    load_learner,
)
from trisent.training.history import History
from trisent.training.judging import judge
from trisent.training.loop import OnEpoch, fit, ignore_epoch
from trisent.training.machine import is_first_process, machine
from trisent.training.preparing import Prepared, prepare
from trisent.training.record import PREDICTIONS, RUN, command, environment, git_state, now, predictions_on
from trisent.training.resume import discard_checkpoint

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What `train` made: the bundle's folder, what it says, and how training went."""

    folder: Path
    bundle: Bundle
    history: History


def train(
    data_path: Path,
    *,
    out: Path,
    config: TrainConfig,
    model: str = "concat",
    model_config: Mapping[str, Any] | None = None,
    preset: str | None = None,
    cleaning: CleaningOptions = FINITE,
    finetune: Finetune | None = None,
    modalities: Sequence[str] | None = None,
    on_epoch: OnEpoch = ignore_epoch,
) -> TrainResult:
    """Train on a data set of any format and write a run folder: the bundle, and how it came about.

    Args:
        data_path: a file or folder that `trisent.data.readers` reads; it has a train and a valid split.
        out: the run folder; while training it also holds the checkpoint, which a second call goes on from.
        config: how to train.
        model: name of the fusion model.
        model_config: its settings, except the widths, which come from the data.
        preset: whose extractors made the features; None: what the data set says, or the guide's if the widths are its.
        cleaning: how features are cleaned; fitted on train, kept in the bundle, and repeated when it judges a video.
        finetune: how a text encoder learns along, from the texts of the data set; None: features stay as they are.
        modalities: to learn from these alone; None: from all there are.
        on_epoch: called after each epoch.

    Raises:
        DataError: the data set cannot be read, or has no features, no train or no valid split, or labels are missing.
    """
    check_out(out)
    prepared = prepare(data_path, preset=preset, cleaning=cleaning, finetune=finetune, modalities=modalities)
    return train_on(prepared, out=out, config=config, model=model, model_config=model_config, on_epoch=on_epoch)


def train_on(
    prepared: Prepared,
    *,
    out: Path,
    config: TrainConfig,
    model: str = "concat",
    model_config: Mapping[str, Any] | None = None,
    on_epoch: OnEpoch = ignore_epoch,
) -> TrainResult:
    """Train on data that are ready; all else is as in `train`.

    Raises:
        UsageError: another process trains into the same folder.
    """
    message = "{out}: another training is at work there; wait for it, or name another --out"
    with alone_in(out, otherwise=UsageError(t(message, out=out))) if is_first_process() else nullcontext():
        return _train_alone(
            prepared, out, config=config, model=model, settings=dict(model_config or {}), on_epoch=on_epoch
        )


def _train_alone(
    prepared: Prepared, out: Path, *, config: TrainConfig, model: str, settings: dict[str, Any], on_epoch: OnEpoch
) -> TrainResult:
    started = now()
    widths: dict[str, Any] = {"dims": prepared.train.dims}
    encoder = load_learner(prepared.finetune) if prepared.finetune else None
    if encoder:
        widths = {"dims": {**prepared.train.dims, "text": encoder.dim}, **layer_settings(model, encoder)}
    with seeded(config.seed):
        inner = build(model, widths | settings)
        network = FineTuned(encoder, inner, how=prepared.finetune) if encoder and prepared.finetune else inner
    rehearse(model, inner, widths["dims"])
    history = fit(network, prepared.train, prepared.valid, config, run_folder=out, on_epoch=on_epoch)
    extractors = dict(prepared.dataset.provenance)
    parts: dict[str, bytes] = {}
    if encoder and isinstance(network, FineTuned):
        network.merge()
        if is_first_process():  # in the others transformers writes no weights
            parts, extractors["text"] = encoder_files(encoder, network)
    _calibrate(network, prepared.valid)
    data = prepared.dataset
    index = data.index("valid")
    predictions = predictions_on(data, index, judge(network, prepared.valid))
    bundle = Bundle(
        model_name=model,
        model_config=inner.config if isinstance(inner, FusionModel) else {},
        preset=prepared.preset,
        extractors=extractors or None,
        scores={"valid": scores(predictions.predicted, predictions.truth)},
        data=prepared.facts,
        synthetic=data.synthetic,
        licence="CC0-1.0 (made of synthetic data)" if data.synthetic else "that of the data set it was trained on",
        seed=config.seed,
        pooled=tuple(m for m, s in data.features.items() if s.lengths.max(initial=0) == 1),
        cleaning=prepared.cleaning if prepared.cleaning.changes_values else None,
    )
    record = {
        "command": command(),
        "settings": settings_of(prepared, config, model, settings),
        "seed": config.seed,
        "data": prepared.facts,
        "git": git_state(Path.cwd()),
        "environment": environment(**machine()),
        "started": started,
        "finished": now(),
        "best_epoch": history.best.epoch,
        "epochs": len(history.epochs),
        "resumed_after": history.resumed_after,
    }
    if is_first_process():
        told = history.to_json() | {"config": asdict(config)}
        files = {"history.json": _json(told), RUN: _json(record), PREDICTIONS: predictions_csv(predictions)}
        save_bundle(out, bundle, inner, parts=parts, extra=files)
        discard_checkpoint(out)
    return TrainResult(out, bundle, history)


def settings_of(prepared: Prepared, config: TrainConfig, model: str, model_config: dict[str, Any]) -> dict[str, Any]:
    """Give all that was asked for, as a config file has it."""
    return {
        "train": asdict(config),
        "model": {"name": model, **model_config},
        "cleaning": asdict(prepared.cleaning.options),
        **({"finetune": asdict(prepared.finetune)} if prepared.finetune else {}),
        **({"data": {"modalities": list(prepared.modalities)}} if prepared.modalities else {}),
    }


def _json(values: Mapping[str, Any]) -> bytes:
    return json_bytes(values, indent=2) + b"\n"


@runtime_checkable
class Calibrates(Protocol):
    """A fusion model that makes its doubt honest on the validation split by itself."""

    def calibrate(self, batches: Iterable[Batch]) -> None: ...


def _calibrate(network: nn.Module, valid: Examples) -> None:
    """Make class probabilities honest on valid: the model's own way, or the temperature of its head if it has one."""
    device = next(network.parameters()).device
    some = (valid.batch(index).to(device) for index in valid.passes(1024))
    if isinstance(network, Calibrates):
        network.calibrate(some)
    elif isinstance(getattr(getattr(network, "head", None), "temperature", None), torch.Tensor):
        calibrate(network, some)
