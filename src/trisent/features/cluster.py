"""Being connected to a Ray cluster, and whether its machines fit the work."""

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import trisent
from trisent.errors import TrisentError, one_line
from trisent.extractors.runners import missing_package
from trisent.i18n import t

_log = logging.getLogger(__name__)
_CONNECT_S = 15.0
_ANSWER_S = 120.0  # for a machine to start a Python and import trisent from a slow disk
Ray = Any  # the module, which is not imported before it is wanted, and may not be there


@contextmanager
def connected(address: str | None) -> Iterator[Ray]:
    """Be connected to a Ray cluster; what was there before stays, what was begun here ends with it.

    Args:
        address: of the cluster. None for the one this process is connected to, else that of RAY_ADDRESS, else the one
            that runs on this machine, else a new one on this machine alone.

    Raises:
        TrisentError: Ray is not installed, or no cluster answers at `address`.
    """
    try:
        ray = import_module("ray")
        import_module("ray.data")
    except ImportError as error:
        raise missing_package(error, extra="ray") from error
    if ray.is_initialized():
        yield ray
        return
    worker: Any = import_module("ray._private.worker")
    where = address or os.environ.get("RAY_ADDRESS")
    try:
        _check_answers(where)
        with _in_silence():
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except (OSError, RuntimeError, ValueError) as error:
        reason = one_line(error)
        message = (
            "no Ray cluster at {address} ({reason}); see whether one runs there: ray status --address {address}. "
            "If it wants a token, set RAY_AUTH_MODE=token"
        )
        if where is None:
            message = "Ray cannot be started on this machine ({reason})"
        raise TrisentError(t(message, address=where, reason=reason)) from error
    # Ray's own words would go to stdout, where --json is, and no public switch ends that. What goes wrong comes back as
    # errors, and all of it is in its log files.
    worker._worker_logs_enabled = False
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):  # the other one writes to a file
            handler.setLevel(logging.CRITICAL)
    try:
        yield ray
    finally:
        ray.shutdown()  # of what others started, this only takes leave
        worker._worker_logs_enabled = True


def _check_answers(address: str | None) -> None:
    """Raise OSError if nobody listens at HOST:PORT, which Ray itself would try for ten minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()


@contextmanager
def _in_silence() -> Iterator[None]:
    """Let the C++ side of Ray come up without writing to the terminal, then or later."""
    level, kept = "RAY_BACKEND_LOG_LEVEL", os.dup(2)
    wanted = os.environ.get(level)
    os.environ[level] = wanted or "fatal"  # said on stderr, once
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
        if wanted is None:
            del os.environ[level]


def check_machines(ray: Ray, paths: Sequence[Path]) -> None:
    """Ask every machine that has cores whether it has our trisent and sees our files.

    Args:
        ray: what `connected` gave.
        paths: files that are here.

    Raises:
        TrisentError: a machine has another trisent, or none, or does not see a file.
    """

    # Inside, so that it travels as code: a machine without trisent cannot be told where to import it from.
    def look(folder: str, paths: Sequence[str]) -> tuple[str, list[str]]:
        import os
        from importlib import import_module

        try:
            version = import_module("trisent").__version__
        except ImportError as error:
            version = f"none ({error})"
        return version, [path for path in paths if not os.path.exists(os.path.join(folder, path))]  # noqa: PTH110, PTH118

    strategy = import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy
    asked = {
        ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=strategy(node["NodeID"], soft=False))(look).remote(
            str(Path.cwd()), [str(path) for path in paths]
        ): node["NodeManagerAddress"]
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("CPU")
    }
    ray.wait(list(asked), num_returns=len(asked), timeout=_ANSWER_S)
    for answer, machine in asked.items():
        try:
            version, absent = ray.get(answer, timeout=0)
        except ray.exceptions.RayError as error:
            _log.warning("%s", t("{machine} does not answer and may do no work: {error}", machine=machine, error=error))
            continue
        if version != trisent.__version__:
            message = "{machine} has trisent {got}, this machine {expected}; install the same one on every machine"
            raise TrisentError(t(message, machine=machine, got=version, expected=trisent.__version__))
        if absent:
            message = "{machine} has no {path}; videos must be under the same path on every machine"
            raise TrisentError(t(message, machine=machine, path=absent[0]))
