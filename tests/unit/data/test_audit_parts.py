"""What findings are made from: statistics of columns, similar texts, constants, published sizes and sums."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from trisent.data.audit import audit, columns, describe
from trisent.data.audit.baselines import baselines
from trisent.data.audit.columns import measure
from trisent.data.audit.published import PUBLISHED, SHA256, near_sizes, same_sizes
from trisent.data.audit.splits import check_files
from trisent.data.audit.texts import _WORDS, check_texts
from trisent.data.dataset import Dataset, sequences
from trisent.types import Features
from unit.data.clean_set import clean_set


@pytest.mark.parametrize("at_once", [1, 50, 4_000_000])
def test_statistics_of_columns_do_not_depend_on_how_much_is_read_at_once(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "_VALUES_AT_ONCE", at_once)
    random = np.random.default_rng(0)
    rows = []
    for n in (3, 0, 7, 1, 5, 2):
        values = random.standard_normal((n, 4)).astype(np.float32)
        rows.append(Features(values, np.zeros(n, np.float32), random.random(n) > 0.3))
    rows[2].values[4, 1], rows[4].values[0, 2] = -np.inf, np.nan
    rows[2].mask[4] = rows[4].mask[0] = True
    rows[5].values[:] = 0
    got = measure(sequences(rows, 4))
    visible = np.concatenate([r.values[r.mask] for r in rows]).astype(np.float64)
    finite = np.where(np.isfinite(visible), visible, np.nan)
    np.testing.assert_allclose(got.mean, np.nanmean(finite, axis=0), rtol=1e-6)
    np.testing.assert_allclose(got.std, np.nanstd(finite, axis=0), rtol=1e-6)
    np.testing.assert_allclose(got.low, np.nanmin(finite, axis=0))
    np.testing.assert_allclose(got.high, np.nanmax(finite, axis=0))
    np.testing.assert_allclose(got.zeros, (visible == 0).mean(axis=0))
    assert (got.below.tolist(), got.nan.tolist(), got.steps) == ([0, 1, 0, 0], [0, 0, 1, 0], len(visible))
    assert np.flatnonzero(got.broken).tolist() == [2, 4]
    assert got.seen.tolist() == [bool(r.mask.any()) for r in rows]
    assert got.blank.tolist() == [bool(r.mask.any() and (r.values[r.mask] == 0).all()) for r in rows]
    for row, one in zip(got.pooled, rows, strict=True):
        if one.mask.any():
            seen = one.values[one.mask]
            np.testing.assert_allclose(row, np.nanmean(np.where(np.isfinite(seen), seen, np.nan), axis=0), rtol=1e-5)
        else:
            assert np.isnan(row).all()


def jaccard(first: str, second: str) -> float:
    a, b = ({tuple(w[i : i + 3]) for i in range(len(w) - 2)} for w in (first.split(), second.split()))
    return len(a & b) / len(a | b)


def test_similar_texts_are_those_that_comparing_all_pairs_finds() -> None:
    random = np.random.default_rng(1)
    d = clean_set()
    texts = list(d.texts)
    rows = random.permutation(len(d))
    for source, target in zip(rows[:200], rows[200:400], strict=True):  # copies with none to three words changed
        words = f"{texts[source]} and {texts[source]}".split()[:20]
        texts[source] = " ".join(words)
        for k in random.choice([0, 1, 10, 18, 19], int(random.integers(0, 4))):
            words[k] = "other"
        texts[target] = " ".join(words)
    d = replace(d, texts=tuple(texts))
    expected = {
        frozenset((d.ids[i], d.ids[j]))
        for i, j in combinations(range(len(d)), 2)
        if d.splits[i] != d.splits[j] and 0.8 <= jaccard(texts[i], texts[j]) < 1
    }
    got = {frozenset((r.first, r.second)) for r in check_texts(d)[1] if r.similarity < 1}
    assert len(expected) > 5
    assert got == expected


def test_chinese_is_compared_character_by_character() -> None:
    assert _WORDS.findall("我不想嫁给李茶 ok3!") == [*"我不想嫁给李茶", "ok3"]
    d = clean_set()
    texts = list(d.texts)
    texts[0], texts[int(d.index("test")[0])] = "你这是嫁入豪门啊我不想嫁给他", "你这是嫁入豪门啊,我不想嫁给他!"
    repeats = check_texts(replace(d, texts=tuple(texts)))[1]
    assert [(r.first, r.second) for r in repeats] == [(d.ids[0], d.ids[int(d.index("test")[0])])]


def tiny(sentiment: list[float], splits: list[str]) -> Dataset:
    ids = tuple(f"u{i}" for i in range(len(splits)))
    return Dataset("tiny", "made", ids, tuple(splits), {"sentiment": np.array(sentiment, np.float32)}, {})


def test_constants_score_as_counted_by_hand() -> None:
    y = [1.0, 1.0, 2.0, -2.0, 0.0, 0.3, -0.3, 1.5]
    got = {b.rule: b for b in baselines(tiny(y, ["train"] * 4 + ["test"] * 4)) if b.split == "test"}
    zero = got["0"]
    assert zero.mae == pytest.approx((0.3 + 0.3 + 1.5) / 4)
    assert zero.acc7_round == 3 / 4  # 0, 0.3 and -0.3 round to 0
    assert zero.acc7_cmu == 1 / 4  # only 0 itself
    assert zero.acc2_has0 == 3 / 4
    assert zero.acc2_non0 == pytest.approx(1 / 3)
    assert zero.acc2_has0_positive == 2 / 4
    assert zero.acc2_non0_negative == pytest.approx(2 / 3)
    assert (got["majority class of train"].value, got["mean of train"].value) == (1.0, 0.5)


def test_the_published_test_set_of_mosei_gives_the_published_baselines() -> None:
    """The class counts of MERBench's label.npz: always saying 0 has an Acc-7 of 41.36, by CMU's rule of 22.00."""
    counts = {-3: 70, -2: 399, -1: 554, 0: 1927, 1: 1228, 2: 440, 3: 41}
    y = [float(k) if k else (0.0 if i < 1025 else 0.2) for k, n in counts.items() for i in range(n)]
    zero = next(b for b in baselines(tiny(y, ["test"] * len(y))) if b.rule == "0")
    assert round(100 * zero.acc7_round, 2) == 41.36
    assert round(100 * zero.acc7_cmu, 2) == 22.0


def test_published_sizes_are_known_even_when_a_part_is_missing() -> None:
    for p in PUBLISHED:
        found = same_sizes(dict(zip(("train", "valid", "test"), p.sizes, strict=True)))
        assert found is not None
        assert (found.name, found.sizes) == (p.name, p.sizes)
    assert same_sizes({"train": 16_326, "valid": 1_871, "test": 0}) == PUBLISHED[0]
    assert same_sizes({"train": 512, "valid": 128, "test": 128}) is None


def test_sizes_near_published_ones_are_a_warning() -> None:
    assert near_sizes("x", counts={"train": 16_300, "valid": 1_870, "test": 4_600}) == PUBLISHED[0]
    assert near_sizes("my-MOSI", counts={"train": 1_000, "valid": 200, "test": 600}) == PUBLISHED[4]
    assert near_sizes("x", counts={"train": 512, "valid": 128, "test": 128}) is None
    counts = {"train": 1_284, "valid": 229, "test": 680}
    splits = [s for s, n in counts.items() for _ in range(n)]
    codes = {f.code: f for f in audit(tiny([0.0, 1.0, -1.0] * 731, splits)).findings}
    assert (codes["split.sizes"].level, codes["split.sizes"].count) == ("warning", 6)


def test_the_published_split_of_sims_may_share_videos_and_others_may_not() -> None:
    counts = {"train": 1_368, "valid": 456, "test": 457}
    splits = [s for s, n in counts.items() for _ in range(n)]
    d = tiny([0.2 * (k % 11) - 1 for k in range(2_281)], splits)
    d = replace(d, videos=tuple(f"video_{k % 60}" for k in range(2_281)), scale=(-1.0, 1.0))
    assert {f.code: f.level for f in audit(d).findings}["split.videos"] == "warning"
    assert {f.code: f.level for f in audit(d.take(np.arange(2_000))).findings}["split.videos"] == "error"


def test_a_file_with_a_published_name_and_another_sum_is_told(tmp_path: Path) -> None:
    (tmp_path / "aligned_50.pkl").write_bytes(b"cut off")
    (finding,) = check_files(tmp_path)
    assert (finding.code, finding.level) == ("file.changed", "warning")
    (same,) = check_files(tmp_path / "aligned_50.pkl")
    assert same == finding


def test_a_file_with_a_published_sum_is_known_by_whatever_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.pkl"
    path.write_bytes(b"x")
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"  # sha256 of "x"
    monkeypatch.setitem(SHA256, digest, "MOSI aligned_50.pkl")
    (finding,) = check_files(path)
    assert finding.code == "file.published"


def test_words_are_counted_where_spaces_part_them_and_characters_where_none_do() -> None:
    texts = ("这部电影很好", "a good film", "")
    labels = {"sentiment": np.zeros(3, np.float32)}
    data = Dataset("texts", "", ("a", "b", "c"), ("train", "train", "valid"), labels, {}, texts)
    words = {split: facts.words for split, facts in describe(data).splits.items()}
    assert words == {"train": 6 + 3, "valid": 0}
