"""Find weights that are already on this machine, and say whether they are the catalog's bytes. Nothing is fetched."""

import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from trisent.config import checkout
from trisent.errors import WeightsError
from trisent.i18n import t
from trisent.weights.catalog import Entry, File, by_digest, hub_id, known, listed
from trisent.weights.catalog import entry as catalogued_entry
from trisent.weights.digests import digest_like, sha256
from trisent.weights.first_use import remembered
from trisent.weights.placed import Weights, absent_parts, together, use_placed, weights_files
from trisent.weights.places import both_repo_folders, models_folders, own_cache, repo_folder, torch_checkpoints

logger = logging.getLogger(__name__)

_HUB_ID = re.compile(r"(?!models/)[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def find(name_or_id_or_folder: str | Path, *, models_dirs: Sequence[Path] | None = None) -> Weights | None:
    """Find weights by catalog name, hub id or folder; None when they are not here.

    A folder is used as it is (seen from the current folder, then from the checkout). A name is looked up in
    `models/NAME` of both, then in the Hugging Face cache, torch's checkpoints, and trisent's own cache.

    Args:
        models_dirs: the folders to look for a sub-folder NAME in, instead of the `models/` folders.

    Raises:
        WeightsError: a folder lacks files, or a cached file is damaged.
    """
    wanted = hub_id(str(name_or_id_or_folder))
    entry = known(wanted)
    if folder := _existing_folder(name_or_id_or_folder):
        return use_placed(folder, entry or known(folder.resolve().name))
    if is_folder(name_or_id_or_folder):
        return None
    named = entry or listed(wanted)
    name = named.name if named else wanted
    for models in models_folders() if models_dirs is None else models_dirs:
        if (named or not is_hub_id(wanted)) and weights_files(models / name, entry):
            return use_placed(models / name, entry)
    if entry is None:
        return _find_uncatalogued(wanted) if is_hub_id(wanted) else None
    return find_cached(entry)


def find_cached(entry: Entry) -> Weights | None:
    """Find weights in the caches alone, where only the catalog's bytes are right.

    Raises:
        WeightsError: a cached file is damaged.
    """
    damaged: list[WeightsError] = []
    for folder, repo in cache_folders(entry):
        paths = complete(entry, folder, repo)
        wrong = [(path, file.sha256) for file, path in paths if not matches(path, file)]
        if paths and not wrong:
            main = paths[0][1]
            return Weights(entry.name, folder, main, sha256(main), pinned=True, licence=entry.licence)
        if wrong and folder.name != entry.revision and all(intact_blob(path) for path, _ in wrong):
            logger.warning("%s is another revision of %s than the catalog's; looking further", folder, entry.name)
        elif wrong:
            damaged.append(_damaged(entry.name, *wrong[0]))
    if damaged:
        raise damaged[0]
    return None


def _damaged(name: str, path: Path, expected: str) -> WeightsError:
    return WeightsError(
        t(
            "{path} is damaged: its sha256 is {found}, expected {expected}. "
            "Fetch it again with: trisent weights pull {name}",
            path=path,
            found=digest_like(expected, path),
            expected=expected,
            name=name,
        )
    )


def named_entry(name: str) -> Entry:
    """Look up weights by name or alias; a hub id outside the catalog is an unpinned entry of its own.

    Raises:
        WeightsError: it is neither.
    """
    if listed(name) is None and is_hub_id(name):
        return Entry(name, None, "", "", (), repo=name, unpinned=True)
    return catalogued_entry(name)


def can_be_fetched(name: str) -> bool:
    """Say whether weights of this name have a source; others are somebody's own.

    >>> can_be_fetched("roberta-base"), can_be_fetched("ORG/NAME"), can_be_fetched("my-bert")
    (True, True, False)
    """
    return listed(name) is not None or is_hub_id(name)


def cache_folders(entry: Entry) -> Iterator[tuple[Path, str]]:
    """List the cache folders that may hold `entry`, each with the hub repository it is of ("" for none)."""
    repos = {(file.repo or entry.repo): (file.revision or entry.revision) for file in entry.files}
    for repo, revision in repos.items():
        if repo:
            for folder in both_repo_folders(repo):
                yield from ((snapshot, repo) for snapshot in snapshots(folder, revision))
    if entry.url:
        yield torch_checkpoints(), ""
    yield own_cache() / entry.name, ""


def is_folder(text: str | Path) -> bool:
    """Say whether `text` has the form of a folder, not of a name or a hub id; `models/x` is a folder."""
    return (
        isinstance(text, Path) or (not is_hub_id(text) and any(mark in text for mark in "/\\~")) or text in (".", "..")
    )


def is_hub_id(text: str) -> bool:
    """Say whether `text` has the form ORG/NAME."""
    return _HUB_ID.fullmatch(text) is not None


def _existing_folder(wanted: str | Path) -> Path | None:
    path, root = Path(wanted).expanduser(), checkout()
    for folder in (path, *([root / path] if root else [])):
        # A bare name means a folder only when weights are in it: ./data or ./resnet50 may be anything.
        if folder.is_dir() and (len(path.parts) > 1 or is_folder(wanted) or weights_files(folder, None)):
            return folder
    return None


def _find_uncatalogued(repo: str) -> Weights | None:
    damaged: list[WeightsError] = []
    for snapshot in snapshots(repo_folder(repo), ""):
        if not (files := complete_uncatalogued(snapshot)):
            continue
        if wrong := _changed_since_first_use(repo, snapshot):
            damaged.append(_damaged(repo, *wrong))
            continue
        digests = {file.name: sha256(file) for file in files}
        recognised = by_digest(digests[files[0].name])
        described = recognised or listed(repo)
        licence = described.licence if described else t("unknown")
        return Weights(repo, snapshot, files[0], together(digests), pinned=recognised is not None, licence=licence)
    if damaged:
        raise damaged[0]
    return None


def _changed_since_first_use(repo: str, snapshot: Path) -> tuple[Path, str] | None:
    """Name a file that is neither what the repository delivered first nor a sound one of another revision."""
    for path in sorted(path for path in snapshot.iterdir() if path.is_file()):
        expected = remembered(repo, path.name)
        if expected and digest_like(expected, path) != expected and not intact_blob(path):
            return path, expected
    return None


def complete_uncatalogued(snapshot: Path) -> list[Path]:
    """List the weights files of a repository outside the catalog; empty when something is missing that is needed."""
    files = weights_files(snapshot, None)
    return [] if absent_parts(files) or not (snapshot / "config.json").is_file() else files


def snapshots(repo: Path, revision: str) -> list[Path]:
    """List the snapshots of a repository in the cache: the pinned one, the one of main, the others."""
    try:
        main = (repo / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        main = ""
    folders = sorted(folder for folder in repo.glob("snapshots/*") if folder.is_dir())
    return sorted(folders, key=lambda folder: (folder.name != revision, folder.name != main))


def complete(entry: Entry, folder: Path, repo: str) -> list[tuple[File, Path]]:
    """Pair the needed files with their paths in `folder`, the main weights first; empty when one is missing."""
    paths: list[tuple[File, Path]] = []
    for needed in sorted(entry.needed, key=lambda file: file.role != "weights"):
        here = [
            (file, folder / file.path)
            for file in entry.choices(needed)
            if (folder / file.path).is_file() and (not repo or repo == (file.repo or entry.repo))
        ]
        if not here:
            return []
        # The right one of two counts: a damaged file does not stand in the way of its sound alternative.
        paths.append(next((pair for pair in here if len(here) > 1 and matches(pair[1], pair[0])), here[0]))
    return paths


def is_right(path: Path, file: File) -> bool:
    """Say whether `path` is there with exactly the bytes of `file`."""
    return path.is_file() and matches(path, file)


def matches(path: Path, file: File) -> bool:
    """Say whether the bytes of `path` are those of `file`."""
    return path.stat().st_size == file.bytes and digest_like(file.sha256, path) == file.sha256


def intact_blob(path: Path) -> bool:
    """Say whether a file of the Hugging Face cache is what its blob's name says: sound, only of another revision."""
    blob = path.resolve()
    return _DIGEST.fullmatch(blob.name) is not None and digest_like(blob.name, blob) == blob.name
