"""The guide's self-test of the fusion module: needs no download and no data, and speaks Chinese, as the guide does.

Its first and last three lines are the guide's to the letter; people compare them with what they see.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

import torch
from torch import Tensor

from trisent.errors import DataError, TrisentError
from trisent.fusion.batch import Batch, Output
from trisent.fusion.concat import ConcatFusion
from trisent.i18n import t
from trisent.seeding import seeded
from trisent.types import CLASS_NAMES, MODALITIES, SENTIMENT_MAX, Modality

# What the guide's encoders give, with their names.
_ENCODERS: dict[Modality, tuple[str, str, int]] = {
    "text": ("文本", "BERT", 768),
    "audio": ("音频", "wav2vec 2.0", 768),
    "video": ("视频", "ResNet-50", 2048),
}
_DIMS: dict[Modality, int] = {m: dim for m, (_, _, dim) in _ENCODERS.items()}
_UTTERANCES, _STEPS = 4, 5
_RULE = "=" * 70


def check_fusion(say: Callable[[str], None]) -> None:
    """Build the concat model for the guide's encoders and try it on every subset of modalities.

    Args:
        say: receives each line of the report.

    Raises:
        TrisentError: a check failed; the message names it.
    """
    say(_RULE)
    say("多模态融合模块 v2 测试（预训练编码器版本）")
    say(_RULE)
    with seeded(0):
        model = ConcatFusion(_DIMS)
        batch = _batch(torch.Generator().manual_seed(0))
        for chinese, encoder, dim in _ENCODERS.values():
            say(f"{chinese}编码器 {encoder}: {dim} 维")
        say(f"拼接后: {' + '.join(map(str, _DIMS.values()))} = {sum(_DIMS.values())} 维")
        say(f"融合模型参数量: {sum(p.numel() for p in model.parameters()):,}")
        for modalities in _subsets():
            say(_check_subset(model, batch, modalities))
        say(_check_masked_steps(model, batch))
        say(_check_training(model, batch))
        say(_check_widths(model, batch))
    say(_RULE)
    say("所有测试通过!")
    say(_RULE)


def _check_subset(model: ConcatFusion, batch: Batch, modalities: Sequence[Modality]) -> str:
    name = " + ".join(_ENCODERS[m][0] for m in modalities)
    model.eval()
    inputs = {m: values.clone().requires_grad_() for m, values in batch.values.items()}
    output = model(Batch(inputs, batch.masks, batch.labels).only(modalities))
    _require_shapes(output, name)
    gradients = torch.autograd.grad(model.loss(output, batch), list(inputs.values()))
    for m, gradient in zip(inputs, gradients, strict=True):
        _require(
            bool(gradient.isfinite().all()), t("{name}: the gradient of {modality} is finite", name=name, modality=m)
        )
        reached = bool((gradient.abs().amax(dim=(1, 2)) > 0).all()) if m in modalities else bool(gradient.any())
        expected = m in modalities
        _require(
            reached == expected,
            t("{name}: a gradient reaches what is present only ({modality})", name=name, modality=m),
        )
    low, high = output.sentiment.min().item(), output.sentiment.max().item()
    shapes = f"情感值 [{_UTTERANCES}]，类别 [{_UTTERANCES}, {len(CLASS_NAMES)}]"
    return f"[通过] {name}: {shapes}，范围 {low:+.3f} ~ {high:+.3f}，梯度正常"


def _check_masked_steps(model: ConcatFusion, batch: Batch) -> str:
    model.eval()
    masks = {m: mask.clone() for m, mask in batch.masks.items()}
    for mask in masks.values():
        mask[:, -2:] = False
    results: list[Tensor] = []
    for filler in (0.0, 1e6, float("nan")):
        values = {m: x.masked_fill(~masks[m].unsqueeze(-1), filler) for m, x in batch.values.items()}
        results.append(model(Batch(values, masks)).class_logits)
    _require(all(torch.equal(results[0], other) for other in results), t("masked steps have no influence"))
    return "[通过] 被屏蔽的时间步不影响结果（填入 0、1e6、NaN 均相同）"


def _check_training(model: ConcatFusion, batch: Batch) -> str:
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses: list[float] = []
    for _ in range(20):
        output = model(batch)
        _require_shapes(output, t("training"))
        loss = model.loss(output, batch)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    _require(losses[-1] < losses[0], t("20 training steps lower the loss"))
    return f"[通过] 随机遮蔽模态训练 20 步: 损失 {losses[0]:.3f} -> {losses[-1]:.3f}"


def _check_widths(model: ConcatFusion, batch: Batch) -> str:
    narrow = {**batch.values, "text": batch.values["text"][..., :-1]}
    try:
        model(Batch(narrow, batch.masks))
    except DataError:
        return f"[通过] 维度不符的特征被拒绝（文本 {_DIMS['text'] - 1} 维，应为 {_DIMS['text']} 维）"
    raise TrisentError(_failed(t("features of a wrong width are refused")))


def _batch(generator: torch.Generator) -> Batch:
    values = {m: torch.randn(_UTTERANCES, _STEPS, dim, generator=generator) for m, dim in _DIMS.items()}
    masks = {m: torch.ones(_UTTERANCES, _STEPS, dtype=torch.bool) for m in _DIMS}
    return Batch(values, masks, torch.linspace(-SENTIMENT_MAX, SENTIMENT_MAX, _UTTERANCES))


def _subsets() -> Iterator[tuple[Modality, ...]]:
    for size in range(1, len(MODALITIES) + 1):
        yield from combinations(MODALITIES, size)


def _require_shapes(output: Output, name: str) -> None:
    shapes = (list(output.sentiment.shape), list(output.class_logits.shape))
    expected = ([_UTTERANCES], [_UTTERANCES, len(CLASS_NAMES)])
    _require(
        shapes == expected,
        t("{name}: shapes {shapes}, expected {expected}", name=name, shapes=shapes, expected=expected),
    )
    finite = bool(output.sentiment.isfinite().all() and output.class_logits.isfinite().all())
    _require(finite, t("{name}: every number is finite", name=name))
    _require(output.sentiment.abs().max().item() <= SENTIMENT_MAX, t("{name}: sentiment is in [-3, 3]", name=name))


def _require(fact: bool, what: str) -> None:
    if not fact:
        raise TrisentError(_failed(what))


def _failed(what: str) -> str:
    return t(
        "self-test of the fusion module failed: {what}. Get a clean copy of trisent, then: trisent doctor", what=what
    )
