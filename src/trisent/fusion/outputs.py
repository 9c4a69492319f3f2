"""Heads: a fused vector an utterance -> sentiment and seven classes, with the loss that teaches both.

The heads of `late` are another thing (heads.py): there each modality judges alone.
"""

import math
from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trisent.errors import DataError, UsageError
from trisent.fusion.batch import Batch, Output
from trisent.i18n import t
from trisent.types import CLASS_NAMES, SENTIMENT_MAX, SENTIMENT_MIN

_CLASSES = len(CLASS_NAMES)
_SMALLEST_STD = 0.05
_SMALLEST_PROBABILITY = 1e-6


class Head(Protocol):
    """A judge of fused vectors [n, width]; `temperature` divides the class logits and leaves the sentiment alone."""

    temperature: Tensor

    def __call__(self, vectors: Tensor) -> Output: ...

    def loss(self, output: Output, batch: Batch) -> Tensor: ...


class RegressionHead(nn.Module):
    """Judge the sentiment y = w.x + b, taught by its absolute error, as the field's toolkits do.

    The class probabilities are those of a normal distribution about y whose width is learned; teaching them does not
    move y.
    """

    temperature: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1)
        self.log_std = nn.Parameter(torch.zeros(()))
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, vectors: Tensor) -> Output:
        sentiment = bounded(self.score(vectors).squeeze(1).float())
        std = (self.log_std.exp() + _SMALLEST_STD).expand_as(sentiment)
        return Output(sentiment, class_logits(sentiment.detach(), std) / self.temperature)

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """Mean absolute error of the sentiment plus cross-entropy of the class."""
        labels = labels_of(batch)
        return F.l1_loss(output.sentiment, labels) + F.cross_entropy(output.class_logits, class_index(labels))


class ClassHead(nn.Module):
    """Judge seven classes freely; the sentiment is the expected class value sum(p_k (k - 3))."""

    temperature: Tensor
    class_values: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.logits = nn.Linear(width, _CLASSES)
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("class_values", torch.linspace(SENTIMENT_MIN, SENTIMENT_MAX, _CLASSES), persistent=False)

    def forward(self, vectors: Tensor) -> Output:
        logits = self.logits(vectors).float()  # [n, 7]
        sentiment = bounded((logits.softmax(dim=1) * self.class_values).sum(dim=1))
        return Output(sentiment, logits / self.temperature)

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """Cross-entropy of the class plus smooth L1 of the sentiment."""
        labels = labels_of(batch)
        wrong_class = F.cross_entropy(output.class_logits, class_index(labels))
        return wrong_class + F.smooth_l1_loss(output.sentiment, labels)


class OrdinalHead(nn.Module):
    """Judge how far up the scale an utterance is, with probabilities that cannot contradict each other.

    CORAL (Cao, Mirjalili and Raschka, "Rank consistent ordinal regression for neural networks", Pattern Recognition
    Letters 140, 2020, arXiv 1901.07884): for each of the six edges k between classes, P(class > k) = sigmoid(w.x + b_k)
    with one w [width] for all. CORAL proves that b_0 >= b_1 >= ... at the optimum; here the edges are sums of positive
    gaps, so it holds always and p_k = P(class > k - 1) - P(class > k) is never negative. The sentiment is the expected
    class value, -3 + sum_k P(class > k).

    Args:
        width: of the vectors.
        regression: also judge the sentiment directly, and say the mean of both.
    """

    temperature: Tensor

    def __init__(self, width: int, *, regression: bool = False) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1, bias=False)
        self.first = nn.Parameter(torch.tensor(2.5))  # edges from 2.5 down to -2.5: every class is likely at first
        self.gaps = nn.Parameter(torch.full((_CLASSES - 2,), math.log(math.e - 1)))  # softplus of it is 1
        self.direct = nn.Linear(width, 1) if regression else None
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, vectors: Tensor) -> Output:
        above = self.score(vectors).float() + self.edges()  # [n, 6], logit of P(class > k)
        sentiment = SENTIMENT_MIN + above.sigmoid().sum(dim=1)
        if self.direct is not None:
            sentiment = (sentiment + self.direct(vectors).squeeze(1).float()) / 2
        return Output(bounded(sentiment), ordinal_logits(above) / self.temperature)

    def edges(self) -> Tensor:
        """Give b_k [6], never increasing."""
        return torch.cat([self.first.view(1), self.first - F.softplus(self.gaps).cumsum(dim=0)])

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """Cross-entropy of the six questions "above edge k?", averaged, plus smooth L1 of the sentiment."""
        labels = labels_of(batch)
        # P(class > k) in logarithms, from the class probabilities, so that the loss needs nothing but the output.
        log_p = (output.class_logits * self.temperature).log_softmax(dim=1)
        above = log_p.flip(1).logcumsumexp(dim=1).flip(1)[:, 1:]  # [n, 6]
        below = log_p.logcumsumexp(dim=1)[:, :-1]
        truth = (class_index(labels).unsqueeze(1) > torch.arange(_CLASSES - 1, device=labels.device)).float()
        questions = -(truth * above + (1 - truth) * below).mean()
        return questions + F.smooth_l1_loss(output.sentiment, labels)


