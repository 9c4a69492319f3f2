"""Find a pip that this Python can run, and run it. Environments made by uv have none of their own.

Nothing is installed for it. A pip from elsewhere is told the indexes that uv uses, for that is what the person of a
uv environment has set up.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path

from trisent.i18n import t
from trisent.weights.uv_settings import uv_indexes

_CONFIG_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Pip:
    """A pip: the words that start it, and the variables it is given beside the person's own."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def find_pip() -> Pip | None:
    """Return the environment's pip, else the standard library's, else the one uv brings; None without any."""
    if has_own_pip():
        return Pip((sys.executable, "-P", "-m", "pip"))  # -P: a pip.py in the current folder is not pip
    wheel = max(_bundled_wheels(), default=None)
    command = (sys.executable, "-P", str(wheel / "pip")) if wheel is not None else _uvs_command()
    return Pip(command, _with_uvs_indexes(command)) if command else None


def has_own_pip() -> bool:
    """Say whether this environment has a pip."""
    # Not importlib.util.find_spec: setuptools lies in wait there for who asks for pip, and warns of other packages.
    return PathFinder.find_spec("pip") is not None


def pip_is_here() -> bool:
    """Say whether this Python can run a pip, its own or another."""
    return find_pip() is not None


def run_pip(*arguments: str, environment: Mapping[str, str], output: Path) -> subprocess.Popen[bytes]:
    """Start pip quietly, asking nothing, with its output in a file.

    Raises:
        FileNotFoundError: there is no pip.
    """
    if (pip := find_pip()) is None:
        msg = f"no pip for {sys.executable}"
        raise FileNotFoundError(msg)
    command = [*pip.command, *arguments, "--no-input", "--disable-pip-version-check"]
    with output.open("wb") as stream:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, **pip.environment, **environment},
        )


def pips_reason(output: Path) -> str:
    """Return the last error of pip's output in one line, or its last line."""
    lines = [line.strip() for line in output.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    # "ERROR: Exception:" begins a traceback, whose last line says more; newer pips draw a cross before some errors.
    errors = [
        line.removeprefix("ERROR:").removeprefix("×").strip()
        for line in lines
        if line.startswith(("ERROR:", "×")) and line != "ERROR: Exception:"
    ]
    return (errors or lines or [t("it said nothing")])[-1]


def _bundled_wheels() -> Iterator[Path]:
    """List the pips that ensurepip would install; a wheel of pip can be run as it is."""
    folders = [Path(folder) for folder in (sysconfig.get_config_var("WHEEL_PKG_DIR"),) if folder]  # of Linux systems
    if (found := importlib.util.find_spec("ensurepip")) is not None and found.origin:
        folders.append(Path(found.origin).parent / "_bundled")
    for folder in folders:
        yield from folder.glob("pip-*.whl")


def _uvs_command() -> tuple[str, ...]:
    if uv := shutil.which("uv"):
        return (uv, "tool", "run", "--quiet", "--python", sys.executable, "pip")
    if uvx := shutil.which("uvx"):
        return (uvx, "--quiet", "--python", sys.executable, "pip")
    return ()


def _with_uvs_indexes(command: tuple[str, ...]) -> Mapping[str, str]:
    """Return uv's indexes as pip's variables, those that pip's own configuration does not set."""
    if not (wanted := uv_indexes()):
        return {}
    own = _configured(command)
    if "no-index" in own:
        return {}
    option = {"PIP_INDEX_URL": "index-url", "PIP_EXTRA_INDEX_URL": "extra-index-url"}
    return {variable: value for variable, value in wanted.items() if option[variable] not in own}


@cache
def _configured(command: tuple[str, ...]) -> frozenset[str]:
    """Return the options that pip's files and variables set."""
    try:
        told = subprocess.run(
            [*command, "config", "list"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_CONFIG_TIMEOUT_S,
            check=False,
        ).stdout.decode(errors="replace")
    except (OSError, subprocess.TimeoutExpired):  # uv cannot bring its pip: the download will say why
        return frozenset()
    return frozenset(re.findall(r"^[^=\s]*\.([\w-]+)=", told, re.MULTILINE))
