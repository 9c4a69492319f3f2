"""Labels for single modalities, made by the model itself while it learns.

Self-MM: Yu, Xu, Yuan and Wu, "Learning modality-specific representations with self-supervised multi-task learning for
multimodal sentiment analysis", AAAI 2021, arXiv 2102.04830. With n utterances and width h:

    F_s  = ReLU(W_s x_s) for each modality s, F_m = ReLU(MLP([F_1; ...; F_M]))      [n, h] each
    y_s  = w_s F_s, y = head(F_m)
    a_s  = (D(F_s, C_s-) - D(F_s, C_s+)) / (D(F_s, C_s+) + eps), D the squared distance / sqrt(h), and a_m likewise
    l_s  = l + (a_s - a_m) / 2 * (l + a_m) / a_m, kept in [-3, 3]: the label made for s, where l is the given one
    loss = loss of the head + sum_s mean of tanh|l_s - l| |y_s - l_s|

C+ and C- are the centres of the utterances with positive and negative labels. What differs: the paper keeps every
utterance's vectors and labels from one epoch to the next and averages the labels over epochs; that needs the
utterances' numbers, and as much state as there are utterances, in a model that is to be saved, resumed and run on
several devices. Here the centres are averages over recent batches with exponential decay, labels are made anew at each
step, and the smoothing over epochs is left out. The centres are buffers. During the first steps l_s = l, as in the
paper's first epoch, so that nothing is taught to single modalities (the weight tanh 0 is 0): as there, the
heads y_s only begin to learn then. D is squared as in the paper; the authors' code takes the root.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trisent.fusion.batch import Batch, Output
from trisent.fusion.encoders import UtteranceEncoder
from trisent.fusion.headed import HeadedFusion
from trisent.fusion.inputs import check_counts, check_shares
from trisent.fusion.outputs import labels_of, make_head
from trisent.types import SENTIMENT_MAX, SENTIMENT_MIN, Modality

_DECAY = 0.99  # of the centres, a step: they are an average over about a hundred batches
_SMALLEST = 1e-6


@dataclass(frozen=True, slots=True)
class SelfMMOutput(Output):
    """Also `vectors` [n, modalities + 1, h], the fused one last; `alone` and `present` [n, modalities]."""

    vectors: Tensor
    alone: Tensor
    present: Tensor


class SelfSupervisedFusion(HeadedFusion):
    """Judge the whole, and learn to judge each modality by labels made on the way.

    Args:
        dims: width of each modality's features.
        hidden: width of all vectors.
        warmup: training steps before labels are made.
        encoder: "mean" or "lstm", how steps become one vector.
        dropout: share of units dropped while training.
        modality_dropout: chance that a modality is hidden while training.
        head: name of the head, see `trisent.fusion.outputs`.
    """

    centre_sums: Tensor
    centre_counts: Tensor
    steps_seen: Tensor

    def __init__(
        self,
        dims: Mapping[Modality, int],
        *,
        hidden: int = 128,
        warmup: int = 100,
        encoder: str = "mean",
        dropout: float = 0.3,
        modality_dropout: float = 0.2,
        head: str = "regression",
    ) -> None:
        super().__init__(locals())
        check_counts(warmup=warmup)
        check_shares(dropout=dropout)
        self.encoder = UtteranceEncoder(dims, hidden=hidden, encoder=encoder, modality_dropout=modality_dropout)
        self.warmup = warmup
        count = len(self.dims)
        self.dropout = nn.Dropout(dropout)
        self.alone = nn.ModuleDict({m: nn.Linear(hidden, 1) for m in self.dims})
        self.fuse = nn.Sequential(
            nn.Linear(count * hidden, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.head = make_head(head, hidden)
        self.register_buffer("centre_sums", torch.zeros(2, count + 1, hidden))  # positive and negative
        self.register_buffer("centre_counts", torch.zeros(2, count + 1))
        self.register_buffer("steps_seen", torch.zeros((), dtype=torch.long))

    def forward(self, batch: Batch) -> SelfMMOutput:
        encoded, there = self.encoder(batch)
        vectors = [encoded[m].relu() for m in self.dims]
        kept = [self.dropout(x) for x in vectors]  # the centres are of the vectors themselves: dropout would be noise
        fused = self.fuse(torch.cat(kept, dim=1))
        judged: Output = self.head(fused)
        alone = torch.cat([self.alone[m](x) for m, x in zip(self.dims, kept, strict=True)], dim=1)
        present = torch.stack([there[m] for m in self.dims], dim=1)
        everything = torch.stack([*vectors, fused], dim=1).float()
        return SelfMMOutput(judged.sentiment, judged.class_logits, everything, alone.float(), present)

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """Return the loss of the head plus what single modalities get wrong; in training, move the centres."""
        loss: Tensor = self.head.loss(output, batch)
        if not isinstance(output, SelfMMOutput):
            return loss
        labels = labels_of(batch).float()
        made = self.make_labels(output.vectors.detach(), labels)  # [n, M]
        weight = (made - labels.unsqueeze(1)).abs().tanh() * output.present
        wrong = (weight * (output.alone - made).abs()).sum(dim=0) / output.present.sum(dim=0).clamp(min=1)
        if self.training:
            self._move_centres(output.vectors.detach(), labels=labels, made=made, present=output.present)
        return loss + wrong.sum()

    def make_labels(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """Make a label [n, M] for each modality from vectors [n, M + 1, h] and the given labels [n]."""
        given = labels.unsqueeze(1)
        centres = self.centre_sums / self.centre_counts.clamp(min=_SMALLEST).unsqueeze(2)  # [2, M + 1, h]
        near, far = ((vectors - centre).square().sum(dim=2) / vectors.shape[2] ** 0.5 for centre in centres)
        side = (far - near) / (near + _SMALLEST)  # [n, M + 1], above 0 on the positive side
        each, whole = side[:, :-1], side[:, -1:]
        whole = torch.where(whole.abs() < _SMALLEST, _SMALLEST, whole)
        made = given + (each - whole) / 2 * (given + whole) / whole
        known = (self.centre_counts > 0).all(dim=0)  # [M + 1]; a modality nobody has does not hold up the others
        ready = (self.steps_seen >= self.warmup) & known[:-1] & known[-1]
        return torch.where(ready, made.clamp(SENTIMENT_MIN, SENTIMENT_MAX), given)

    def _move_centres(self, vectors: Tensor, *, labels: Tensor, made: Tensor, present: Tensor) -> None:
        truth = torch.cat([made, labels.unsqueeze(1)], dim=1)  # [n, M + 1]
        counts = torch.cat([present, torch.ones_like(present[:, :1])], dim=1)
        sides = torch.stack([(truth > 0) & counts, (truth < 0) & counts]).to(vectors.dtype)  # [2, n, M + 1]
        self.centre_sums.mul_(_DECAY).add_(torch.einsum("snm,nmh->smh", sides, vectors))
        self.centre_counts.mul_(_DECAY).add_(sides.sum(dim=1))
        self.steps_seen.add_(1)
