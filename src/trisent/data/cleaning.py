"""Cleaning: a transform of features that is fitted on the train split, kept in the bundle, and repeated at prediction.

What is no finite number is never made 0. Which is cut away, the column or the step, follows one rule:

1. A step in which most columns are bad (NaN or infinite) is lost: it says nothing about the columns.
2. A column that is bad in more than `bad_column` of the other steps is left out, since keeping it would cost them all.
3. A step that is still bad in some column is masked: it counts as not seen.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from trisent.data.dataset import Dataset, Sequences
from trisent.errors import DataError, UsageError
from trisent.i18n import t
from trisent.types import SENTIMENT_MAX, SENTIMENT_MIN, Features, Floats, Modality

Reason = Literal["bad", "exploding", "constant"]

_VALUES_A_READ = 4_000_000  # features may be mapped and larger than the memory


@dataclass(frozen=True, slots=True)
class CleaningOptions:
    """What to clean.

    Attributes:
        bad_column: a column is left out when more than this share of its steps is NaN or infinite.
        largest: a column that goes beyond it, to either side, is exploding and left out; None keeps it.
        drop_constant: leave out columns that never change.
        standardise: bring every column to mean 0 and standard deviation 1.
        clip: the most standard deviations a value may be from the mean; None lets it be.

    Raises:
        UsageError: a value makes no sense.
    """

    bad_column: float = 0.05
    largest: float | None = 1e6
    drop_constant: bool = True
    standardise: bool = True
    clip: float | None = 3.0

    def __post_init__(self) -> None:
        if not 0 <= self.bad_column <= 1:
            raise UsageError(t("{name} must be in [0, 1], got {value}", name="bad_column", value=self.bad_column))
        for name, value in (("largest", self.largest), ("clip", self.clip)):
            if value is not None and not value > 0:
                raise UsageError(t("{name} must be above 0, got {value}", name=name, value=value))
        if self.clip is not None and not self.standardise:
            raise UsageError(t("clip counts standard deviations, so it needs standardise"))


def cleaning_file(data: Path) -> Path:
    """Name the file that says how a converted data set was cleaned; it is there only if it was."""
    return data / "cleaning.json" if data.is_dir() else data.with_name(f"{data.stem}.cleaning.json")


FINITE = CleaningOptions(largest=None, drop_constant=False, standardise=False, clip=None)
"""What no training can do without: the three rules above for NaN and infinity; what is kept does not change."""


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """What cleaning does to one modality.

    Attributes:
        width: of the features that come in.
        dropped: why -> which of them are left out.
        mean, std: of those that are kept, over the visible steps of the train split; None: they stay as they are.
        kept: the others.
    """

    width: int
    dropped: Mapping[Reason, tuple[int, ...]]
    mean: Floats | None = None
    std: Floats | None = None
    kept: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        gone = [column for columns in self.dropped.values() for column in columns]
        object.__setattr__(self, "kept", np.setdiff1d(np.arange(self.width), np.array(gone, np.int64)))

    @property
    def changes_values(self) -> bool:
        """Whether anything but the mask comes out other than it went in."""
        return self.mean is not None or len(self.kept) < self.width


@dataclass(frozen=True, slots=True, eq=False)
class Cleaning:
    """A fitted cleaning; two are equal when their JSON is. A modality that it does not know stays as it is."""

    options: CleaningOptions
    columns: Mapping[Modality, Columns]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cleaning) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.options)

    @classmethod
    def nothing(cls) -> "Cleaning":
        """Make the cleaning that only masks what is not finite, whatever comes."""
        return cls(FINITE, {})

    @property
    def emptied(self) -> set[Modality]:
        """The modalities of which no column is kept."""
        return {m for m, columns in self.columns.items() if not len(columns.kept)}

    @property
    def changes_values(self) -> bool:
        """Whether it does more than mask what is not finite."""
        return any(columns.changes_values for columns in self.columns.values())

    def width(self, modality: Modality, given: int) -> int:
        """Return the width that features of width `given` come out with.

        Raises:
            DataError: it was fitted on features of another width.
        """
        columns = self.columns.get(modality)
        if columns is None:
            return given
        if columns.width != given:
            message = t(
                "the cleaning was fitted on {modality} features of width {expected}, these have {got}; "
                "use the extractors of the training features",
                modality=modality,
                expected=columns.width,
                got=given,
            )
            raise DataError(message)
        return len(columns.kept)

    def rows(
        self, values: NDArray[np.floating], mask: NDArray[np.bool_], modality: Modality
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Clean steps laid end to end: values [steps, width] become float32 [steps, kept], and the mask [steps]."""
        self.width(modality, values.shape[1])
        columns = self.columns.get(modality)
        if columns is not None and len(columns.kept) < columns.width:
            values = np.take(values, columns.kept, axis=1)
        clean: Floats = values.astype(np.float32, copy=False)
        mask = mask & np.isfinite(clean).all(axis=1)
        if columns is not None and columns.mean is not None and columns.std is not None:
            with np.errstate(invalid="ignore"):  # infinite - mean, in steps that are masked
                clean = (clean - columns.mean) / columns.std
            if self.options.clip is not None:
                np.clip(clean, -self.options.clip, self.options.clip, out=clean)
        return clean, mask

    def apply_features(self, features: Features, modality: Modality) -> Features:
        """Clean one modality of one utterance."""
        values, mask = self.rows(features.values, features.mask, modality)
        return Features(values, features.times, mask)

    def apply(self, dataset: Dataset) -> Dataset:
        """Clean every utterance of every split; `notes` tell how much was left out, a whole modality perhaps.

        What comes out is no longer what an extractor gives: `preset` goes, and the provenance says so.
        """
        emptied = self.emptied
        features = {m: s for m, s in dataset.features.items() if m not in emptied}
        cleaned = {m: self._sequences(s, m) for m, s in features.items()}
        notes = [*dataset.notes, *self.summary()]
        for modality, before in features.items():
            masked = int(before.mask.sum() - cleaned[modality].mask.sum())
            if masked:
                message = "{modality}: {count} of {n} steps hold NaN or infinity and count as not seen"
                notes.append(t(message, modality=modality, count=masked, n=len(before.mask)))
        if not self.changes_values:
            return replace(dataset, features=cleaned, notes=tuple(notes))
        provenance = {
            m: replace(p, preprocessing=f"{p.preprocessing}; cleaned") if self._changes(m) else p
            for m, p in dataset.provenance.items()
            if m not in emptied
        }
        return replace(dataset, features=cleaned, provenance=provenance, preset=None, notes=tuple(notes))

    def _changes(self, modality: Modality) -> bool:
        return modality in self.columns and self.columns[modality].changes_values

    def _sequences(self, sequences: Sequences, modality: Modality) -> Sequences:
        if self._changes(modality):
            values, mask = self.rows(sequences.values, sequences.mask, modality)
            return replace(sequences, values=values, mask=mask)
        self.width(modality, sequences.dim)
        parts = [sequences.mask[:0]]
        for some in _slices(len(sequences.values), sequences.dim):  # the values stay where they are, perhaps mapped
            parts.append(sequences.mask[some] & np.isfinite(sequences.values[some]).all(axis=1))
        return replace(sequences, mask=np.concatenate(parts))

    def summary(self) -> tuple[str, ...]:
        """Say what it leaves out and changes, a sentence for each."""
        said = []
        for modality, columns in self.columns.items():
            for reason, which in columns.dropped.items():
                some = ", ".join(map(str, which[:8])) + (", …" if len(which) > 8 else "")
                facts = {"modality": modality, "count": len(which), "width": columns.width, "some": some}
                match reason:
                    case "bad":
                        message = (
                            "{modality}: {count} of {width} columns are left out, too often NaN or infinite: {some}"
                        )
                        said.append(t(message, **facts))
                    case "exploding":
                        message = "{modality}: {count} of {width} columns are left out, too large: {some}"
                        said.append(t(message, **facts))
                    case "constant":
                        message = "{modality}: {count} of {width} columns are left out, never changing: {some}"
                        said.append(t(message, **facts))
        return tuple(said)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object that `from_json` reads."""
        columns = {
            modality: {
                "width": c.width,
                "dropped": {reason: list(which) for reason, which in c.dropped.items()},
                "mean": None if c.mean is None else c.mean.tolist(),
                "std": None if c.std is None else c.std.tolist(),
            }
            for modality, c in self.columns.items()
        }
        return {"options": asdict(self.options), "columns": columns}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Cleaning":
        """Rebuild from `to_json`.

        Raises:
            KeyError, TypeError, ValueError, AttributeError, UsageError: a field is missing, unknown, or of the wrong
                kind.
        """
        columns: dict[Modality, Columns] = {}
        for modality, c in values["columns"].items():
            if unknown := set(c["dropped"]) - set(get_args(Reason)):
                raise KeyError(*sorted(unknown))
            dropped = {reason: tuple(int(k) for k in which) for reason, which in c["dropped"].items()}
            mean, std = (None if c[name] is None else np.array(c[name], np.float32) for name in ("mean", "std"))
            columns[modality] = Columns(int(c["width"]), dropped, mean, std)
            kept = (len(columns[modality].kept),)
            if (mean is None) != (std is None) or (
                mean is not None and std is not None and not (mean.shape == std.shape == kept)
            ):
                raise ValueError(t("{modality}: mean and std do not fit the columns", modality=modality))
        return cls(CleaningOptions(**values["options"]), columns)


def fit_cleaning(dataset: Dataset, options: CleaningOptions = CleaningOptions()) -> Cleaning:
    """Fit a cleaning on the train split; valid and test are not looked at.

    Raises:
        DataError: there is no train split, or nothing is left of any modality.
    """
    train = dataset.index("train")
    if not len(train):
        message = "{name} has no train split, and cleaning is fitted on it alone. To make one: trisent data split"
        raise DataError(t(message, name=dataset.name))
    cleaning = Cleaning(options, {m: _fit(s, train, options) for m, s in dataset.features.items()})
    if dataset.features and cleaning.emptied == dataset.features.keys():
        modality, columns = next(iter(cleaning.columns.items()))
        message = "{modality}: cleaning would leave out all {width} columns. Look at the data: trisent data audit"
        raise DataError(t(message, modality=modality, width=columns.width))
    return cleaning


def _fit(sequences: Sequences, train: NDArray[np.int64], options: CleaningOptions) -> Columns:
    chosen = np.zeros(len(sequences), np.bool_)
    chosen[train] = True
    steps = np.flatnonzero(np.repeat(chosen, sequences.lengths) & sequences.mask)
    seen, bad = 0, np.zeros(sequences.dim, np.int64)
    low, high = np.full(sequences.dim, np.inf), np.full(sequences.dim, -np.inf)
    for values in _read(sequences, steps):
        finite = np.isfinite(values)
        if not finite.all():
            believed = 2 * finite.sum(axis=1) >= sequences.dim
            values, finite = values[believed], finite[believed]
            bad += (~finite).sum(axis=0)
            values = np.where(finite, values, np.float32(np.nan))
        seen += len(values)
        low = np.fmin(low, np.fmin.reduce(values, axis=0, initial=np.inf))
        high = np.fmax(high, np.fmax.reduce(values, axis=0, initial=-np.inf))
    if not seen:
        return Columns(sequences.dim, {})
    reasons: dict[Reason, NDArray[np.bool_]] = {"bad": bad > options.bad_column * seen}
    if options.largest is not None:
        reasons["exploding"] = np.maximum(-low, high) > options.largest
    if options.drop_constant:
        reasons["constant"] = low == high
    dropped: dict[Reason, tuple[int, ...]] = {}
    gone = np.zeros(sequences.dim, np.bool_)
    for reason, which in reasons.items():
        if (which & ~gone).any():
            dropped[reason] = tuple(np.flatnonzero(which & ~gone).tolist())
        gone |= which
    columns = Columns(sequences.dim, dropped)
    return _with_moments(columns, sequences, steps) if options.standardise and not gone.all() else columns


def _with_moments(columns: Columns, sequences: Sequences, steps: NDArray[np.int64]) -> Columns:
    """Add mean and standard deviation over the steps that are good in every kept column."""
    n, mean, squares = 0, np.zeros(len(columns.kept)), np.zeros(len(columns.kept))
    for values in _read(sequences, steps):
        kept = np.take(values, columns.kept, axis=1)  # a tenth of the time of values[:, columns.kept]
        kept = kept[np.isfinite(kept).all(axis=1)]
        if not len(kept):
            continue
        # Chan, Golub and LeVeque: two parts are joined without the cancellation that sums of squares suffer.
        part = kept.mean(axis=0, dtype=np.float64)
        around, delta = kept - part.astype(np.float32), part - mean
        squares += np.einsum("ij,ij->j", around, around, dtype=np.float64)
        squares += delta**2 * n * len(kept) / (n + len(kept))
        mean += delta * len(kept) / (n + len(kept))
        n += len(kept)
    std = np.sqrt(squares / max(n, 1))
    std = np.where(std > 1e-6 * np.maximum(1.0, np.abs(mean)), std, 1.0)  # a column that does not vary keeps its scale
    return Columns(columns.width, columns.dropped, mean.astype(np.float32), std.astype(np.float32))


def _read(sequences: Sequences, steps: NDArray[np.int64]) -> Iterator[Floats]:
    for some in _slices(len(steps), sequences.dim):
        yield sequences.values[steps[some]].astype(np.float32)


def _slices(steps: int, dim: int) -> Iterator[slice]:
    size = max(1, _VALUES_A_READ // max(dim, 1))
    return (slice(first, first + size) for first in range(0, steps, size))


def nearest_class(
    sentiment: Floats, *, scale: tuple[float, float] = (SENTIMENT_MIN, SENTIMENT_MAX)
) -> NDArray[np.int64]:
    """Give the class 0..6 whose value, -3..3, is nearest; a half goes to the even neighbour.

    The rule of `np.round`, of Python's `round`, of the guide (class = round(sentiment) + 3), of MMSA's Acc-7 and of
    `trisent.evaluation.metrics`. What is outside the scale counts as its end.

    Args:
        sentiment: [n]; the class of NaN is -1.
        scale: its lowest and highest value; SIMS has -1 and 1, which are stretched to -3 and 3.

    >>> nearest_class(np.float32([-3, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 9])).tolist()
    [0, 1, 1, 3, 3, 5, 5, 6]
    """
    low, high = scale
    known = np.isfinite(sentiment)
    stretched = np.where(known, sentiment, 0).astype(np.float32) * np.float32(SENTIMENT_MAX / max(-low, high))
    classes = np.rint(np.clip(stretched, SENTIMENT_MIN, SENTIMENT_MAX)) + SENTIMENT_MAX
    return np.where(known, classes, -1).astype(np.int64)
