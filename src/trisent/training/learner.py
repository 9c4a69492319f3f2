"""One step of learning: precision, gradient, clipping, learning rate, moving average."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from trisent.fusion.batch import Batch
from trisent.fusion.registry import FusionModel
from trisent.training.config import TrainConfig
from trisent.training.schedule import rate_share


@runtime_checkable
class ParameterGroups(Protocol):
    """A model that says which of its weights learn how fast; the schedule multiplies each group's own `lr`."""

    def parameter_groups(self, lr: float, weight_decay: float) -> list[dict[str, Any]]: ...


class Learner:
    """Moves a model's weights, batch by batch.

    Args:
        model: on the accelerator's device.
        config: how to train.
        accelerator: where.
        steps: how many steps all epochs would take, for the schedule.
    """

    def __init__(self, model: FusionModel, config: TrainConfig, *, accelerator: Accelerator, steps: int) -> None:
        self._config, self._accelerator, self._steps, self._done = config, accelerator, steps, 0
        self._loss = accelerator.prepare_model(_Loss(model))
        if isinstance(model, ParameterGroups):
            groups = model.parameter_groups(config.lr, config.weight_decay)
        else:
            groups = [{"params": [p for p in self._loss.parameters() if p.requires_grad]}]
        self.optimizer = torch.optim.AdamW(groups, lr=config.lr, weight_decay=config.weight_decay, fused=True)
        # accelerate's wrapper takes as long as a small step; only the scaler of fp16 needs it.
        self._prepared = accelerator.prepare_optimizer(self.optimizer) if accelerator.scaler else self.optimizer
        self._highest = [group["lr"] for group in self.optimizer.param_groups]
        self._learning = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.average = [p.detach().clone() for p in self._learning] if config.ema else []

    def learn(self, batch: Batch, *, weight: float = 1.0) -> Tensor:
        """Take one step down the gradient of `weight` times the loss; return the loss, a scalar."""
        share = rate_share(self._done, steps=self._steps, warmup=self._config.warmup, schedule=self._config.schedule)
        for group, highest in zip(self.optimizer.param_groups, self._highest, strict=True):
            group["lr"] = share * highest
        loss: Tensor = self._loss(batch)
        self._accelerator.backward(loss if weight == 1 else loss * weight)
        if self._config.clip:
            self._accelerator.clip_grad_norm_(self._learning, self._config.clip)
        self._prepared.step()
        self._prepared.zero_grad()
        self._done += 1
        if self.average:
            # In the first steps the average would be of little but the random weights it began with.
            decay = min(self._config.ema, (1 + self._done) / (10 + self._done))
            with torch.no_grad():
                torch._foreach_lerp_(self.average, self._learning, 1 - decay)
        return loss.detach()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the moving average in the place of the weights inside; nothing happens where there is none."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for i, p in enumerate(self._learning[: len(self.average)]):
            p.data, self.average[i] = self.average[i], p.data

    def go_on_after(self, steps: int, average: list[Tensor]) -> None:
        """Count as done what an earlier process did; the optimizer's state is restored apart."""
        self._done = steps
        self.average = [x.to(p.device) for x, p in zip(average, self._learning, strict=bool(average))]


class _Loss(nn.Module):
    """From a batch to its loss in one call, which is what mixed precision and several processes wrap."""

    def __init__(self, model: FusionModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> Tensor:
        return self.model.loss(self.model(batch), batch)
