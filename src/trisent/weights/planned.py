"""A plan of what a pull would fetch, as data: files, models, disks, minutes. Who makes it is plan.py."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trisent.weights.probe import Probe

_GUIDE_BITS_PER_S = 10**7  # the bandwidth the guide calls the least


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One file of the plan: `folder` is where it is or will be, `left` are the bytes still to fetch."""

    path: str
    bytes: int
    state: Literal["here", "begun", "to fetch"]
    folder: Path
    left: int = 0


@dataclass(frozen=True, slots=True)
class PlannedModel:
    """One set of weights of the plan.

    `source` is the one that will be asked first, "" when nothing is to fetch or none was asked; `bytes_per_s` is its
    measured rate, None when nothing was measured. `sources` holds every answer, in the order in which the sources will
    be asked, `note` what else is to be said.
    """

    name: str
    files: tuple[PlannedFile, ...]
    source: str = ""
    bytes_per_s: float | None = None
    sources: tuple[Probe, ...] = ()
    note: str = ""

    @property
    def left(self) -> int:
        """The bytes still to fetch."""
        return sum(file.left for file in self.files)

    @property
    def seconds(self) -> float | None:
        """The time it takes at the measured rate; None when nothing was measured."""
        if not self.left:
            return 0.0
        return self.left / self.bytes_per_s if self.bytes_per_s else None


@dataclass(frozen=True, slots=True)
class PlannedVolume:
    """One disk of the plan: how many bytes go to `folder` and others of the same disk, and how many are free."""

    folder: Path
    needed: int
    free: int

    @property
    def enough(self) -> bool:
        """Say whether there is room."""
        return self.free >= self.needed


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pull would do."""

    models: tuple[PlannedModel, ...]
    volumes: tuple[PlannedVolume, ...]

    @property
    def left(self) -> int:
        """The bytes still to fetch, of all models."""
        return sum(model.left for model in self.models)

    @property
    def seconds(self) -> float | None:
        """The time it takes at the measured rates, one model after the other; None when one was not measured."""
        seconds = [model.seconds for model in self.models]
        return None if None in seconds else sum(one for one in seconds if one is not None)

    @property
    def fits(self) -> bool:
        """Say whether every disk has room."""
        return all(volume.enough for volume in self.volumes)

    def as_json(self) -> dict[str, Any]:  # Any: what JSON holds
        """Put the plan into what `json.dumps` takes."""
        return {
            "models": [_model_as_json(model) for model in self.models],
            "volumes": [
                {"folder": str(v.folder), "needed": v.needed, "free": v.free, "enough": v.enough} for v in self.volumes
            ],
            "bytes": self.left,
            "minutes": _minutes(self.seconds),
            "minutes_at_10_mbps": _minutes(seconds_at_10_mbps(self.left)),
            "fits": self.fits,
        }


def seconds_at_10_mbps(size: int) -> float:
    """Say how long `size` bytes take at 10 Mbps, the bandwidth of the guide's table.

    >>> round(seconds_at_10_mbps(440_449_768) / 60, 1)
    5.9
    """
    return size * 8 / _GUIDE_BITS_PER_S


def _model_as_json(model: PlannedModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "files": [
            {"path": f.path, "bytes": f.bytes, "state": f.state, "folder": str(f.folder), "left": f.left}
            for f in model.files
        ],
        "bytes": model.left,
        "source": model.source,
        "bytes_per_s": None if model.bytes_per_s is None else round(model.bytes_per_s),
        "minutes": _minutes(model.seconds),
        "minutes_at_10_mbps": _minutes(seconds_at_10_mbps(model.left)),
        "sources": [{"url": one.url, "state": one.state, "detail": one.detail} for one in model.sources],
        "note": model.note,
    }


def _minutes(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds / 60, 1)
