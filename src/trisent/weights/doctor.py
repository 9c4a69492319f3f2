"""Say why weights do not arrive: the package index, each hub, each direct address, the disk; a fix for each trouble."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from trisent.config import home
from trisent.errors import WeightsError
from trisent.i18n import t
from trisent.weights.catalog import entries, entry
from trisent.weights.connection import State, client, moved_away, offline, what_failed

_TIMEOUT_S = 5.0
_PIP_TIMEOUT_S = 20.0
_SLOW_S = 3.0
_ROOMY_BYTES = 2 * 10**9  # both presets with what pip and the hubs need on the way


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, its state, a detail, and the one thing to do about it ("" when there is nothing to do)."""

    subject: str
    state: State
    detail: str
    fix: str


def doctor() -> list[Finding]:
    """Look at every way weights can arrive; takes about as long as the slowest, at most some seconds."""
    from concurrent.futures import ThreadPoolExecutor

    from trisent.weights.hub import endpoints

    jobs: list[Callable[[], Finding]] = [_disk, _package_index]
    jobs += [partial(_hub, endpoint) for endpoint in endpoints()]
    jobs += [partial(_address, one.url, one.files[0].bytes) for one in entries() if one.url]
    with ThreadPoolExecutor(max_workers=len(jobs)) as pool:
        return list(pool.map(lambda job: job(), jobs))


def _fix(state: State) -> str:
    return {
        "ok": "",
        "dns": t("check the network, or the DNS server of this machine"),
        "connect": t("set HTTPS_PROXY to your proxy, or set HF_ENDPOINT to a mirror you can reach"),
        "tls": t("set SSL_CERT_FILE to the certificate bundle of your company, and check the clock"),
        "reset": t("run the same command again: it continues where it stopped"),
        "slow": t("set HF_ENDPOINT to a mirror nearer to you, for example https://hf-mirror.com"),
        "not-mirrored": t("nothing to do: the other sources are asked in its place"),
        "http": t("run the same command again later, or set HF_ENDPOINT to another mirror"),
        "not-a-hub": t("log in to the network in a browser, or correct HF_ENDPOINT"),
        "no-pip": t("run: python -m ensurepip (with uv: uv pip install pip)"),
        "disk": t("make room, or set TRISENT_HOME to a folder on another disk"),
    }[state]


def _finding(subject: str, state: State, detail: str) -> Finding:
    return Finding(subject, state, detail, _fix(state))


def _disk() -> Finding:
    folder = home()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    detail = t("{free} MB free at {folder}", free=free // 10**6, folder=home())
    return _finding(t("disk"), "ok" if free >= _ROOMY_BYTES else "disk", detail)


def _package_index() -> Finding:
    from trisent.weights.package_index import pip_is_here, pips_reason, run_pip

    subject = t("package index")
    if variable := offline(own_only=True):
        return Finding(
            subject, "connect", t("{variable} is set", variable=variable), t("unset {variable}", variable=variable)
        )
    if not pip_is_here():
        return _finding(subject, "no-pip", t("this Python has no pip"))
    smallest = min(entries("embedded"), key=lambda one: one.wheel_bytes)
    with tempfile.TemporaryDirectory(prefix="trisent-") as folder:
        output = Path(folder) / "pip.txt"
        options = (smallest.package, "--timeout", str(int(_TIMEOUT_S)), "--retries", "0")
        process = run_pip("index", "versions", *options, environment={}, output=output)
        try:
            code = process.wait(timeout=_PIP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return _finding(subject, "slow", t("no answer within the time limit"))
        if code != 0:
            return Finding(subject, "http", pips_reason(output), t("run: pip config list, and correct the index there"))
    return _finding(subject, "ok", t("pip finds {package}", package=smallest.package))


def _hub(endpoint: str) -> Finding:
    bert = entry("bert-base-uncased")
    url = f"{endpoint}/{bert.repo}/resolve/{bert.revision}/config.json"
    return _head(endpoint, url, is_hub=True)


def _address(url: str, size: int) -> Finding:
    return _head(url, url, size=size)


def _head(subject: str, url: str, *, is_hub: bool = False, size: int | None = None) -> Finding:
    import httpx2

    if variable := offline():
        return Finding(
            subject, "connect", t("{variable} is set", variable=variable), t("unset {variable}", variable=variable)
        )
    start = time.monotonic()
    try:
        with client(connect_s=_TIMEOUT_S, read_s=_TIMEOUT_S) as http:
            response = http.head(url)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return _finding(subject, *what_failed(error))
    except WeightsError as error:  # a certificate bundle that does not exist
        return _finding(subject, "tls", str(error))
    took_s = time.monotonic() - start
    if host := moved_away(response):
        return _finding(subject, "not-mirrored", t("does not have it and points to {host}", host=host))
    if response.status_code >= 400:
        return _finding(subject, "http", t("HTTP {status}", status=response.status_code))
    if is_hub and "x-repo-commit" not in response.headers:
        return _finding(subject, "not-a-hub", t("answers, but not as a model hub does"))
    announced = response.headers.get("content-length")
    if size is not None and announced != str(size):
        detail = t("announces {found} bytes, expected {expected}", found=announced, expected=size)
        return _finding(subject, "http", detail)
    state: State = "slow" if took_s > _SLOW_S else "ok"
    return _finding(subject, state, t("answered in {seconds:.1f} s", seconds=took_s))
