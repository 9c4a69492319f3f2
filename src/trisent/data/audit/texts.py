"""Checks of texts: what is empty, and what is said in more than one split, word for word or nearly."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from trisent.data.audit.findings import Finding, Repeat, some_ids
from trisent.data.dataset import Dataset
from trisent.i18n import t

SHORT = 5  # words: "thank you for watching" is said by everybody
_LONG = 8  # words, from which similar texts are looked for
_SIMILAR = 0.8  # share of common three-word shingles
_BANDS, _ROWS = 16, 4  # of the signature: pairs of similarity 0.8 share a band with probability 0.9998
_CROWD = 50  # a band shared by more texts is a phrase, not a copy
_MANY = 0.1  # of the long texts of valid or test, from which repeats are an error
_SCRIPTED = 0.1  # fewer different texts than that: the sentences are given, as in RAVDESS

# Chinese, Japanese and Korean are written without blanks: there every character counts as a word.
_WORDS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+")


def check_texts(dataset: Dataset) -> tuple[list[Finding], list[Repeat]]:
    """Look at every text."""
    words = [_WORDS.findall(text.casefold().replace("'", "")) for text in dataset.texts]
    repeats = _repeated(dataset, words)
    findings = [*_empty(dataset), *_repeat_findings(dataset, words, repeats)]
    similar = _similar(dataset, words)
    if similar:
        number = {u: i for i, u in enumerate(dataset.ids)}
        rows = sorted({number[r.second] for r in similar})
        findings.append(
            Finding(
                "warning",
                "text.similar",
                t("texts of {n} utterances are nearly those of an utterance of another split", n=len(rows)),
                len(rows),
                t("such utterances are often the same clip, cut or written down in another way"),
                t("look at the pairs in the report; take copies out of valid and test"),
                some_ids(dataset, rows),
            )
        )
    return findings, sorted([*repeats, *similar], key=lambda r: -len(r.text))


def _empty(dataset: Dataset) -> Iterator[Finding]:
    rows = [i for i, text in enumerate(dataset.texts) if not text.strip()]
    if rows and len(rows) < len(dataset):
        yield Finding(
            "warning",
            "text.empty",
            t("{n} of {all} utterances have no text", n=len(rows), all=len(dataset)),
            len(rows),
            t("text tells most of the sentiment; what an encoder makes of nothing is the same for all of them"),
            t("look whether the transcript is missing or nothing is said"),
            some_ids(dataset, rows),
        )


def _repeated(dataset: Dataset, words: Sequence[Sequence[str]]) -> list[Repeat]:
    """Pair each utterance with the first of an earlier split that says the same; train is the earliest."""
    first: dict[str, int] = {}
    found = []
    for split in ("train", "valid", "test"):
        rows = [int(i) for i in dataset.index(split)]
        for i in rows:
            other = first.get(" ".join(words[i])) if words[i] else None
            if other is not None:
                found.append(_pair(dataset, other, i, 1.0))
        for i in rows:
            first.setdefault(" ".join(words[i]), i)
    return found


def _pair(dataset: Dataset, first: int, second: int, similarity: float) -> Repeat:
    return Repeat(
        "text", dataset.ids[first], dataset.splits[first], dataset.ids[second], dataset.splits[second],
        round(similarity, 3), dataset.texts[second],
    )  # fmt: skip


def _repeat_findings(dataset: Dataset, words: Sequence[Sequence[str]], repeats: Sequence[Repeat]) -> Iterator[Finding]:
    if not repeats:
        return
    number = {u: i for i, u in enumerate(dataset.ids)}
    rows = sorted(number[r.second] for r in repeats)
    long_rows = [i for i in rows if len(words[i]) >= SHORT]
    there = sum(len(w) >= SHORT for w, s in zip(words, dataset.splits, strict=True) if s in ("valid", "test"))
    distinct = len({" ".join(w) for w in words})
    many = len(long_rows) > _MANY * there and distinct > _SCRIPTED * len(words)
    yield Finding(
        "error" if many else "warning",
        "text.repeated",
        t("{n} texts of valid and test are, word for word, in an earlier split; {long} of them have {short} words "
          "or more", n=len(rows), long=len(long_rows), short=SHORT),
        len(rows),
        t("what was learned by heart is not judged; short ones such as \"thank you\" are said by everybody, and the "
          "published MOSEI has 21 such texts between train and valid"),
        t("look at the long ones: are they the same clip? Then take them out of valid and test"),
        some_ids(dataset, [*long_rows, *(i for i in rows if len(words[i]) < SHORT)]),
    )  # fmt: skip


def _similar(dataset: Dataset, words: Sequence[Sequence[str]]) -> list[Repeat]:
    """Find pairs of long texts in different splits whose shingles have a Jaccard similarity of 0.8, by MinHash.

    Equal texts are not among them.
    """
    rows = np.array([i for i, w in enumerate(words) if len(w) >= _LONG and dataset.splits[i]], np.int64)
    if len(rows) < 2:
        return []
    shingles = _shingles([words[i] for i in rows])
    split_of = np.array([("train", "valid", "test").index(dataset.splits[i]) for i in rows])
    found = []
    for a, b in sorted(_candidates(_signatures(shingles), split_of)):
        common = len(np.intersect1d(shingles[a], shingles[b], assume_unique=True))
        similarity = common / (len(shingles[a]) + len(shingles[b]) - common)
        if similarity >= _SIMILAR and words[rows[a]] != words[rows[b]]:
            early, late = (a, b) if split_of[a] < split_of[b] else (b, a)
            found.append(_pair(dataset, int(rows[early]), int(rows[late]), similarity))
    return found


def _shingles(texts: Sequence[Sequence[str]]) -> list[NDArray[np.uint64]]:
    """Hash every three words in a row; the hashes of a text are distinct."""
    vocabulary: dict[str, int] = {}
    found = []
    for text in texts:
        number = np.array([vocabulary.setdefault(word, len(vocabulary)) for word in text], np.uint64)
        with np.errstate(over="ignore"):
            mixed = (number[:-2] << np.uint64(42)) ^ (number[1:-1] << np.uint64(21)) ^ number[2:]
            found.append(np.unique(_mixed(mixed)))
    return found


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread 64 bits (the finaliser of splitmix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _signatures(shingles: Sequence[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """Return the least hash of each text under 64 hash functions [texts, 64]."""
    flat = np.concatenate(shingles)
    starts = np.cumsum([0, *(len(s) for s in shingles[:-1])])
    with np.errstate(over="ignore"):
        seeds = _mixed(np.arange(1, _BANDS * _ROWS + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
        return np.stack([np.minimum.reduceat(_mixed(flat ^ seed), starts) for seed in seeds], axis=1)


def _candidates(signatures: NDArray[np.uint64], split_of: NDArray[np.int64]) -> set[tuple[int, int]]:
    """Pair texts of different splits that agree in a whole band of their signatures."""
    pairs: set[tuple[int, int]] = set()
    for band in range(_BANDS):
        keys = signatures[:, band * _ROWS : (band + 1) * _ROWS]
        _, group = np.unique(keys, axis=0, return_inverse=True)
        order = np.argsort(group, kind="stable")
        edges = np.flatnonzero(np.diff(group[order], prepend=-1, append=group.max() + 1))
        for start, end in pairwise(edges):
            if 1 < end - start <= _CROWD:
                members = order[start:end]
                for k, a in enumerate(members):
                    for b in members[k + 1 :]:
                        if split_of[a] != split_of[b]:
                            pairs.add((int(min(a, b)), int(max(a, b))))
    return pairs
