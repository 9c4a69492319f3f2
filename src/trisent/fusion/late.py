"""Late fusion: each modality judges alone and says how sure it is; what they say is combined by precision.

A head knows the sentiment's distribution in its training data, so every head's judgement contains that prior. A plain
precision-weighted mean would count it once a modality, and a modality that knows nothing would still pull the result
to the middle. Here the prior counts once, and each head as far as it is trusted away from the data it was trained on (a
logarithmic opinion pool: Genest & Zidek 1986; a product of experts: Hinton 2002). With mean m and variance v of a head,
m0 and v0 of the prior, and trust a in [0, 1]:

    precision = 1/v0 + sum a (1/v - 1/v0)        sentiment = (m0/v0 + sum a (m/v - m0/v0)) / precision

A fully trusted modality alone gives exactly its own mean. One that is no surer than the prior, and agrees with it,
changes nothing.
"""

from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trisent.fusion.batch import Batch, Output
from trisent.fusion.heads import Head, build_head
from trisent.types import MODALITIES, SENTIMENT_MAX, SENTIMENT_MIN, Modality

_SMALLEST_PROBABILITY = 1e-6
_OURS = ("kind", "pooling", "trust")  # of a head's settings; the others are its own


class LateFusion(nn.Module):
    """Combine one head a modality.

    Args:
        heads: modality -> {"kind": "regression" | "emotion", "pooling": "mean" | "mean+std", "trust": 0..1, ...keyword
            arguments of the head}. "mean+std" is statistics pooling (Snyder et al. 2018): twice the width.
        prior_mean: mean sentiment of the training data.
        prior_std: its standard deviation; also the doubt when nothing was recorded.
    """

    def __init__(self, *, heads: Mapping[str, dict[str, Any]], prior_mean: float, prior_std: float) -> None:
        super().__init__()
        self.config = {"heads": dict(heads), "prior_mean": prior_mean, "prior_std": prior_std}
        self.prior_mean, self.prior_variance = prior_mean, prior_std**2
        self.heads = nn.ModuleDict(
            {m: build_head(c["kind"], {k: v for k, v in c.items() if k not in _OURS}) for m, c in heads.items()}
        )
        self._poolings: dict[Modality, str] = {m: heads[m]["pooling"] for m in MODALITIES if m in heads}
        self._trust: dict[Modality, float] = {m: float(heads[m]["trust"]) for m in self._poolings}
        if not all(0 <= a <= 1 for a in self._trust.values()):
            msg = f"trust must be between 0 and 1, got {self._trust}"
            raise ValueError(msg)

    @property
    def dims(self) -> dict[Modality, int]:
        """Width of the features of each modality."""
        return {m: cast(Head, self.heads[m]).dim // (1 + (p == "mean+std")) for m, p in self._poolings.items()}

    def rows(self, batch: Batch, modality: Modality) -> tuple[Tensor, Tensor]:
        """Pool the features of a modality as its head wants them: rows [n, width], presence bool [n]."""
        rows, present = batch.pooled(modality)
        if self._poolings[modality] == "mean+std":
            rows = torch.cat([rows, batch.spread(modality)], dim=1)
        return rows, present

    def forward(self, batch: Batch) -> Output:
        n, device = len(batch), next(iter(batch.values.values())).device
        precision = torch.full((n,), 1 / self.prior_variance, device=device)
        weighted = precision * self.prior_mean
        for modality in (m for m in self.dims if m in batch.values):
            rows, present = self.rows(batch, modality)
            said = cast(Head, self.heads[modality]).estimate(rows)
            # No head may know less than the prior: its precision would be taken away from the others'.
            surety = 1 / said.variance.clamp(max=self.prior_variance)
            trust = self._trust[modality] * present
            precision = precision + trust * (surety - 1 / self.prior_variance)
            weighted = weighted + trust * (surety * said.mean - self.prior_mean / self.prior_variance)
        sentiment = (weighted / precision).clamp(SENTIMENT_MIN, SENTIMENT_MAX)
        return Output(sentiment, class_logits(sentiment, precision.rsqrt()))

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """Squared error of the whole; the heads are trained one by one (scripts/train_embedded.py)."""
        if batch.labels is None:
            msg = "a loss needs labels"
            raise ValueError(msg)
        return F.mse_loss(output.sentiment, batch.labels)


def class_logits(mean: Tensor, std: Tensor) -> Tensor:
    """Log-probability [n, 7] of each class -3..3 under a normal distribution, cut at the half numbers.

    Nothing lies beyond the outermost classes, so the distribution ends at -3.5 and 3.5. All classes are then of one
    width, and the most probable one is the one the mean lies in.

    >>> class_logits(torch.zeros(1), torch.ones(1)).exp()[0, 3].item()  # erf(0.5 / sqrt(2)) / erf(3.5 / sqrt(2))
    0.3831...
    """
    edges = torch.arange(SENTIMENT_MIN - 0.5, SENTIMENT_MAX + 1.0, device=mean.device)  # -3.5 .. 3.5
    below = torch.special.ndtr((edges - mean.unsqueeze(-1)) / std.unsqueeze(-1))  # [n, 8]
    mass = torch.diff(below, dim=1).clamp(min=_SMALLEST_PROBABILITY)
    return (mass / mass.sum(dim=1, keepdim=True)).log()
