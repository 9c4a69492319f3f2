"""Heads that say how sure they are: pooled features of one modality -> mean and variance of the sentiment."""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Estimate:
    """A judgement with its doubt: `mean` [n] in units of sentiment, `variance` [n] of the error expected."""

    mean: Tensor
    variance: Tensor


class Ensemble(nn.Module):
    """Several small networks on standardised features; their disagreement is part of the doubt.

    Deep ensembles: Lakshminarayanan, Pritzel & Blundell 2017. `mean` and `std` [dim] of the training features are
    buffers, so they travel with the weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, *, dim: int, outputs: int, hidden: int, members: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("std", torch.ones(dim))
        self.members = nn.ModuleList(
            nn.Sequential(
                nn.Dropout(dropout), nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, outputs)
            )
            for _ in range(members)
        )

    def fit_scale(self, rows: Tensor) -> None:
        """Remember mean and standard deviation of the training features [n, dim]; a dead dimension stays zero."""
        exact = rows.double()  # the squares of huge features would be infinite
        self.mean.copy_(exact.mean(dim=0))
        std = exact.std(dim=0)
        self.std.copy_(torch.where(std > 1e-6, std, torch.inf))

    def forward(self, rows: Tensor) -> Tensor:
        x = (rows - self.mean) / self.std
        return torch.stack([member(x) for member in self.members])  # [members, n, outputs]


class Head(Protocol):
    """One modality's judge."""

    dim: int

    def estimate(self, rows: Tensor) -> Estimate: ...


class RegressionHead(nn.Module):
    """Judge the sentiment directly, each member with its own variance (Nix & Weigend 1994).

    The mean is the members' mean; the variance is the mean of their variances plus the variance of their means, times
    `calibration`, set on held-out data so that the mean squared error equals the mean variance.
    """

    calibration: Tensor

    def __init__(self, *, dim: int, hidden: int, members: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dim = dim
        self.ensemble = Ensemble(dim=dim, outputs=2, hidden=hidden, members=members, dropout=dropout)
        self.register_buffer("calibration", torch.ones(()))

    def estimate(self, rows: Tensor) -> Estimate:
        """Judge pooled features [n, dim]."""
        mean, log_variance = self.ensemble(rows).unbind(dim=-1)  # [members, n] each
        variance = log_variance.exp().mean(dim=0) + mean.var(dim=0, unbiased=False)
        return Estimate(mean.mean(dim=0), variance * self.calibration)


class EmotionHead(nn.Module):
    """Recognise an emotion, then say what sentiment goes with it.

    With p(e) the probability of emotion e, and `anchors` and `spreads` the mean and standard deviation of the sentiment
    of utterances that show it, the sentiment is a mixture: mean = sum p a, variance = sum p (s^2 + a^2) - mean^2.
    `temperature` divides the logits and is set on held-out data (Guo et al. 2017).

    Args:
        dim: width of the pooled features.
        emotions: names of the classes.
        anchors: sentiment of each class.
        spreads: its standard deviation.
        hidden: width of each member.
        members: how many networks.
        dropout: on the input and the hidden layer, in training.
    """

    anchors: Tensor
    spreads: Tensor
    temperature: Tensor

    def __init__(
        self,
        *,
        dim: int,
        emotions: list[str],
        anchors: list[float],
        spreads: list[float],
        hidden: int,
        members: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not len(emotions) == len(anchors) == len(spreads):
            msg = f"emotions, anchors and spreads must be as many, got {len(emotions)}, {len(anchors)}, {len(spreads)}"
            raise ValueError(msg)
        self.dim, self.emotions = dim, emotions
        self.ensemble = Ensemble(dim=dim, outputs=len(emotions), hidden=hidden, members=members, dropout=dropout)
        self.register_buffer("anchors", torch.tensor(anchors), persistent=False)
        self.register_buffer("spreads", torch.tensor(spreads), persistent=False)
        self.register_buffer("temperature", torch.ones(()))

    def probabilities(self, rows: Tensor) -> Tensor:
        """Say how likely each emotion is: [n, emotions]."""
        return F.softmax(self.ensemble(rows) / self.temperature, dim=-1).mean(dim=0)

    def estimate(self, rows: Tensor) -> Estimate:
        """Judge pooled features [n, dim]."""
        p = self.probabilities(rows)
        mean = p @ self.anchors
        return Estimate(mean, p @ (self.spreads**2 + self.anchors**2) - mean**2)


HEADS = {"regression": RegressionHead, "emotion": EmotionHead}


def build_head(kind: str, config: dict[str, Any]) -> nn.Module:
    """Make the head `kind` from its keyword arguments."""
    head: nn.Module = HEADS[kind](**config)
    return head
