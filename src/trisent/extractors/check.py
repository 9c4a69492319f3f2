"""The guide's self-test of one pretrained extractor on the built-in sample. It speaks Chinese, as the guide does.

Finds or fetches the weights, says where they are, extracts, and looks at what comes out.
"""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from trisent.config import PRESETS
from trisent.errors import TrisentError, WeightsError
from trisent.extractors.registry import extractor_class
from trisent.i18n import t
from trisent.media.clips import read_clips
from trisent.samples import TALK
from trisent.types import Clip, Features, Modality, OnProgress, Utterance
from trisent.weights import Weights, entry, find, pull

_TITLES: dict[Modality, str] = {
    "text": "BERT文本特征提取器测试",
    "audio": "wav2vec 2.0音频特征提取器测试",
    "video": "ResNet-50视频特征提取器测试",
}
_RULE = "=" * 70


def check_extractor(modality: Modality, say: Callable[[str], None], *, on_progress: OnProgress) -> None:
    """Try the `pretrained` extractor of a modality on the sample.

    Args:
        modality: which one.
        say: receives each line of the report.
        on_progress: hears of bytes while weights are fetched.

    Raises:
        WeightsError: the weights cannot be had; the message names the command that finds out why, and what works now.
        TrisentError: a check failed; the message names it.
    """
    say(_RULE)
    say(_TITLES[modality])
    say(_RULE)
    name, weights_name, options = PRESETS["pretrained"].extractors[modality]
    weights = _found_or_fetched(weights_name, say, on_progress)
    say(f"权重: {weights.name} ({'sha256 校验通过' if weights.pinned else '不是目录中的版本, 按原样使用'})")
    say(f"位置: {weights.file}")
    start_s = time.perf_counter()
    extractor = extractor_class(name)(weights_name, **options)
    loaded_s = time.perf_counter()
    clips = _sample()
    raw = [_raw(clip, modality) for clip in clips]
    extract_s = time.perf_counter()
    features = extractor.extract(raw)
    done_s = time.perf_counter()
    say(f"设备: {extractor.device}")
    say(f"样例: {TALK.name}, {len(clips)} 段")
    for clip, one in zip(clips, features, strict=True):
        say(f"  {one.values.shape}  {clip.utterance.text}")
    say(f"特征: 每段 [步数, {extractor.dim}], 步数合计 {sum(len(one.values) for one in features)}")
    say(f"用时: 加载 {loaded_s - start_s:.1f} 秒, 提取 {done_s - extract_s:.1f} 秒")
    _examine(features, dim=extractor.dim, name=weights.name)
    say(_RULE)
    say("所有测试通过!")
    say(_RULE)


def _found_or_fetched(name: str, say: Callable[[str], None], on_progress: OnProgress) -> Weights:
    if found := find(name):
        return found
    megabytes = sum(file.bytes for file in entry(name).needed) // 10**6
    say(f"本机没有 {name}, 正在下载 (约 {megabytes} MB) ...")
    try:
        return pull([name], on_progress=on_progress)[0]
    except WeightsError as error:
        message, counterpart = str(error), entry(name).counterpart
        if "trisent weights doctor" not in message:
            message += t(". To find out why, run: trisent weights doctor")
        if counterpart not in message:
            way_out = ". What works now is the embedded counterpart {name}: trisent weights pull {name}"
            message += t(way_out, name=counterpart)
        raise WeightsError(message) from error


def _sample() -> list[Clip]:
    document = json.loads(TALK.with_suffix(".json").read_text(encoding="utf-8"))
    sentences = [Utterance(str(i), s["start"], s["end"], s["text"]) for i, s in enumerate(document["sentences"])]
    return list(read_clips(TALK, sentences))


def _raw(clip: Clip, modality: Modality) -> Any:  # Any: what the extractor of that modality takes
    return {"text": clip.utterance.text, "audio": clip.waveform, "video": clip.frames}[modality]


def _examine(features: Sequence[Features], *, dim: int, name: str) -> None:
    """Raise TrisentError unless there is something to see in every utterance, finite and not always the same."""
    values = [one.values for one in features]
    if any(v.ndim != 2 or v.shape[1] != dim or len(v) == 0 for v in values):
        fault = t("features of another shape than [steps, {dim}]", dim=dim)
    elif not all(np.isfinite(v).all() for v in values):
        fault = t("features that are no numbers")
    elif any(np.allclose(values[0].mean(axis=0), v.mean(axis=0)) for v in values[1:]):
        fault = t("the same features for different utterances")
    else:
        return
    message = "{name} gives {fault}; check its file: trisent weights verify {name}"
    raise TrisentError(t(message, name=name, fault=fault))
