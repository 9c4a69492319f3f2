"""Say where weights are looked for, what is in each place, and which place wins and why. Nothing is fetched."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from trisent.errors import WeightsError
from trisent.i18n import t
from trisent.weights.catalog import Entry, entries
from trisent.weights.digests import digest_like
from trisent.weights.find import (
    cache_folders,
    complete,
    complete_uncatalogued,
    intact_blob,
    matches,
    named_entry,
    snapshots,
)
from trisent.weights.first_use import remembered
from trisent.weights.placed import use_placed, weights_files
from trisent.weights.places import both_repo_folders, models_folders, own_cache, torch_checkpoints

PlaceState = Literal["right", "another version", "damaged", "incomplete", "absent"]


@dataclass(frozen=True, slots=True)
class Place:
    """One place weights are looked for in: what is there, in a word and in a sentence, and whether it is used."""

    kind: str
    folder: Path
    state: PlaceState
    detail: str = ""
    wins: bool = False


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The places of one set of weights in the order they are looked at, and why which of them wins."""

    name: str
    places: tuple[Place, ...]
    why: str

    @property
    def winner(self) -> Path | None:
        """The folder that is used; None when none is."""
        return next((place.folder for place in self.places if place.wins), None)


def where(names: Iterable[str] = ()) -> list[Whereabouts]:
    """Look at every place of the named weights; no names means all that the catalog pins.

    Raises:
        WeightsError: a name is unknown.
    """
    chosen = [named_entry(name) for name in names] or [one for one in entries() if not one.unpinned]
    return [_whereabouts(one) for one in chosen]


def _whereabouts(wanted: Entry) -> Whereabouts:
    by_hand = [_hand_placed(wanted, models / wanted.name) for models in models_folders()]
    places = by_hand + (_first_use(wanted) if wanted.unpinned else _caches(wanted))
    # The same rule as find(): a folder a person placed decides, good or bad; of the caches, the first right one.
    for i, place in enumerate(places):
        if place.kind == "models" and place.state != "absent":
            if place.state in ("right", "another version"):
                places[i] = replace(place, wins=True)
                return Whereabouts(wanted.name, tuple(places), t("a folder placed by hand goes before all caches"))
            why = t("the folder placed by hand cannot be used, and nothing behind it is taken in its place")
            return Whereabouts(wanted.name, tuple(places), why)
        if place.kind != "models" and place.state == "right":
            places[i] = replace(place, wins=True)
            return Whereabouts(wanted.name, tuple(places), t("the first place that holds the right bytes"))
    why = t("nowhere complete; run: trisent weights pull {name}", name=wanted.name)
    return Whereabouts(wanted.name, tuple(places), why)


def _hand_placed(wanted: Entry, folder: Path) -> Place:
    known = None if wanted.unpinned else wanted
    try:
        if not weights_files(folder, known):
            return Place("models", folder, "absent")
        with _quiet("trisent.weights.placed"):
            found = use_placed(folder, known)
    except WeightsError as error:
        return Place("models", folder, "incomplete", str(error))
    if found.pinned:
        return Place("models", folder, "right")
    return Place("models", folder, "another version", t("not the catalog's bytes; used as they are"))


def _caches(wanted: Entry) -> list[Place]:
    places: list[Place] = []
    seen: set[Path] = set()
    for repo in dict.fromkeys(file.repo or wanted.repo for file in wanted.files):
        if not repo:
            continue
        for folder in both_repo_folders(repo):
            found = [f for f, of in cache_folders(wanted) if of == repo and folder in f.parents]
            places += [_cache(wanted, "hub cache", snapshot, repo) for snapshot in found]
            seen.update(found)
            if not found:
                places.append(Place("hub cache", folder, "absent"))
    for folder, _ in cache_folders(wanted):
        if folder not in seen:
            kind = {torch_checkpoints(): "torch", own_cache() / wanted.name: "trisent"}.get(folder, "hub cache")
            places.append(_cache(wanted, kind, folder, ""))
    return places


def _cache(wanted: Entry, kind: str, folder: Path, repo: str) -> Place:
    paths = complete(wanted, folder, repo)
    if not paths:
        here = [file for file in wanted.files if (not repo or repo == (file.repo or wanted.repo))
                and (folder / file.path).is_file()]  # fmt: skip
        if not here:
            return Place(kind, folder, "absent")
        lacking = [
            file.path
            for file in wanted.needed
            if not any((folder / choice.path).is_file() for choice in wanted.choices(file))
        ]
        return Place(kind, folder, "incomplete", t("lacks {files}", files=", ".join(lacking)))
    wrong = [path for file, path in paths if not matches(path, file)]
    if not wrong:
        return Place(kind, folder, "right")
    names = ", ".join(path.name for path in wrong)
    if folder.name != wanted.revision and all(intact_blob(path) for path in wrong):
        return Place(kind, folder, "another version", t("another revision: {files}", files=names))
    return Place(kind, folder, "damaged", t("not the catalog's bytes: {files}", files=names))


def _first_use(wanted: Entry) -> list[Place]:
    """Look at the snapshots of a repository that the catalog does not pin."""
    places: list[Place] = []
    for folder in snapshots(both_repo_folders(wanted.repo)[0], ""):
        if not complete_uncatalogued(folder):
            places.append(Place("hub cache", folder, "incomplete", t("lacks weights or config.json")))
            continue
        wrong = [
            path.name
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not _is_of_first_use(wanted, path, folder)
        ]
        if wrong:
            detail = t("not the bytes of its first use: {files}", files=", ".join(wrong))
            places.append(Place("hub cache", folder, "damaged", detail))
        else:
            places.append(Place("hub cache", folder, "right", t("the bytes of its first use, which nobody has proven")))
    return places or [Place("hub cache", both_repo_folders(wanted.repo)[0], "absent")]


def _is_of_first_use(wanted: Entry, path: Path, folder: Path) -> bool:
    expected = remembered(wanted.repo, path.relative_to(folder).as_posix())
    return expected is None or digest_like(expected, path) == expected


@contextmanager
def _quiet(logger: str) -> Iterator[None]:
    """Keep a warning back that is said in the result."""
    log = logging.getLogger(logger)
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before
