"""A finding of the doctor: what was looked at, its state, and the one line to paste that mends it."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trisent.i18n import t

State = Literal[
    "ok", "dns", "connect", "proxy", "tls", "reset", "slow", "not-mirrored", "not-a-hub", "wrong-content",
    "data-blocked", "data-http", "rate-limited", "http", "config", "offline", "clock", "token", "xet", "no-pip",
    "disk", "orphans", "duplicates",
]  # fmt: skip

MIRROR = "https://hf-mirror.com"
PULL = "trisent weights pull --preset pretrained"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, its state, a detail, and the one thing to do about it ("" when there is nothing to do)."""

    subject: str
    state: State
    detail: str
    fix: str


def set_variable(name: str, value: str) -> str:
    """Spell the command that sets an environment variable in the shell of this system."""
    return f'$env:{name} = "{value}"' if os.name == "nt" else f"export {name}={shlex.quote(value)}"


def unset_variable(name: str) -> str:
    """Spell the command that removes an environment variable in the shell of this system."""
    return f"Remove-Item Env:{name}" if os.name == "nt" else f"unset {name}"


def remove_folder(folder: Path) -> str:
    """Spell the command that removes a folder."""
    return f'Remove-Item -Recurse -Force "{folder}"' if os.name == "nt" else f"rm -r {shlex.quote(str(folder))}"


def remove_files(folder: Path, pattern: str, *, older_than_days: int) -> str:
    """Spell the command that removes the files of a pattern which have not changed for some days."""
    if os.name == "nt":
        return (
            f'Get-ChildItem "{folder}" -Recurse -Force -Filter "{pattern}" | '
            f"Where-Object LastWriteTime -lt (Get-Date).AddDays(-{older_than_days}) | Remove-Item -Force"
        )
    return f"find {shlex.quote(str(folder))} -name {shlex.quote(pattern)} -mtime +{older_than_days} -delete"


def usual_fix(state: State) -> str:
    """Return what mends most troubles of this kind; whoever knows more says something better."""
    mirror = set_variable("HF_ENDPOINT", MIRROR)
    return {
        "dns": t("{command}   # its name is unknown here: ask another hub", command=mirror),
        "connect": t("{command}   # or set HTTPS_PROXY to your proxy", command=mirror),
        "proxy": t("{command}   # or start the proxy", command=unset_variable("HTTPS_PROXY")),
        "tls": t(
            "{command}   # the certificate file your administrator gave you",
            command=set_variable("TRISENT_CA_BUNDLE", "company-ca.pem"),
        ),
        "reset": t("{command}   # goes on where it stopped", command=PULL),
        "slow": t("{command}   # a mirror nearer to you", command=mirror),
        "not-mirrored": t("{command}   # the other sources are asked in its place", command=PULL),
        "not-a-hub": t("log in to the network in a browser, then: {command}", command=PULL),
        "wrong-content": t("{command}   # this source is left, the next one asked", command=PULL),
        "data-blocked": t("{command}   # a mirror that hands out the files itself", command=mirror),
        "data-http": t("{command}   # a mirror that hands out the files itself", command=mirror),
        "rate-limited": t("wait five minutes, then: {command}", command=PULL),
        "http": t("{command}   # or run the same command later", command=mirror),
        "clock": "w32tm /resync" if os.name == "nt" else "sudo timedatectl set-ntp true",
        "no-pip": t("install pip: uv pip install pip, or python3-venv and python3-pip of your system"),
    }.get(state, "")
