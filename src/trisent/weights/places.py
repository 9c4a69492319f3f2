"""Where weights live on this machine: hand-placed folders, other tools' caches, trisent's own. Only paths here."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from trisent.config import checkout, home
from trisent.weights.catalog import Entry, File


def models_folders() -> tuple[Path, ...]:
    """Return the `models/` folders people place weights in: of the current folder, then of the checkout."""
    root = checkout()
    return tuple(dict.fromkeys([Path.cwd() / "models", *([root / "models"] if root else [])]))


def hub_cache() -> Path:
    """Return the Hugging Face cache as huggingface_hub finds it: HF_HUB_CACHE, HF_HOME/hub, the user's cache."""
    if value := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return _from_variable(value)
    if value := os.environ.get("HF_HOME"):
        return _from_variable(value) / "hub"
    return _user_cache() / "huggingface" / "hub"


def torch_checkpoints() -> Path:
    """Return the folder torch.hub keeps downloaded checkpoints in."""
    value = os.environ.get("TORCH_HOME")
    return (_from_variable(value) if value else _user_cache() / "torch") / "hub" / "checkpoints"


def own_cache() -> Path:
    """Return the folder that holds one sub-folder for each set of weights from the package index."""
    return home() / "weights"


def repo_folder(repo: str) -> Path:
    """Return the folder of a hub repository ("ORG/NAME") in the Hugging Face cache."""
    return hub_cache() / f"models--{repo.replace('/', '--')}"


def both_repo_folders(repo: str) -> tuple[Path, Path]:
    """Return the folders of a hub repository: under ORG/NAME, and under NAME, as some were called in former times."""
    return repo_folder(repo), repo_folder(repo.partition("/")[2])


def landing(entry: Entry, file: File) -> Path:
    """Return where `file` of `entry` lands when it is pulled."""
    if entry.package:
        return own_cache() / entry.name / file.path
    if repo := file.repo or entry.repo:
        return _snapshot(repo, file.revision or entry.revision) / file.path
    return torch_checkpoints() / file.path


def _snapshot(repo: str, revision: str) -> Path:
    """Return the folder of a commit; the one begun under the repository's old name goes on, lest 440 MB lie twice."""
    wanted, old = (folder / "snapshots" / revision for folder in both_repo_folders(repo))
    return old if old.is_dir() and not wanted.is_dir() else wanted


def _from_variable(value: str) -> Path:
    return Path(os.path.expandvars(value)).expanduser()


def _user_cache() -> Path:
    # huggingface_hub and torch both honour XDG_CACHE_HOME on every system, and fall back to ~/.cache on Windows too.
    return _from_variable(os.environ.get("XDG_CACHE_HOME") or "~/.cache")


def exported_path(entry: Entry, file: File) -> str:
    """Return where `file` is in an exported folder, and so on a server of one: the address it has on its own server."""
    if entry.package:
        return f"packages/{entry.name}/{file.path}"
    if repo := file.repo or entry.repo:
        return f"{repo}/resolve/{file.revision or entry.revision}/{file.path}"
    return urlsplit(entry.url).path.lstrip("/")
