"""Read which package indexes uv is set up to use: its variables, then its files, the nearest first."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class _Indexes:
    """What is used in place of the public index ("" for nothing), and what beside it."""

    default: str = ""
    extra: dict[str, None] = field(default_factory=dict)  # a set that keeps the order

    def add(self, url: object, *, is_default: bool) -> None:
        if not isinstance(url, str) or not url:
            return
        if is_default:
            self.default = self.default or url
        else:
            self.extra[url] = None


def uv_indexes() -> dict[str, str]:
    """Return uv's indexes as PIP_INDEX_URL and PIP_EXTRA_INDEX_URL; empty when uv has no settings of its own."""
    found = _Indexes()
    for variable in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        found.add(_address(os.environ.get(variable, "")), is_default=True)
    for variable in ("UV_INDEX", "UV_EXTRA_INDEX_URL"):
        for word in os.environ.get(variable, "").split():
            found.add(_address(word), is_default=False)
    for settings in _settings():
        _add_settings(found, settings)
    values = {"PIP_INDEX_URL": found.default, "PIP_EXTRA_INDEX_URL": " ".join(found.extra)}
    return {variable: value for variable, value in values.items() if value}


def _address(word: str) -> str:
    """Leave out the name of `name=https://…`."""
    name, _, address = word.strip().partition("=")
    return address if address and "/" not in name else word.strip()


def _add_settings(found: _Indexes, settings: Mapping[str, Any]) -> None:  # Any: what TOML holds
    tables = settings.get("index")
    for table in tables if isinstance(tables, list) else []:
        if isinstance(table, dict) and not table.get("explicit"):  # an explicit one is for the packages named with it
            found.add(table.get("url"), is_default=bool(table.get("default")))
    found.add(settings.get("index-url"), is_default=True)
    extra = settings.get("extra-index-url")
    for url in extra if isinstance(extra, list) else []:
        found.add(url, is_default=False)


def _settings() -> Iterator[Mapping[str, Any]]:
    """Read uv's files: of the project, of the person, of the machine."""
    if os.environ.get("UV_NO_CONFIG", "").lower() in {"1", "true", "yes", "on"}:
        return
    if named := os.environ.get("UV_CONFIG_FILE"):
        yield _read(Path(named))
        return
    yield next((settings for folder in (Path.cwd(), *Path.cwd().parents) if (settings := _of_project(folder))), {})
    if os.name == "nt":
        folders = [Path(value) for name in ("APPDATA", "PROGRAMDATA") if (value := os.environ.get(name))]
    else:
        folders = [Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser(), Path("/etc")]
    for folder in folders:
        yield _read(folder / "uv" / "uv.toml")


def _of_project(folder: Path) -> Mapping[str, Any]:
    if settings := _read(folder / "uv.toml"):
        return settings
    tool = _read(folder / "pyproject.toml").get("tool")
    of_uv = tool.get("uv") if isinstance(tool, dict) else None
    return of_uv if isinstance(of_uv, dict) else {}


def _read(file: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # a file that is not TOML is uv's to complain about
        return {}
