"""The part of a file: stretches claimed, written in any order, hashed as one."""

import hashlib
import random
from contextlib import ExitStack
from pathlib import Path

from trisent.weights.part import Part

DATA = random.Random(5).randbytes(10_000)
BIG = random.Random(6).randbytes(9_000_000)  # big enough for a thread that hashes beside the writing


def new(folder: Path, data: bytes = DATA) -> Part:
    return Part(folder / "f", len(data), hashlib.sha256(data).hexdigest())


def test_stretches_do_not_overlap_and_cover_the_file(tmp_path: Path) -> None:
    part = new(tmp_path)
    with ExitStack() as stack:
        claims = [stack.enter_context(part.stretch(at_most=3000)) for _ in range(5)]
        spans = [(claim.at, claim.end) for claim in claims if claim]
    assert spans == [(0, 3000), (3000, 6000), (6000, 9000), (9000, 10_000)]
    assert claims[4] is None


def test_what_is_given_back_is_claimed_again_less_what_was_written(tmp_path: Path) -> None:
    part = new(tmp_path)
    with part.stretch(at_most=3000) as first:
        assert first is not None
        part.write(first, DATA[:500])
    with part.stretch(at_most=3000) as again:
        assert again is not None
        assert (again.at, again.end) == (500, 3500)


def test_bytes_written_in_any_order_have_the_files_digest(tmp_path: Path) -> None:
    part = new(tmp_path)
    part.spread()
    with ExitStack() as stack:
        claims = [stack.enter_context(part.stretch(at_most=3000)) for _ in range(4)]
        for claim in (claims[2], claims[3], claims[0], claims[1]):
            assert claim is not None
            part.write(claim, DATA[claim.at : claim.end])
    assert part.found() == part.digest
    part.install()
    assert (tmp_path / "f").read_bytes() == DATA
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_does_not_fit_a_stretch_is_left_out(tmp_path: Path) -> None:
    part = new(tmp_path)
    with part.stretch(at_most=len(DATA)) as stretch:
        assert stretch is not None
        part.narrow(stretch, at_most=100)
        part.write(stretch, DATA[:500])
    assert part.done == 100
    assert part.path.stat().st_size == 100


def test_while_bytes_come_in_order_there_is_no_journal(tmp_path: Path) -> None:
    part = new(tmp_path)
    with part.stretch(at_most=len(DATA)) as stretch:
        assert stretch is not None
        part.write(stretch, DATA[:500])
    assert not part.journal_path.exists()
    assert new(tmp_path).load() == 500


def write(part: Part, data: bytes, *, upto: int) -> None:
    with part.stretch(at_most=upto) as stretch:
        assert stretch is not None
        while stretch.at < min(upto, stretch.end):
            part.write(stretch, data[stretch.at : stretch.at + 60_000])


def test_what_an_earlier_run_left_and_what_comes_now_are_hashed_as_one(tmp_path: Path) -> None:
    part = new(tmp_path, BIG)
    write(part, BIG, upto=5_000_000)
    part.close()
    again = new(tmp_path, BIG)
    assert again.load() == 5_000_000
    write(again, BIG, upto=len(BIG))
    assert again.found() == again.digest


def test_after_wrong_bytes_the_hash_begins_anew(tmp_path: Path) -> None:
    part = new(tmp_path, BIG)
    write(part, bytes(len(BIG)), upto=len(BIG))
    assert part.found() != part.digest
    part.discard()
    write(part, BIG, upto=len(BIG))
    assert part.found() == part.digest


def test_the_digest_is_of_what_the_file_holds_in_the_end(tmp_path: Path) -> None:
    part = new(tmp_path)
    write(part, DATA, upto=len(DATA))
    part.path.write_bytes(DATA[:-1] + b"?")  # a bad stick
    assert part.found() != part.digest


def test_who_was_writing_when_the_part_began_anew_writes_no_more(tmp_path: Path) -> None:
    part = new(tmp_path)
    part.spread()
    with part.stretch(at_most=3000) as late:
        assert late is not None
        part.write(late, DATA[:500])
        part.discard()
        part.write(late, DATA[500:1000])
    assert part.done == 0
    assert not part.path.exists()
