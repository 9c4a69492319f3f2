"""The utterances of a data set of computational sequences: the intervals that have labels."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trisent.data.csd.files import Csd, Doubles
from trisent.data.dataset import EMOTIONS, SENTIMENT
from trisent.errors import DataError
from trisent.i18n import t
from trisent.types import Floats

# The columns of "All Labels", as the SDK's readme of CMU-MOSEI has them; MOSI has the first alone.
LABELS = (SENTIMENT, *EMOTIONS)


@dataclass(frozen=True, slots=True)
class Utterances:
    """Labelled intervals, video by video.

    Attributes:
        ids: "video[k]".
        videos: of each.
        spans: float64 [utterances, 2], seconds in the video.
        labels: float32 [utterances, 1 or 7].
        keyed: the file has them as entries "video[k]", so others may have entries of the same keys.
    """

    ids: tuple[str, ...]
    videos: tuple[str, ...]
    spans: Doubles
    labels: Floats
    keyed: bool

    def by_video(self) -> Iterator[tuple[str, NDArray[np.int64]]]:
        """Yield each video with the numbers of its utterances."""
        names = np.array([*self.videos, None], dtype=object)[:-1]
        begins = np.flatnonzero(np.concatenate([[True], names[1:] != names[:-1]]))
        for begin, end in zip(begins, [*begins[1:], len(names)], strict=True):
            yield self.videos[begin], np.arange(begin, end)


def read_utterances(csd: Csd) -> Utterances:
    """Read the labels.

    Utterance k of a video is row k of the video's entry, as the SDK numbers them, or the entry "video[k]".

    Raises:
        DataError: the labels are neither one column nor seven, or the file is damaged.
    """
    if csd.words or csd.width not in (1, len(LABELS)):
        expected = ", ".join(LABELS)
        message = "{path}: expected labels of 1 column (sentiment) or of 7 ({expected}), got {width}"
        raise DataError(t(message, path=csd.path, expected=expected, width=csd.width))
    entries = list(csd.entries.values())
    keyed = all(entry.number is not None and entry.rows == 1 for entry in entries)
    rows = csd.rows(entries)
    if keyed:
        ids = [entry.key for entry in entries]
    else:
        ids = [f"{video}[{k}]" for video, own in csd.videos.items() for k in range(sum(e.rows for e in own))]
    videos = tuple(entry.video for entry in entries for _ in range(entry.rows))
    return Utterances(tuple(ids), videos, rows.intervals, rows.values.astype(np.float32), keyed)
