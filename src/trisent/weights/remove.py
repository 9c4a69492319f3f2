"""Remove weights: what trisent stores, and the catalog's bytes in the caches it shares. Never what a person placed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trisent.weights.catalog import Entry
from trisent.weights.digests import digest_like
from trisent.weights.find import cache_folders, is_right, named_entry, snapshots
from trisent.weights.places import own_cache, repo_folder


@dataclass(frozen=True, slots=True)
class Removal:
    """A file that is (to be) removed, and the bytes that frees. `shared`: other programs read it, too."""

    name: str
    path: Path
    bytes: int
    shared: bool


def remove(names: Iterable[str], *, dry_run: bool = False, shared: bool = True) -> list[Removal]:
    """Remove the named weights from trisent's cache and from the Hugging Face and torch caches.

    Only files with exactly the catalog's bytes go (of a repository outside it, those of its first use), and what
    trisent itself left beside them. What lies under models/ or in any other folder of a person stays.

    Args:
        dry_run: only say what would be removed.
        shared: also from the caches that other programs read.

    Raises:
        WeightsError: a name is unknown.
    """
    doomed = [one for name in dict.fromkeys(names) for one in _doomed(named_entry(name)) if shared or not one.shared]
    for one in [] if dry_run else doomed:
        one.path.unlink(missing_ok=True)
    for folder in [] if dry_run else dict.fromkeys(one.path.parent for one in doomed):
        _tidy(folder)
    return doomed


def _doomed(wanted: Entry) -> Iterator[Removal]:
    doomed = _of_first_use(wanted) if wanted.unpinned else _of_the_catalog(wanted)
    # trisent's own hidden files: locks, and parts of downloads that were never finished
    for path, is_shared in list(doomed.items()):
        doomed.update(dict.fromkeys(_left_beside(path), is_shared))
    for path, is_shared in list(doomed.items()):
        doomed.update(dict.fromkeys(_blob_of(path, set(doomed)), is_shared))
    for path, is_shared in doomed.items():
        if path.is_file():
            yield Removal(wanted.name, path, _frees(path), is_shared)


def _of_the_catalog(wanted: Entry) -> dict[Path, bool]:
    """List what may go, or would if it were there: path -> whether other programs read it."""
    doomed: dict[Path, bool] = {}
    for folder, repo in cache_folders(wanted):
        for file in wanted.files:
            path = folder / file.path
            if (not repo or repo == (file.repo or wanted.repo)) and (is_right(path, file) or not path.exists()):
                doomed[path] = folder != own_cache() / wanted.name
    return doomed


def _of_first_use(wanted: Entry) -> dict[Path, bool]:
    from trisent.weights.first_use import remembered

    doomed: dict[Path, bool] = {}
    for folder in snapshots(repo_folder(wanted.repo), ""):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            expected = remembered(wanted.repo, path.relative_to(folder).as_posix())
            if expected is not None and digest_like(expected, path) == expected:
                doomed[path] = True
    return doomed


def _left_beside(path: Path) -> list[Path]:
    endings = (".lock", ".part", ".ranges", ".copy", ".link")
    return sorted(one for one in path.parent.glob(f".{path.name}.*") if one.name.endswith(endings))


def _blob_of(path: Path, going: set[Path]) -> list[Path]:
    """Return the blob a link of the Hugging Face cache leads to, if nothing that stays leads there."""
    if not path.is_symlink():
        return []
    blob = path.resolve()
    repo = next((above.parent for above in path.parents if above.name == "snapshots"), path.parent)
    if blob.parent != repo.resolve() / "blobs":
        return []
    users = [link for link in repo.glob("snapshots/*/**/*") if link.is_symlink() and link.resolve() == blob]
    return [blob] if all(user in going for user in users) else []


def _frees(path: Path) -> int:
    status = path.lstat()
    return 0 if path.is_symlink() or status.st_nlink > 1 else status.st_size


def _tidy(folder: Path) -> None:
    """Remove a folder that is empty now; of a snapshot also what leads to it, and the repository's empty folders."""
    if not folder.is_dir() or any(folder.iterdir()):
        return
    if folder.parent == own_cache():
        folder.rmdir()
    elif folder.parent.name == "snapshots":
        folder.rmdir()
        repo = folder.parents[1]
        (repo / "trees" / f"{folder.name}.json").unlink(missing_ok=True)  # huggingface_hub's note of what was in it
        for ref in [path for path in repo.glob("refs/*") if path.is_file()]:
            if ref.read_text(encoding="utf-8", errors="replace").strip() == folder.name:
                ref.unlink()
        for empty in (folder.parent, repo / "blobs", repo / "refs", repo / "trees", repo):
            if empty.is_dir() and not any(empty.iterdir()):
                empty.rmdir()
