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

from collections.abc import Iterable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from trisent.errors import UsageError
from trisent.fusion.batch import Batch, Output
from trisent.fusion.fit_heads import calibrate_variance, regression_loss
from trisent.fusion.heads import Ensemble, Head, RegressionHead, build_head
from trisent.fusion.inputs import check_counts, check_dims, check_shares, check_sizes, check_width, in_order
from trisent.fusion.outputs import class_logits, labels_of
from trisent.i18n import t
from trisent.types import MODALITIES, SENTIMENT_MAX, SENTIMENT_MIN, Modality

_SMALLEST_VARIANCE = 1e-4
_OURS = ("kind", "pooling", "trust")  # of a head's settings; the others are its own


class LateFusion(nn.Module):
    """Combine one head a modality.

    Give either `dims`, for regression heads that are trained here, or `heads` that were trained elsewhere.

    Args:
        dims: width of each modality's features.
        heads: modality -> {"kind": "regression" | "emotion", "pooling": "mean" | "mean+std", "trust": 0..1, ...keyword
            arguments of the head}. "mean+std" is statistics pooling (Snyder et al. 2018): twice the width.
        prior_mean: mean sentiment of the training data; learned by `fit_scaler` when it is not given.
        prior_std: its standard deviation; also the doubt when nothing was recorded. Likewise.
        hidden, members, dropout: of the heads that `dims` asks for, see `trisent.fusion.heads.Ensemble`.

    Raises:
        UsageError: dims and heads are both given, or neither.
    """

    prior: Tensor  # mean and variance

    def __init__(
        self,
        dims: Mapping[Modality, int] | None = None,
        *,
        heads: Mapping[str, dict[str, Any]] | None = None,
        prior_mean: float | None = None,
        prior_std: float | None = None,
        hidden: int = 64,
        members: int = 5,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        if (dims is None) == (heads is None):
            raise UsageError(t("late fusion takes either dims or heads"))
        if dims is not None:
            check_dims(dims)
            check_counts(hidden=hidden, members=members)
            check_shares(dropout=dropout)
            own = {"kind": "regression", "pooling": "mean", "trust": 1.0}
            sizes = {"hidden": hidden, "members": members, "dropout": dropout}
            heads = {m: {**own, "dim": dim, **sizes} for m, dim in in_order(dims).items()}
        if prior_std is not None:
            check_sizes(prior_std=prior_std)
        told = dict(heads or {})
        self.config: dict[str, Any] = {"heads": told, "prior_mean": prior_mean, "prior_std": prior_std}
        self._learns_prior = prior_mean is None or prior_std is None
        known = torch.tensor(
            [prior_mean or 0.0, max((1.0 if prior_std is None else prior_std) ** 2, _SMALLEST_VARIANCE)],
            dtype=torch.float64,
        )
        self.register_buffer("prior", known, persistent=self._learns_prior)  # otherwise the config has it
        self.heads = nn.ModuleDict(
            {m: build_head(c["kind"], {k: v for k, v in c.items() if k not in _OURS}) for m, c in told.items()}
        )
        self._poolings: dict[Modality, str] = {m: told[m]["pooling"] for m in MODALITIES if m in told}
        self._trust: dict[Modality, float] = {m: float(told[m]["trust"]) for m in self._poolings}
        if not all(0 <= a <= 1 for a in self._trust.values()):
            msg = f"trust must be between 0 and 1, got {self._trust}"
            raise ValueError(msg)

    @property
    def dims(self) -> dict[Modality, int]:
        """Width of the features of each modality."""
        return {m: cast(Head, self.heads[m]).dim // (1 + (p == "mean+std")) for m, p in self._poolings.items()}

    @property
    def averages(self) -> bool:
        """Whether no head asks for more than the average of the visible steps."""
        return set(self._poolings.values()) <= {"mean"}

    def rows(self, batch: Batch, modality: Modality) -> tuple[Tensor, Tensor]:
        """Pool the features of a modality as its head wants them: rows [n, width], presence bool [n]."""
        check_width(modality, got=batch.values[modality].shape[-1], expected=self.dims[modality])
        rows, present = batch.pooled(modality)
        if self._poolings[modality] == "mean+std":
            rows = torch.cat([rows, batch.spread(modality)], dim=1)
        return rows, present

    def forward(self, batch: Batch) -> Output:
        n = len(batch)
        prior_mean, prior_variance = self.prior.float()
        precision = (1 / prior_variance).expand(n)
        weighted = precision * prior_mean
        for modality in (m for m in self.dims if m in batch.values):
            rows, present = self.rows(batch, modality)
            said = cast(Head, self.heads[modality]).estimate(rows)
            # No head may know less than the prior: its precision would be taken away from the others'.
            surety = 1 / said.variance.clamp(max=prior_variance)
            trust = self._trust[modality] * present
            precision = precision + trust * (surety - 1 / prior_variance)
            weighted = weighted + trust * (surety * said.mean - prior_mean / prior_variance)
        sentiment = (weighted / precision).clamp(SENTIMENT_MIN, SENTIMENT_MAX)
        return Output(sentiment, class_logits(sentiment, precision.rsqrt()))

    def fit_scaler(self, batches: Iterable[Batch]) -> None:
        """Learn the scale of the inputs and the prior from the training split, seen batch by batch."""
        rows: dict[Modality, list[Tensor]] = {m: [] for m in self.dims}
        labels: list[Tensor] = []
        for batch in batches:
            if batch.labels is not None:
                labels.append(batch.labels.double())
            for m in (m for m in self.dims if m in batch.values):
                pooled, present = self.rows(batch, m)
                rows[m].append(pooled[present])
        for m, parts in rows.items():
            if parts and len(seen := torch.cat(parts)) > 1:
                cast(Ensemble, cast(Any, self.heads[m]).ensemble).fit_scale(seen)
        if self._learns_prior and labels and len(known := torch.cat(labels)) > 1:
            self.prior.copy_(torch.stack([known.mean(), known.var().clamp(min=_SMALLEST_VARIANCE)]))

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """Sum the losses of the heads, each on what it sees: they learn as if each were alone.

        Emotion heads learn from emotions, not from sentiment (scripts/train_embedded.py): they are left as they are.
        """
        labels = labels_of(batch)
        total = output.sentiment.sum() * 0.0
        for m in (m for m in self.dims if m in batch.values):
            head = self.heads[m]
            if isinstance(head, RegressionHead):
                rows, present = self.rows(batch, m)
                total = total + regression_loss(head, rows, labels, weights=present)
        return total

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Batch]) -> None:
        """Make the doubt of the regression heads honest on the validation split."""
        given = list(batches)
        labels = torch.cat([labels_of(batch) for batch in given])
        for m in self.dims:
            pairs = [self.rows(batch, m) for batch in given if m in batch.values]
            head = self.heads[m]
            if isinstance(head, RegressionHead) and len(pairs) == len(given):
                rows, present = (torch.cat(parts) for parts in zip(*pairs, strict=True))
                if present.any():
                    calibrate_variance(head, rows[present], labels[present])
