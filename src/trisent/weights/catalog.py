"""The catalog: every set of weights trisent knows, pinned to its bytes. Its data is catalog.toml."""

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from trisent.errors import WeightsError
from trisent.i18n import t
from trisent.types import Modality

Role = Literal["weights", "config", "tokenizer"]


@dataclass(frozen=True, slots=True)
class File:
    """One file of an entry.

    `sha256` is 64 hex digits; for a small file of a hub repository outside the catalog it is git's 40-digit blob id,
    which is all the hub tells. `member` is the path inside the wheel. `instead_of` names the file this one replaces;
    such an alternative may come from another `repo` and `revision` than its entry.
    """

    path: str
    bytes: int
    sha256: str
    member: str = ""
    role: Role = "weights"
    instead_of: str = ""
    repo: str = ""
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One set of weights: its files, where they come from, and what may be done with them.

    The source is one of `package` (a wheel of the package index), `repo` at `revision` (the model hub) and `url`.
    `counterpart` names the embedded weights that do the same work when the hub cannot be reached.
    `modality` is None for a hub repository outside the catalog.
    `unpinned` entries are names for a hub repository whose bytes nobody has proven yet: they are fetched like any hub
    id, and what the hub lists at first use is recorded (first_use.py). Their `files` hold what is known, often nothing.
    """

    name: str
    modality: Modality | None
    licence: str
    preprocessing: str
    files: tuple[File, ...]
    aliases: tuple[str, ...] = ()
    repo: str = ""
    revision: str = ""
    url: str = ""
    package: str = ""
    version: str = ""
    wheel_bytes: int = 0
    preset: str = ""
    counterpart: str = ""
    unpinned: bool = False

    @property
    def needed(self) -> tuple[File, ...]:
        """The files that make the entry complete, alternatives left out."""
        return tuple(file for file in self.files if not file.instead_of)

    @property
    def weights(self) -> tuple[File, ...]:
        """The files with the numbers, the main one first, alternatives last."""
        return tuple(sorted((file for file in self.files if file.role == "weights"), key=lambda f: bool(f.instead_of)))

    def choices(self, file: File) -> tuple[File, ...]:
        """List what may stand for `file`: itself, then its alternatives."""
        return (file, *(other for other in self.files if other.instead_of == file.path))


@cache
def _catalog() -> dict[str, Entry]:
    table = tomllib.loads((Path(__file__).parent / "catalog.toml").read_text(encoding="utf-8"))
    return {name: _entry(name, fields) for name, fields in table.items()}


def _entry(name: str, fields: dict[str, Any]) -> Entry:  # Any: what TOML holds
    files = tuple(File(**file) for file in fields.pop("files", ()))
    fields = {"licence": "see the model's page", "preprocessing": "see the model's page", **fields}
    if fields.get("unpinned") and not fields.get("aliases"):
        fields["aliases"] = [fields["repo"]]
    return Entry(name=name, aliases=tuple(fields.pop("aliases", ())), files=files, **fields)


@cache
def _names() -> dict[str, str]:
    names = {alias.lower(): entry.name for entry in _catalog().values() for alias in entry.aliases}
    return names | {name.lower(): name for name in _catalog()}


def known(name: str) -> Entry | None:
    """Look up a pinned entry by name or alias, whatever its case; None when the catalog pins no such weights."""
    found = listed(name)
    return None if found is None or found.unpinned else found


def listed(name: str) -> Entry | None:
    """Look up an entry by name or alias, whatever its case, pinned or not; None when the catalog has no such weights.

    >>> listed("roberta-base").repo
    'FacebookAI/roberta-base'
    """
    found = _names().get(name.strip().lower())
    return None if found is None else _catalog()[found]


def hub_id(name: str) -> str:
    """Return the hub repository an unpinned entry stands for; any other name as it is.

    >>> hub_id("roberta-base"), hub_id("ORG/NAME")
    ('FacebookAI/roberta-base', 'ORG/NAME')
    """
    found = listed(name)
    return found.repo if found is not None and found.unpinned else name


def entry(name: str) -> Entry:
    """Look up weights by name or alias.

    >>> entry("google-bert/bert-base-uncased").name
    'bert-base-uncased'

    Raises:
        WeightsError: the catalog has no such weights; the message names what comes close.
    """
    if found := listed(name):
        return found
    close = difflib.get_close_matches(name.lower(), _names(), n=3, cutoff=0.5)
    close_names = dict.fromkeys(_names()[match] for match in close)
    if close_names:
        msg = t(
            "no weights are called {name!r}; did you mean {close}? List all with: trisent weights list",
            name=name,
            close=", ".join(close_names),
        )
    else:
        msg = t(
            "no weights are called {name!r}; there are {names}. List all with: trisent weights list",
            name=name,
            names=", ".join(one.name for one in _catalog().values() if one.preset),
        )
    raise WeightsError(msg)


def entries(preset: str | None = None) -> tuple[Entry, ...]:
    """List the catalog, or the entries of one preset ("embedded" or "pretrained").

    Raises:
        WeightsError: there is no such preset.
    """
    presets = dict.fromkeys(entry.preset for entry in _catalog().values() if entry.preset)
    if preset is not None and preset not in presets:
        msg = t("no preset is called {preset!r}; there are {presets}", preset=preset, presets=", ".join(presets))
        raise WeightsError(msg)
    return tuple(entry for entry in _catalog().values() if preset in (None, entry.preset))


def by_digest(sha256: str) -> Entry | None:
    """Recognise weights by their bytes; None for bytes the catalog does not hold."""
    return next((e for e in _catalog().values() if any(file.sha256 == sha256 for file in e.weights)), None)
