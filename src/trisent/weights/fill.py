"""Fill one stretch of a part from one address, over one connection."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trisent.i18n import t
from trisent.weights.answer import Answer, a_web_page, opened
from trisent.weights.part import Part, Stretch
from trisent.weights.sources import AgainError
from trisent.weights.structure import is_web_page

if TYPE_CHECKING:
    import httpx2

_TELL_EVERY_S = 0.02

OnChunk = Callable[[Answer, int], None]


@dataclass(slots=True)
class Meter:
    """Measures a rate in windows of `window_s`."""

    window_s: float
    since: float = field(default_factory=time.monotonic)
    received: int = 0

    def rate(self, count: int) -> float | None:
        """Count bytes; returns bytes a second when a window has ended, else None."""
        self.received += count
        if (elapsed := time.monotonic() - self.since) < self.window_s:
            return None
        rate = self.received / elapsed
        self.since, self.received = time.monotonic(), 0
        return rate


def fill(http: "httpx2.Client", url: str, part: Part, *, stretch: Stretch, on_chunk: OnChunk) -> None:
    """Write what `url` sends to `part`, until `stretch` is full.

    A server that ignores ranges sends everything from the beginning: what is here already is passed over.

    Args:
        on_chunk: called with the answer and the bytes that came since the last call, at the first bytes and then at
            most fifty times a second; an exception from it ends the filling.

    Raises:
        LeaveError: the address cannot deliver.
        AgainError: it may, later; what came is in `part`.
    """
    first = stretch.at
    with opened(http, url, span=(first, stretch.end), part=part) as answer:
        skip, received, told, told_at = first - answer.begins_at, 0, 0, 0.0
        # iter_raw hands over what arrives as it arrives: a line that breaks every 300 kB still gets there.
        for chunk in answer.response.iter_raw():
            if not received and not answer.begins_at and is_web_page(chunk):  # not every portal says what it sends
                raise a_web_page()
            received += len(chunk)
            fresh, skip = chunk[skip:], max(0, skip - len(chunk))
            part.write(stretch, fresh)  # what a server sends beyond the end is no matter: the digest judges
            if (now := time.monotonic()) - told_at >= _TELL_EVERY_S:
                on_chunk(answer, received - told)
                told, told_at = received, now
            # After the last announced byte the loop ends by itself, and the connection can be used again.
            if stretch.at == stretch.end and received != answer.announced:
                return
    if stretch.at < stretch.end:
        raise AgainError(t("the connection ended early"))
