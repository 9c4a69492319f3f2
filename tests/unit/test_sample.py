"""The sample clip is what its notes say: facts measured on the files, without the script that made them."""

import itertools
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

import trisent

SAMPLES = Path(trisent.__file__).parent / "samples"
CLIP = SAMPLES / "talk.mp4"
WINDOW_S = 0.02


@pytest.fixture(scope="module")
def sentences() -> list[dict[str, Any]]:
    return json.loads((SAMPLES / "talk.json").read_text(encoding="utf-8"))["sentences"]


@pytest.fixture(scope="module")
def loudness() -> NDArray[np.float64]:
    """Root mean square of the sound, a value every WINDOW_S.  [windows]"""
    with av.open(CLIP) as file:
        rate_hz = file.streams.audio[0].rate
        sound = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])
    window = round(WINDOW_S * rate_hz)
    whole = sound[: len(sound) // window * window].astype(np.float64)
    return np.sqrt(np.square(whole.reshape(-1, window)).mean(axis=1))


@pytest.fixture(scope="module")
def pictures() -> NDArray[np.int16]:
    """Brightness of all frames at half size.  [frames, height, width]"""
    with av.open(CLIP) as file:
        grey = [frame.to_ndarray(format="gray")[::2, ::2] for frame in file.decode(video=0)]
    return np.stack(grey).astype(np.int16)


def test_the_clip_is_small_and_short() -> None:
    with av.open(CLIP) as file:
        assert 15 <= file.duration / av.time_base <= 30
    assert CLIP.stat().st_size < 1_000_000


def test_the_clip_has_one_picture_and_one_sound_that_every_browser_plays() -> None:
    with av.open(CLIP) as file:
        assert [stream.type for stream in file.streams] == ["video", "audio"]
        assert file.streams.video[0].codec_context.name == "h264"
        assert file.streams.video[0].codec_context.pix_fmt == "yuv420p"
        assert file.streams.audio[0].codec_context.name == "aac"


def test_picture_and_sound_last_equally_long(pictures: NDArray[np.int16], loudness: NDArray[np.float64]) -> None:
    with av.open(CLIP) as file:
        seconds_of_picture = len(pictures) / float(file.streams.video[0].average_rate)
    assert seconds_of_picture == pytest.approx(len(loudness) * WINDOW_S, abs=0.1)


def test_the_five_sentences_differ_in_sentiment(sentences: list[dict[str, Any]]) -> None:
    assert sorted(sentence["written_as"] for sentence in sentences) == [
        "most negative",
        "most positive",
        "negative",
        "neutral",
        "positive",
    ]


def test_the_sentences_follow_each_other_with_pauses_between(sentences: list[dict[str, Any]]) -> None:
    pauses = [after["start"] - before["end"] for before, after in itertools.pairwise(sentences)]
    assert all(0.6 <= pause <= 0.9 for pause in pauses)


def test_the_sound_is_inside_the_sentences(sentences: list[dict[str, Any]], loudness: NDArray[np.float64]) -> None:
    times = (np.arange(len(loudness)) + 0.5) * WINDOW_S
    margin_s = 0.06  # a block of AAC is 0.04 s and smears a little beyond the word
    pause = np.ones(len(loudness), bool)
    for sentence in sentences:
        said = (times > sentence["start"]) & (times < sentence["end"])
        assert np.median(loudness[said]) > 0.02, sentence["text"]
        pause &= (times < sentence["start"] - margin_s) | (times > sentence["end"] + margin_s)
    assert pause.sum() * WINDOW_S > 3
    assert loudness[pause].max() < 0.002  # -54 dB


def test_the_picture_moves_all_the_time_but_gently(pictures: NDArray[np.int16]) -> None:
    change = np.abs(np.diff(pictures, axis=0)).mean(axis=(1, 2))  # grey levels of 256, frame to frame
    assert change.min() > 0.05
    assert change.max() < 5


def test_the_picture_is_neither_black_nor_burnt_out(pictures: NDArray[np.int16]) -> None:
    assert pictures[::50].mean(axis=(1, 2)).min() > 60
    assert pictures[::50].mean(axis=(1, 2)).max() < 200
    assert pictures[::50].std(axis=(1, 2)).min() > 30
