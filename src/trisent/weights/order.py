"""In which order the sources of a file are asked; the one place that decides it, for the plan and for the pull.

The order is that of trust, as the caller gives it. Whatever comes is compared with its sha256, so a source that was
measured to be much faster may go first, and one that just said no goes last. Without a measurement trust decides.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

_MUCH_FASTER = 3.0  # less is within the noise of a sample of 1 MiB
_REMEMBERED_S = 600.0


@dataclass(frozen=True, slots=True)
class _Record:
    usable: bool
    bytes_per_s: float
    at: float


# What was measured in this process, by host and repository: a mirror may have one repository and not another.
_records: dict[str, _Record] = {}


def remember(url: str, *, usable: bool, bytes_per_s: float | None) -> None:
    """Keep for some minutes what a probe of `url` found."""
    _records[_place(url)] = _Record(usable, bytes_per_s or 0.0, time.monotonic())


def in_order(urls: Sequence[str]) -> list[str]:
    """Sort addresses, given in the order of trust, into the order in which they are asked.

    >>> in_order(["https://a.example/x", "https://b.example/x"])
    ['https://a.example/x', 'https://b.example/x']
    """
    now = time.monotonic()
    known = {url: record for url in urls if (record := _records.get(_place(url))) and now - record.at < _REMEMBERED_S}
    willing = [url for url in urls if url not in known or known[url].usable]
    if not willing:
        return list(urls)
    rates = {url: known[url].bytes_per_s for url in willing if url in known}
    first, fastest = willing[0], max(rates, key=rates.__getitem__, default=willing[0])
    # Of a first one that nobody measured nothing is known that would speak against it.
    leads = fastest if rates.get(fastest, 0.0) >= _MUCH_FASTER * rates.get(first, float("inf")) else first
    return sorted(urls, key=lambda url: (url not in willing, _place(url) != _place(leads)))


def _place(url: str) -> str:
    return url.partition("/resolve/")[0]
