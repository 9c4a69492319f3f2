"""Data sets of texts without videos: their utterances are read, not heard."""

import math
from pathlib import Path

from trisent.features.layouts import Draft, Row
from trisent.features.tables import SUFFIXES, headers

_MEDIA = ("path", "file", "video_path", "file_path", "filename")
_JSON = (".jsonl", ".ndjson")


def is_written(path: Path) -> bool:
    """Say whether a table names no files and has texts: JSON lines, or a CSV or TSV without a column for paths.

    Raises:
        DataError: it cannot be read.
    """
    if path.suffix.lower() in _JSON:
        return True
    if path.suffix.lower() not in SUFFIXES:
        return False
    named = headers(path)
    return bool({"text", "transcript"} & named) and not named & {*_MEDIA, "video"}


def written(path: Path) -> list[Draft]:
    """Read the utterances of a data set of texts, as `trisent.data` reads it: one draft a video.

    Raises:
        DataError: the table is unusable as a whole.
    """
    from trisent.data.readers import read  # reads feature stores too, so it knows this package

    data = read(path)
    rows: dict[str, list[Row]] = {}
    for i, id in enumerate(data.ids):
        start, end = (float(second) for second in data.spans[i])
        label = float(data.sentiment[i])
        row = Row(
            id,
            id,
            0.0 if math.isnan(start) else start,
            math.inf if math.isnan(end) else end,
            data.texts[i],
            None if math.isnan(label) else label,
            data.splits[i],
        )
        rows.setdefault(data.videos[i] or id, []).append(row)
    return [Draft(Path(video), (video,), tuple(mine), media=False) for video, mine in rows.items()]
