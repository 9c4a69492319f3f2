"""Python processes in which torch is there already: importing it takes longer than what most commands do."""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

# They are forked from a process that has these. Not transformers: the hub's package looks at the environment once.
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["torch", "numpy", "scipy.stats", "av", "rich.console", "typer"])


def run_module(
    module: str, words: Sequence[str], *, folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Do what `python -m MODULE WORDS` does in a process of its own, whose environment is `environment`."""
    with TemporaryDirectory() as place:
        streams = [str(Path(place) / name) for name in ("stdout", "stderr")]
        process = _SERVER.Process(target=_be, args=(module, list(words), str(folder), dict(environment), streams))
        process.start()
        process.join()
        assert process.exitcode is not None
        stdout, stderr = (Path(path).read_text(encoding="utf-8") for path in streams)
    return subprocess.CompletedProcess([module, *words], process.exitcode, stdout, stderr)


def _be(module: str, words: list[str], folder: str, environment: dict[str, str], streams: list[str]) -> None:
    for number, path in zip((1, 2), streams, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv[1:] = words
    sys.path[:0] = environment.get("PYTHONPATH", "").split(os.pathsep)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # multiprocessing does not
