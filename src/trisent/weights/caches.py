"""What the doctor sees on the disks: room on each volume, and what lies about in the caches. Nothing is removed."""

import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from trisent.config import home
from trisent.i18n import t
from trisent.weights.catalog import entries
from trisent.weights.finding import Finding, remove_files, remove_folder, set_variable
from trisent.weights.places import hub_cache, models_folders, own_cache, repo_folder, torch_checkpoints

_ROOMY_BYTES = 2 * 10**9  # both presets with what pip and the hubs need on the way
_OLD_DAYS = 7


def look_at_disks() -> list[Finding]:
    """Say of each volume that weights are kept on whether there is room."""
    volumes: dict[int, list[tuple[str, Path]]] = {}
    for variable, folder in _keepers():
        volumes.setdefault(existing(folder).stat().st_dev, []).append((variable, folder))
    findings = []
    for places in volumes.values():
        variable, folder = places[0]
        free = shutil.disk_usage(existing(folder)).free
        detail = t("{free} MB free at {folder}", free=free // 10**6, folder=folder)
        subject = t("disk of {what}", what=", ".join(name for name, _ in places))
        if free >= _ROOMY_BYTES:
            findings.append(Finding(subject, "ok", detail, ""))
        else:
            findings.append(Finding(subject, "disk", detail, set_variable(variable, "/path/on/another/disk")))
    return findings


def _keepers() -> Iterator[tuple[str, Path]]:
    yield "TRISENT_HOME", home()
    yield "HF_HOME", hub_cache()
    yield "TORCH_HOME", torch_checkpoints()
    for folder in models_folders():
        if folder.is_dir():
            yield str(folder), folder


def existing(folder: Path) -> Path:
    """Return the deepest folder above `folder` that is there: the one whose volume it will be on."""
    while not folder.exists():
        folder = folder.parent
    return folder


def look_at_leftovers() -> list[Finding]:
    """Find downloads nobody will finish, and repositories that are stored twice."""
    now = time.time()
    # huggingface_hub 2 never goes on with its own; ours are continued, so a week must have passed.
    kinds = [
        (hub_cache(), "*.incomplete", hub_cache().glob("models--*/blobs/*.incomplete"), "huggingface_hub"),
        (hub_cache(), ".*.part", hub_cache().glob("models--*/snapshots/*/.*.part"), "trisent"),
        (torch_checkpoints(), "*.partial", torch_checkpoints().glob("*.partial"), "torch"),
        (torch_checkpoints(), ".*.part", torch_checkpoints().glob(".*.part"), "trisent"),
        (own_cache(), ".*.part", own_cache().glob("*/.*.part"), "trisent"),
    ]
    for models in models_folders():
        paths = models.glob("*/.cache/huggingface/download/*.incomplete")
        kinds.append((models, "*.incomplete", paths, "huggingface_hub"))
    found = [_orphans(folder, pattern, paths, whose, now) for folder, pattern, paths, whose in kinds]
    return [finding for finding in found if finding] + list(_duplicates())


def _orphans(folder: Path, pattern: str, paths: Iterable[Path], whose: str, now: float) -> Finding | None:
    statuses = [path.stat() for path in paths if path.is_file()]
    old = [status for status in statuses if now - status.st_mtime > _OLD_DAYS * 24 * 3600]
    if not old:
        return None
    detail = t(
        "{count} unfinished downloads of {whose}, {bytes} MB, untouched for over a week",
        count=len(old),
        whose=whose,
        bytes=sum(status.st_size for status in old) // 10**6,
    )
    return Finding(str(folder), "orphans", detail, remove_files(folder, pattern, older_than_days=_OLD_DAYS))


def _duplicates() -> Iterator[Finding]:
    """Find repositories that were fetched by their old name without an organisation, and by the present one."""
    repos = {entry.repo for entry in entries()} | {file.repo for entry in entries() for file in entry.files}
    for repo in sorted(repos - {""}):
        organisation, _, name = repo.partition("/")
        old, new = repo_folder(name), repo_folder(repo)
        if organisation and old.is_dir() and any(new.glob("snapshots/*")):
            detail = t("{bytes} MB, the same model as {new} beside it", new=new.name, bytes=_bytes(old) // 10**6)
            yield Finding(str(old), "duplicates", detail, remove_folder(old))


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
