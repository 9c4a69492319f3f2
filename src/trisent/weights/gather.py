"""Bring together what lies in several places of this machine, so that nothing is fetched that is here already."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from trisent.errors import WeightsError
from trisent.weights.catalog import Entry, File
from trisent.weights.find import cache_folders, is_right
from trisent.weights.places import both_repo_folders, landing, models_folders
from trisent.weights.store import opener, point_main, store

logger = logging.getLogger(__name__)


def locate(entry: Entry, file: File) -> Path | None:
    """Return a file of this machine, whatever its name, that has exactly the bytes of `file`; None when there is none.

    Looks where find() looks, and among the blobs of the Hugging Face cache, which are named by their digest.
    """
    for path in _candidates(entry, file):
        if is_right(path, file):
            return path
    return None


def gather(entry: Entry) -> None:
    """Put the files of `entry` that are on this machine, in whatever place, to where a pull would put them.

    Within the caches a file is linked, for no tool changes one in place; from a person's folder it is copied.
    """
    for file in entry.needed:
        if any(is_right(landing(entry, choice), choice) for choice in entry.choices(file)):
            continue
        for choice in entry.choices(file):
            if (found := locate(entry, choice)) is not None:
                _bring(found, landing(entry, choice), choice)
                settle(entry, choice)
                break


def settle(entry: Entry, file: File) -> None:
    """Let the Hugging Face cache's `main` lead to `file`, which has just landed there."""
    path = landing(entry, file)
    if (file.repo or entry.repo) and path.parent.parent.name == "snapshots":
        point_main(path.parents[2], path.parent.name)


def _candidates(entry: Entry, file: File) -> Iterator[Path]:
    for models in models_folders():
        yield models / entry.name / file.path
    for folder, repo in cache_folders(entry):
        if not repo or repo == (file.repo or entry.repo):
            yield folder / file.path
    if repo := file.repo or entry.repo:
        for folder in both_repo_folders(repo):
            yield folder / "blobs" / file.sha256


def _bring(found: Path, destination: Path, file: File) -> None:
    is_a_persons = any(models in found.parents for models in models_folders())
    try:
        if not is_a_persons and _link(found.resolve(), destination):
            return
        store(opener(found), destination, file)
    except (WeightsError, OSError) as error:  # then it is fetched
        logger.info("%s could not be taken from %s: %s", file.path, found, error)


def _link(found: Path, destination: Path) -> bool:
    destination.parent.mkdir(parents=True, exist_ok=True)
    beside = destination.with_name(f".{destination.name}.{os.getpid()}.link")
    try:
        beside.unlink(missing_ok=True)
        beside.hardlink_to(found)
        beside.replace(destination)
    except OSError:  # another volume, or a file system without links
        return False
    finally:
        beside.unlink(missing_ok=True)
    return True
