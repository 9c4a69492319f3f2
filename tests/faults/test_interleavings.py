"""Whatever goes wrong in whatever order: the right file, or a clear error and no file."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faults.fetching import DATA, LANES, digest, left_beside
from faults.server import Fault, fault_server
from trisent.weights import sources
from trisent.weights.download import download
from trisent.weights.sources import SourcesFailedError

BODY = DATA[:400_000]
KINDS = (
    *("refuse", "silence", "cut", "reset", "hang", "drip", "wrong", "short", "long", "headless", "encoded"),
    *("other-range", "portal", "no-range", "no-range-cut", "none"),
)
PATIENCE = replace(
    LANES, first_wait_s=0.001, longest_wait_s=0.01, read_s=0.05, window_s=0.05, judge_s=0.005,
    slow_bytes_per_s=100_000, worth_bytes=100_000, piece_bytes=60_000,
)  # fmt: skip

ordinary = st.builds(Fault, st.sampled_from(KINDS), after=st.integers(0, len(BODY)))
refused = st.builds(
    Fault, st.just("status"), status=st.sampled_from([401, 403, 404, 416, 429, 500, 503]),
    headers=st.sampled_from([{}, {"Retry-After": "1"}, {"Retry-After": "soon"}]),
)  # fmt: skip
redirected = st.builds(
    Fault, st.just("redirect"), status=st.sampled_from([301, 302, 307, 308]), to=st.sampled_from(["/f", "/g", "//"])
)
troubles = st.lists(st.one_of(ordinary, refused, redirected), max_size=8)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(
    one=troubles, two=troubles, left=st.integers(0, len(BODY)), honest=st.booleans(), journal=st.booleans(),
    rate=st.sampled_from([None, 4_000_000]),
)  # fmt: skip
def test_random_faults_end_in_the_right_file_or_a_clear_error(
    *, one: list[Fault], two: list[Fault], left: int, honest: bool, journal: bool, rate: int | None
) -> None:
    sources._down.clear()
    with (
        tempfile.TemporaryDirectory() as folder,
        fault_server({"/f": BODY, "/g": BODY[::-1]}) as first,
        fault_server({"/f": BODY}) as second,
    ):
        place = Path(folder) / "f"
        part = place.with_name(f".f.{digest(BODY)[:12]}.part")
        part.write_bytes((BODY if honest else BODY[::-1])[:left])  # of an earlier run
        if journal:
            part.with_suffix(".ranges").write_bytes(b"0 %d\n%d %d\n" % (left // 3, left // 2, left))
        first.faults, second.faults = [replace(fault) for fault in one], [replace(fault) for fault in two]
        first.rate = rate
        causes = attempt(place, f"{first.url}/f", f"{second.url}/f", f"{first.url}/g")
        if causes:
            assert not place.exists()
            assert all(host in causes for host in (first.host, second.host))
        else:
            assert place.read_bytes() == BODY
            assert left_beside(place) == []


def attempt(place: Path, *urls: str) -> str:
    """Download; returns the causes of a clear error, or nothing."""
    try:
        download(urls, place, bytes=len(BODY), sha256=digest(BODY), patience=PATIENCE)
    except SourcesFailedError as error:
        return error.causes
    return ""
