"""What every benchmark says of the machine and of its command line."""

import argparse
import os
import platform
import re
import resource
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_ABLE = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16")


def machine(*packages: str) -> str:
    """Describe where the numbers come from: processor, load, versions of Python and of these packages."""
    model, flags = platform.processor() or platform.machine(), ""
    with suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        names, sets = (re.findall(rf"{key}\s*: (.*)", text)[:1] or [""] for key in ("model name", "flags"))
        model, flags = names[0] or platform.machine(), sets[0]
    able = [name for name in _ABLE if name in flags.split()]
    if told := os.environ.get("ONEDNN_MAX_CPU_ISA"):
        able.append(f"but ONEDNN_MAX_CPU_ISA={told}")
    load = f", load {os.getloadavg()[0]:.1f} before the start" if hasattr(os, "getloadavg") else ""
    found = [f"Python {platform.python_version()}"]
    for name in packages:
        with suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return f"{os.cpu_count()} cores ({model}; {', '.join(able)}), {platform.system()}{load}; {', '.join(found)}"


def load() -> str:
    """Say how busy the machine is, what we do included."""
    return " ".join(f"{average:.1f}" for average in os.getloadavg())


def available_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def some_of(names: Sequence[str]) -> Callable[[str], list[str]]:
    """Make a reader of an option that names some of these, with commas between."""

    def read(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := sorted(set(chosen) - set(names)):
            msg = f"{', '.join(unknown)}: not among {', '.join(names)}"
            raise argparse.ArgumentTypeError(msg)
        return chosen

    return read


def peak_memory_mb(process: int | None = None) -> float:
    """Return the most memory that this process, or a child of it, has held; mapped pages of files are included."""
    with suppress(OSError):  # Linux's getrusage begins with what the parent held
        status = Path(f"/proc/{process or 'self'}/status").read_text(encoding="utf-8")
        return int(re.findall(r"VmHWM:\s*(\d+)", status)[0]) * 1024 / 1e6
    usage = resource.getrusage(resource.RUSAGE_CHILDREN if process else resource.RUSAGE_SELF)
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
