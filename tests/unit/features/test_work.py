"""How sources are cut into jobs."""

import math
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from trisent.features.work import Job, Piece, Source, jobs_of
from trisent.types import MODALITIES, Modality, Utterance

ALL: tuple[Modality, ...] = MODALITIES


def source(name: str, n: int) -> Source:
    return Source(Path(f"{name}.mp4"), tuple(Utterance(f"{name}$_${k}", float(k), k + 1.0) for k in range(n)), name)


def everything(sources: list[Source]) -> dict[str, tuple[Modality, ...]]:
    return {u.id: ALL for s in sources for u in s.utterances or ()}


def shape(jobs: list[Job]) -> list[list[tuple[str, int]]]:
    return [[(piece.path.stem, len(piece.utterances)) for piece in job.pieces] for job in jobs]


def test_a_long_file_is_cut_up_and_short_ones_are_put_together() -> None:
    sources = [source("long", 10), source("a", 1), source("b", 2), source("c", 2)]
    jobs = list(jobs_of(sources, everything(sources), utterances_a_job=4))
    assert shape(jobs) == [[("long", 4)], [("long", 4)], [("long", 2), ("a", 1)], [("b", 2), ("c", 2)]]


def test_utterances_that_want_other_modalities_have_jobs_of_their_own() -> None:
    sources = [source("a", 2), source("b", 2)]
    wanted = everything(sources) | {"a$_$1": ("video",), "b$_$0": ("video",)}
    jobs = list(jobs_of(sources, wanted, utterances_a_job=8))
    assert [(shape([job])[0], job.modalities) for job in jobs] == [
        ([("a", 1)], ALL),
        ([("a", 1), ("b", 1)], ("video",)),
        ([("b", 1)], ALL),
    ]


def test_what_is_done_is_left_out() -> None:
    sources = [source("a", 3)]
    jobs = list(jobs_of(sources, {"a$_$0": (), "a$_$2": ALL}, utterances_a_job=8))
    assert [u.id for job in jobs for u in job.utterances] == ["a$_$2"]


@given(st.lists(st.integers(0, 9), max_size=8), st.integers(1, 5), st.data())
def test_what_is_left_after_whole_jobs_is_cut_as_before(sizes: list[int], most: int, data: st.DataObject) -> None:
    sources = [source(str(k), n) for k, n in enumerate(sizes)]
    jobs = list(jobs_of(sources, everything(sources), utterances_a_job=most))
    done = data.draw(st.integers(0, len(jobs)))
    finished = {u.id for job in jobs[:done] for u in job.utterances}
    left = {i: wants for i, wants in everything(sources).items() if i not in finished}
    assert list(jobs_of(sources, left, utterances_a_job=most)) == jobs[done:]


def test_a_job_is_split_by_file_and_then_by_utterance() -> None:
    a, b = Utterance("a", 0.0, 1.0), Utterance("b", 1.0, math.inf)
    two = Job((Piece(Path("x"), (a, b)), Piece(Path("y"), (a,))))
    assert two.split() == [Job((Piece(Path("x"), (a, b)),)), Job((Piece(Path("y"), (a,)),))]
    assert two.split()[0].split() == [Job((Piece(Path("x"), (a,)),)), Job((Piece(Path("x"), (b,)),))]
