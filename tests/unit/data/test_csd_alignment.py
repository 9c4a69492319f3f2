"""Which rows belong to which interval, and their averages."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trisent.data.csd import alignment
from trisent.data.csd.alignment import average, overlaps
from unit.data.csd_files import slow_alignment

# Times on a grid meet, touch and repeat; lengths are zero and negative too.
INTERVALS = st.lists(st.tuples(st.integers(-2, 40), st.integers(-3, 6)), max_size=40).map(
    lambda found: np.array([(s / 10, (s + length) / 10) for s, length in found], np.float64).reshape(-1, 2)
)


def in_order(rows: np.ndarray) -> np.ndarray:
    return rows[np.argsort(rows[:, 0], kind="stable")]


@given(INTERVALS, INTERVALS)
@settings(deadline=None, max_examples=300)
def test_rows_belong_where_a_comparison_of_every_pair_says(references: np.ndarray, rows: np.ndarray) -> None:
    rows = in_order(rows)
    pairs = overlaps(references, rows)
    expected = [(i, k) for i, reference in enumerate(references) for k in slow_alignment(reference, rows)]
    assert list(zip(pairs.reference.tolist(), pairs.row.tolist(), strict=True)) == expected


@given(INTERVALS, INTERVALS)
@settings(deadline=None)
def test_looking_at_few_pairs_at_a_time_changes_nothing(references: np.ndarray, rows: np.ndarray) -> None:
    rows = in_order(rows)
    whole = overlaps(references, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alignment, "_MOST_PAIRS", 3)
        parts = overlaps(references, rows)
    assert np.array_equal(whole.reference, parts.reference)
    assert np.array_equal(whole.row, parts.row)
    assert np.array_equal(whole.shared, parts.shared)


@given(INTERVALS, INTERVALS, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_references_is_nothing_but_an_order(
    references: np.ndarray, rows: np.ndarray, random: object
) -> None:
    rows = in_order(rows)
    order = list(range(len(references)))
    random.shuffle(order)  # type: ignore[attr-defined]
    values = np.arange(len(rows), dtype=np.float32)[:, None]
    means, there = average(values, overlaps(references, rows), references=len(references))
    shuffled, there_too = average(values, overlaps(references[order], rows), references=len(references))
    assert np.array_equal(means[order], shuffled)
    assert np.array_equal(there[order], there_too)


@pytest.mark.parametrize(
    ("row", "belongs"),
    [
        ((0.0, 1.0), False),  # it ends where the reference begins
        ((2.0, 3.0), False),
        ((0.5, 1.000_005), False),  # less than ten microseconds
        ((0.5, 1.1), True),
        ((1.2, 1.3), True),
        ((0.0, 9.0), True),
        ((1.5, 1.5), False),
        ((1.8, 1.2), True),  # reversed, inside: the SDK looks at the length either way round
        ((3.0, 0.0), False),
        ((np.nan, 1.5), False),
        ((1.5, np.nan), False),
    ],
)
def test_a_row_belongs_by_what_it_shares_with_one_to_two(row: tuple[float, float], belongs: bool) -> None:
    assert (len(overlaps(np.array([[1.0, 2.0]]), np.array([row])).row) > 0) is belongs


def test_a_reference_without_length_has_no_rows_and_a_reversed_one_those_that_cover_it() -> None:
    references = np.array([[1.0, 1.0], [2.0, 1.0], [np.nan, 1.0]])
    pairs = overlaps(references, np.array([[0.0, 3.0], [1.2, 1.6]]))
    assert (pairs.reference.tolist(), pairs.row.tolist()) == ([1], [0])


def test_an_average_counts_every_row_the_same_however_short_its_share() -> None:
    pairs = overlaps(np.array([[0.0, 1.0], [5.0, 6.0]]), np.array([[0.0, 0.9], [0.9, 3.0]]))
    means, there = average(np.array([[1.0], [3.0]], np.float32), pairs, references=2)
    assert means.tolist() == [[2.0], [0.0]]
    assert there.tolist() == [True, False]


def test_infinity_and_nan_go_into_the_average_of_their_column_alone() -> None:
    pairs = overlaps(np.array([[0.0, 2.0]]), np.array([[0.0, 1.0], [1.0, 2.0]]))
    values = np.array([[-np.inf, 1, np.nan, -np.inf], [1, 3, 1, np.inf]], np.float32)
    means, _ = average(values, pairs, references=1)
    assert np.array_equal(means, [[-np.inf, 2, np.nan, np.nan]], equal_nan=True)
