"""Several connections to a source that throttles each by itself."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from faults.fetching import DATA, LANES, MB, fetch, kept, left_beside, part_of
from faults.server import Fault, FaultServer
from trisent.weights.part import Part
from trisent.weights.sources import SourcesFailedError

BIG = DATA * 4  # 12 MB: 6 s over one connection at 2 MB/s


@pytest.fixture(autouse=True)
def big(server: FaultServer, other: FaultServer) -> None:
    server.files["/f"] = other.files["/f"] = BIG
    server.rate = 2 * MB


def test_four_connections_take_a_third_of_the_time_and_no_byte_twice(server: FaultServer, place: Path) -> None:
    start = time.monotonic()
    fetch(place, f"{server.url}/f", data=BIG, patience=LANES)
    assert time.monotonic() - start < 6 / 2
    assert 4 <= server.most_busy <= 5  # the first asks again, for its own stretch only
    assert server.sent <= 1.05 * len(BIG)


@pytest.mark.parametrize("why", ["no ranges", "fast", "small", "told not to"])
def test_one_connection_stays_alone_where_more_would_not_help(why: str, server: FaultServer, place: Path) -> None:
    server.ranges = why != "no ranges"
    server.rate = 8 * MB
    patience = replace(
        LANES,
        fast_bytes_per_s=4 * MB if why == "fast" else LANES.fast_bytes_per_s,
        worth_bytes=len(BIG) if why == "small" else LANES.worth_bytes,
        connections=1 if why == "told not to" else 4,
    )
    fetch(place, f"{server.url}/f", data=BIG, patience=patience)
    assert server.most_busy == 1


def test_the_lanes_close_when_the_whole_is_no_faster(server: FaultServer, place: Path) -> None:
    """A line that is full is as fast with one connection as with four."""
    server.shared = 4 * MB
    fetch(place, f"{server.url}/f", data=BIG, patience=replace(LANES, judge_s=0.2, piece_bytes=MB // 2))
    # Only a connection that is alone asks for all the rest.
    assert any(asked.endswith("-") for asked in server.ranges_asked()[4:])


def test_lanes_that_are_refused_leave_the_work_to_the_first_connection(server: FaultServer, place: Path) -> None:
    """Some servers allow one connection for each client."""
    server.rate = 4 * MB
    server.always = lambda _: Fault("status", status=429) if server.busy else None
    fetch(place, f"{server.url}/f", data=BIG, patience=LANES)
    assert server.sent <= 1.05 * len(BIG)


def test_a_source_that_ignores_the_ranges_it_promised_does_no_harm(server: FaultServer, place: Path) -> None:
    server.rate = 4 * MB
    server.always = lambda asked: Fault("no-range") if asked.range else None
    fetch(place, f"{server.url}/f", data=BIG, patience=LANES)


def test_wrong_bytes_in_one_lane_are_never_installed(server: FaultServer, other: FaultServer, place: Path) -> None:
    server.rate = 4 * MB
    server.faults = [Fault(), Fault("wrong")]  # the second question is the first lane's
    fetch(place, f"{server.url}/f", f"{other.url}/f", data=BIG, patience=LANES)
    assert other.sent == len(BIG)


def test_when_the_source_dies_all_lanes_bytes_are_kept_for_the_next(
    server: FaultServer, other: FaultServer, place: Path
) -> None:
    server.always = lambda _: Fault("refuse") if server.sent > 6 * MB else Fault("cut", after=MB)
    fetch(place, f"{server.url}/f", f"{other.url}/f", data=BIG, patience=LANES)
    assert server.sent + other.sent <= 1.1 * len(BIG)


def test_what_lanes_left_is_taken_up_by_the_next_run(server: FaultServer, place: Path) -> None:
    server.always = lambda _: Fault("refuse") if server.sent > 4 * MB else Fault("cut", after=MB)
    with pytest.raises(SourcesFailedError):
        fetch(place, f"{server.url}/f", data=BIG, patience=LANES)
    here = kept(place, BIG)
    assert here > 4 * MB
    server.always, before = lambda _: None, server.sent
    fetch(place, f"{server.url}/f", data=BIG, patience=LANES)
    assert server.sent - before <= len(BIG) - here + 0.05 * len(BIG)


class TestJournal:
    """The journal of a part written out of order."""

    @pytest.fixture
    def left(self, server: FaultServer, place: Path) -> Part:
        """Leave the bytes 0-1000 and 5000-6000, as a killed run does."""
        place.parent.mkdir()
        part = part_of(place, BIG)
        part.path.write_bytes(BIG[:1000] + bytes(4000) + BIG[5000:6000])
        part.journal_path.write_bytes(b"0 1000\n5000 6000\n")
        server.rate = None
        return part

    @pytest.mark.usefixtures("left")
    def test_only_what_it_names_counts(self, place: Path) -> None:
        assert kept(place, BIG) == 2000

    def test_a_last_line_cut_short_by_the_kill_does_not(self, left: Part, place: Path) -> None:
        left.journal_path.write_bytes(b"0 1000\n5000 6000\n0 12")
        assert kept(place, BIG) == 2000

    def test_lines_beyond_the_parts_end_do_not(self, left: Part, place: Path) -> None:
        left.journal_path.write_bytes(b"0 1000\n5000 9000000\n8000000 9000000\n")
        assert kept(place, BIG) == 2000

    def test_without_its_part_it_names_nothing(self, left: Part, place: Path) -> None:
        left.path.unlink()
        assert kept(place, BIG) == 0
        assert not left.journal_path.exists()

    def test_an_empty_one_was_begun_before_anything_was_out_of_order(self, left: Part, place: Path) -> None:
        left.path.write_bytes(BIG[:1000])
        left.journal_path.write_bytes(b"")
        assert kept(place, BIG) == 1000

    @pytest.mark.usefixtures("left")
    def test_the_gap_is_fetched_and_nothing_else(self, server: FaultServer, place: Path) -> None:
        fetch(place, f"{server.url}/f", data=BIG, patience=replace(LANES, connections=1))
        assert server.ranges_asked() == ["bytes=1000-4999", "bytes=6000-"]
        assert left_beside(place) == []

    def test_a_journal_that_lies_costs_a_second_download_and_is_never_installed(
        self, left: Part, server: FaultServer, place: Path
    ) -> None:
        left.journal_path.write_bytes(b"0 6000\n")  # as after a power cut: the journal reached the disk, the bytes not
        fetch(place, f"{server.url}/f", data=BIG, patience=LANES)
