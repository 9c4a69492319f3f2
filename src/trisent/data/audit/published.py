"""What is known of the data sets that the field shares: sizes of their splits, and SHA-256 sums of their files."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Published:
    """The sizes of a published split.

    Attributes:
        name: of the data set, as people search for it.
        source: where the split comes from.
        sizes: utterances of train, valid and test.
        shares_videos: the split was drawn clip by clip, so clips of one video are in several of its parts.
    """

    name: str
    source: str
    sizes: tuple[int, int, int]
    shares_videos: bool = False


PUBLISHED = (
    Published("MOSEI", "MMSA, MERBench", (16_326, 1_871, 4_659)),
    Published("MOSEI", "MAG-BERT pickles", (16_265, 1_869, 4_643)),
    Published("MOSEI", "folds of the CMU SDK", (16_331, 1_871, 4_662)),
    Published("MOSEI", "old folds of the CMU SDK", (15_290, 2_291, 4_832)),
    Published("MOSI", "MMSA", (1_284, 229, 686)),
    Published("SIMS", "MMSA", (1_368, 456, 457), shares_videos=True),
    Published("SIMS v2", "meta.csv", (2_722, 647, 1_034), shares_videos=True),
    Published("SIMS v2", "label.csv, by its authors' word", (2_721, 647, 1_034), shares_videos=True),
)

# of the files that MMSA's README names
SHA256 = {
    "ad8b23d50557045e7d47959ce6c5b955d8d983f2979c7d9b7b9226f6dd6fec1f": "MOSEI unaligned_50.pkl",
    "45eccfb748a87c80ecab9bfac29582e7b1466bf6605ff29d3b338a75120bf791": "MOSEI aligned_50.pkl",
    "78e0f8b5ef8ff71558e7307848fc1fa929ecb078203f565ab22b9daab2e02524": "MOSI unaligned_50.pkl",
    "d3994fd25681f9c7ad6e9c6596a6fe9b4beb85ff7d478ba978b124139002e5f9": "MOSI aligned_50.pkl",
    "c9e20c13ec0454d98bb9c1e520e490c75146bfa2dfeeea78d84de047dbdd442f": "SIMS unaligned_39.pkl",
}
FILE_NAMES = frozenset(name.split()[1] for name in SHA256.values())

_NEAR = 0.03  # of the utterances of a split


def same_sizes(counts: Mapping[str, int]) -> Published | None:
    """Return the published split that has these sizes; splits that are not there are not compared."""
    present = {s: n for s, n in counts.items() if n}
    return next((p for p in PUBLISHED if present and present.items() <= _sizes(p).items()), None)


def near_sizes(name: str, *, counts: Mapping[str, int]) -> Published | None:
    """Return the published split that this one seems to be, by its name or because no split is 3 % off."""
    present = {s: n for s, n in counts.items() if n}
    if not {"train", "test"} <= present.keys():
        return None
    words = name.casefold().replace("-", "").replace("_", "").replace(" ", "")
    for p in PUBLISHED:
        sizes = _sizes(p)
        named = p.name.casefold().replace(" ", "") in words and abs(sizes["train"] - present["train"]) < sizes["train"]
        if named or all(abs(n - sizes[s]) <= _NEAR * sizes[s] for s, n in present.items()):
            return p
    return None


def _sizes(published: Published) -> dict[str, int]:
    return dict(zip(("train", "valid", "test"), published.sizes, strict=True))


def sha256_of(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