HEADS: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {  # name -> class and its settings
    "regression": (RegressionHead, {}),
    "classes": (ClassHead, {}),
    "ordinal": (OrdinalHead, {}),
    "ordinal+regression": (OrdinalHead, {"regression": True}),
}


def make_head(name: str, width: int) -> Any:  # a Head that is an nn.Module: Python has no type for both
    """Make the head `name` for vectors of a width.

    Raises:
        UsageError: no head has that name.
    """
    if name not in HEADS:
        message = t("{name} must be one of {names}, got {value!r}", name="head", names=", ".join(HEADS), value=name)
        raise UsageError(message)
    kind, settings = HEADS[name]
    return kind(width, **settings)


@torch.no_grad()
def calibrate(model: nn.Module, valid: Iterable[Batch]) -> float:
    """Set the temperature under which the classes of the validation split are most likely, and return it.

    Temperature scaling: Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017,
    arXiv 1706.04599. The most probable class and the sentiment stay what they are. The temperature is a buffer of the
    model's head, so a bundle carries it.

    Args:
        model: has a `head` made by `make_head`; it is left in eval mode.
        valid: labelled batches, on the model's device.

    Raises:
        UsageError: the model has no such head.
        DataError: there are no labelled utterances.
    """
    head = getattr(model, "head", None)
    if not isinstance(getattr(head, "temperature", None), Tensor):
        message = t(
            "{name} has no temperature to calibrate; its head must be one of {names}",
            name=type(model).__name__,
            names=", ".join(HEADS),
        )
        raise UsageError(message)
    temperature: Tensor = head.temperature  # type: ignore[union-attr]  # looked at just above
    model.eval()
    temperature.fill_(1.0)
    judged = [(model(batch).class_logits.double(), class_index(labels_of(batch))) for batch in valid]
    if not judged:
        raise DataError(t("the temperature is calibrated on labelled utterances, the validation split has none"))
    logits, classes = torch.cat([x for x, _ in judged]), torch.cat([c for _, c in judged])

    # The likelihood is concave in 1 / temperature (Guo et al. 2017), so it has one peak, and a golden section finds it.
    low, high = math.log(0.05), math.log(20.0)
    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(40):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        if _surprise(logits, classes, temperature=math.exp(a)) < _surprise(logits, classes, temperature=math.exp(b)):
            high = b
        else:
            low = a
    temperature.fill_(math.exp((low + high) / 2))
    return float(temperature)


def _surprise(logits: Tensor, classes: Tensor, *, temperature: float) -> float:
    return float(F.cross_entropy(logits / temperature, classes))


def labels_of(batch: Batch) -> Tensor:
    """Return the labels [utterances].

    Raises:
        DataError: the batch has none.
    """
    if batch.labels is None:
        raise DataError(t("the loss needs labels, this batch has none; train on a labelled split"))
    return batch.labels


def class_index(labels: Tensor) -> Tensor:
    """Give the class 0..6 of labels: the nearest whole number in [-3, 3], halves to the even neighbour (0.5 -> 0).

    This is `np.round`, the rule of MMSA and of Acc-7 in `trisent.evaluation.metrics`.
    """
    return (labels.clamp(SENTIMENT_MIN, SENTIMENT_MAX).round() - SENTIMENT_MIN).long()


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


def ordinal_logits(above: Tensor) -> Tensor:
    """Give the log-probability [n, 7] of each class from the logits [n, 6], never increasing, of P(class > k).

    log(sigmoid(a) - sigmoid(b)) = log sigmoid(a) + log sigmoid(-b) + log(1 - e^(b - a)) for a >= b, which loses nothing
    where both are near 0 or 1.
    """
    inner = F.logsigmoid(above[:, :-1]) + F.logsigmoid(-above[:, 1:])
    gaps = (above[:, :-1] - above[:, 1:]).clamp(min=1e-6)
    middle = inner + torch.log(-torch.expm1(-gaps))
    return torch.cat([F.logsigmoid(-above[:, :1]), middle, F.logsigmoid(above[:, -1:])], dim=1)


def bounded(sentiment: Tensor) -> Tensor:
    """Cut off at -3 and 3, but let the gradient through: what overshoots can come back."""
    return sentiment.detach().clamp(SENTIMENT_MIN, SENTIMENT_MAX) + (sentiment - sentiment.detach())
