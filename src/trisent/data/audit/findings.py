"""What an audit says: findings in order of weight, and what they were made from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trisent.data.audit.baselines import Baseline
from trisent.data.audit.columns import Columns
from trisent.data.audit.describe import Description
from trisent.data.dataset import Dataset
from trisent.types import Modality

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")
IDS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a data set, or that its users should know.

    Attributes:
        level: an error makes scores untrue or training fail; a warning has to be looked at; a note is for information.
        code: the same in every language, such as "split.videos".
        title: what was found, with numbers.
        count: how many utterances (columns, where the finding is about columns) it is about.
        ids: the first 20 utterances it is about; empty where it is about none in particular.
        why: why it matters.
        todo: what to do.
    """

    level: Level
    code: str
    title: str
    count: int
    why: str
    todo: str
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Repeat:
    """Two utterances of different splits that are the same, or nearly: `what` is "text" or a modality."""

    what: str
    first: str
    first_split: str
    second: str
    second_split: str
    similarity: float
    text: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit found, worst first, with the numbers behind it."""

    description: Description
    findings: tuple[Finding, ...]
    baselines: tuple[Baseline, ...] = ()
    repeats: tuple[Repeat, ...] = ()
    columns: Mapping[Modality, Columns] = field(default_factory=dict, repr=False)

    def of(self, level: Level) -> tuple[Finding, ...]:
        """Return the findings of one level."""
        return tuple(f for f in self.findings if f.level == level)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object without the statistics of single columns."""
        return {
            "dataset": self.description.name,
            "format": self.description.format,
            "utterances": self.description.utterances,
            "counts": {level: len(self.of(level)) for level in LEVELS},
            "findings": [asdict(f) for f in self.findings],
            "baselines": [b.to_json() for b in self.baselines],
            "repeats": [asdict(r) for r in self.repeats],
        }


def some_ids(dataset: Dataset, rows: NDArray[np.int64] | Sequence[int]) -> tuple[str, ...]:
    """Return the ids of the first 20 of the utterances `rows`."""
    return tuple(dataset.ids[i] for i in rows[:IDS_SHOWN])


def ranked(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Order findings: errors first, and within a level what concerns most."""
    return tuple(sorted(findings, key=lambda f: (LEVELS.index(f.level), -f.count)))
