"""How to train, as settings. There is none that names the test split: nothing in training can see it."""

from dataclasses import dataclass

from trisent.compute import check_device_name
from trisent.errors import UsageError
from trisent.i18n import t

SCHEDULES = ("constant", "cosine", "linear")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
SELECTIONS = ("mae", "corr")


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How to train. What the model looks like is the model's own config.

    Attributes:
        epochs: passes over the training split, at most.
        batch_size: utterances a step, all processes together.
        lr: highest learning rate of AdamW.
        weight_decay: of AdamW, at that learning rate.
        schedule: how the learning rate falls after the warm-up: not at all, or as a cosine or a line to 0.
        warmup: share of all steps in which the learning rate rises.
        clip: longest gradient, over all weights together; longer ones are shortened. 0: no limit.
        ema: decay of the moving average of the weights, which then is what is judged and kept; 0: none.
        precision: of the products in training: "fp32", "bf16", "fp16" (GPU only), or "auto", which is bf16 where the
            processor multiplies it itself. Judging is always in fp32.
        patience: epochs that may pass without a better score on valid before training stops.
        select: which valid score decides which epoch is kept: "mae" (lowest) or "corr" (highest).
        seed: of everything random.
        device: "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        UsageError: a value makes no sense.
    """

    epochs: int = 50
    batch_size: int = 32
    lr: float = 1e-4
    weight_decay: float = 0.01
    schedule: str = "constant"
    warmup: float = 0.0
    clip: float = 1.0
    ema: float = 0.0
    precision: str = "auto"
    patience: int = 10
    select: str = "mae"
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        check_device_name(self.device)
        for name, least in (("epochs", 1), ("batch_size", 1), ("patience", 1), ("seed", 0)):
            if (value := getattr(self, name)) < least:
                raise UsageError(t("{name} must be at least {least}, got {value}", name=name, least=least, value=value))
        if not 0 < self.lr <= 1:
            raise UsageError(t("lr must be above 0 and at most 1, got {value}; the guide uses 1e-4", value=self.lr))
        for name in ("weight_decay", "warmup", "ema"):
            if not 0 <= (value := getattr(self, name)) < 1:
                raise UsageError(t("{name} must be in [0, 1), got {value}", name=name, value=value))
        if not self.clip >= 0:
            raise UsageError(t("{name} must be at least {least}, got {value}", name="clip", least=0, value=self.clip))
        for name, known in (("schedule", SCHEDULES), ("precision", PRECISIONS), ("select", SELECTIONS)):
            if (value := getattr(self, name)) not in known:
                names = ", ".join(known)
                raise UsageError(t("{name} must be one of {names}, got {value!r}", name=name, names=names, value=value))
