"""Train the heads of late fusion on pooled features, and make their doubt honest on data they have not seen."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trisent.fusion.heads import EmotionHead, Ensemble, RegressionHead

logger = logging.getLogger(__name__)

_LOG_VARIANCE_RANGE = (-6.0, 3.0)  # a standard deviation of 0.05 to 4.5 sentiments; keeps the first steps finite
_SMALLEST_CALIBRATION = 1e-3


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """How a head is trained: AdamW under a one-cycle learning rate."""

    epochs: int
    batch_size: int = 256
    lr: float = 1e-3
    weight_decay: float = 1e-2
    label_smoothing: float = 0.0  # emotions only
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            msg = f"epochs and batch_size must be at least 1, got {self.epochs} and {self.batch_size}"
            raise ValueError(msg)


def train_regression(head: RegressionHead, rows: Tensor, labels: Tensor, config: HeadConfig) -> None:
    """Fit mean and variance to sentiment by `regression_loss`."""
    _train(head.ensemble, rows, lambda index: regression_loss(head, rows[index], labels[index]), config)


def regression_loss(head: RegressionHead, rows: Tensor, labels: Tensor, *, weights: Tensor | None = None) -> Tensor:
    """Sum over the members their beta-NLL with beta = 0.5 (Seitzer et al. 2022), averaged over rows.

    Plain likelihood would stop learning the mean wherever the variance is large.

    Args:
        head: with its ensemble.
        rows: pooled features [n, dim].
        labels: sentiment [n].
        weights: [n], what each row counts; all alike if None. Where all are 0 the loss is 0.
    """
    mean, log_variance = head.ensemble(rows).unbind(dim=-1)  # [members, n] each
    log_variance = log_variance.clamp(*_LOG_VARIANCE_RANGE)
    nll = 0.5 * (log_variance + (mean - labels) ** 2 / log_variance.exp())
    weighted: Tensor = nll * log_variance.exp().detach() ** 0.5
    if weights is None:
        return weighted.mean(dim=1).sum()
    return (weighted * weights).sum() / weights.sum().clamp(min=1)


def train_emotion(head: EmotionHead, rows: Tensor, classes: Tensor, config: HeadConfig) -> None:
    """Fit the classes by cross-entropy, weighted so that every class counts the same."""
    counts = torch.bincount(classes, minlength=len(head.emotions)).float()
    weight = counts.sum() / (counts.clamp(min=1) * len(counts))

    def loss(index: Tensor) -> Tensor:
        logits = head.ensemble(rows[index])  # [members, n, emotions]
        flat, truth = logits.flatten(0, 1), classes[index].repeat(len(logits))
        return F.cross_entropy(flat, truth, weight=weight.sqrt(), label_smoothing=config.label_smoothing) * len(logits)

    _train(head.ensemble, rows, loss, config)


def _train(ensemble: Ensemble, rows: Tensor, loss: Callable[[Tensor], Tensor], config: HeadConfig) -> None:
    """Run the loop that both kinds of heads share; the members see the same batches and differ by initialisation."""
    ensemble.fit_scale(rows)
    optimizer = torch.optim.AdamW(ensemble.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    steps = max(1, len(rows) // config.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.lr, total_steps=config.epochs * steps)
    order = torch.Generator().manual_seed(config.seed)
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)  # dropout
        ensemble.train()
        for epoch in range(config.epochs):
            total = 0.0
            for index in torch.randperm(len(rows), generator=order).chunk(steps):
                optimizer.zero_grad()
                value = loss(index)
                value.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
                optimizer.step()
                schedule.step()
                total += value.item()
            logger.info("epoch %d of %d: loss %.4f", epoch + 1, config.epochs, total / steps)
    ensemble.eval()


@torch.inference_mode()
def calibrate_variance(head: RegressionHead, rows: Tensor, labels: Tensor) -> None:
    """Scale the variances so that, on rows not trained on, squared errors are as large as they say."""
    head.calibration.fill_(1.0)
    said = head.estimate(rows)
    # A head that is never wrong there would be infinitely sure, and no other could be heard beside it.
    head.calibration.copy_(((said.mean - labels) ** 2 / said.variance).mean().clamp(min=_SMALLEST_CALIBRATION))


@torch.inference_mode()
def calibrate_temperature(head: EmotionHead, rows: Tensor, classes: Tensor) -> None:
    """Choose the temperature under which the classes of rows not trained on are most likely (Guo et al. 2017)."""

    def surprise(temperature: float) -> float:
        head.temperature.fill_(temperature)
        return float(F.nll_loss(head.probabilities(rows).clamp(min=1e-12).log(), classes))

    # Fine enough: the likelihood is flat around its best temperature.
    head.temperature.fill_(min((0.25 * 1.1**k for k in range(40)), key=surprise))
