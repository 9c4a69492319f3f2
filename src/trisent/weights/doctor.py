"""Say why weights do not arrive, and for each trouble the one line to paste: variables, disks, caches, every source."""

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from trisent.i18n import t
from trisent.weights.caches import look_at_disks, look_at_leftovers
from trisent.weights.catalog import entries, entry
from trisent.weights.connection import offline
from trisent.weights.environment import look_at_environment, proxy_for
from trisent.weights.finding import MIRROR, PULL, Finding, set_variable, unset_variable, usual_fix
from trisent.weights.probe import Probe, probe, probe_in_turn

_PIP_TIMEOUT_S = 20.0
_PIP_CONNECT_S = 5
_CLOCK_WRONG_S = 300.0  # certificates and signed addresses live in minutes
_PROBED = "bert-base-uncased"
_ANOTHER_SOURCE_HELPS = {
    "dns",
    "connect",
    "reset",
    "slow",
    "not-mirrored",
    "wrong-content",
    "data-blocked",
    "data-http",
    "http",
}


def doctor() -> list[Finding]:
    """Look at the environment, then at every way weights can arrive; takes at most some seconds."""
    from concurrent.futures import ThreadPoolExecutor

    findings = examine_machine()
    if variable := offline():
        findings.append(_forbidden(t("network"), variable))
        probed: list[tuple[str, Callable[[], Probe]]] = []
    else:
        probed = _ways()
    with ThreadPoolExecutor(max_workers=len(probed) + 1) as pool:
        index = pool.submit(_package_index)
        probes = [(subject, pool.submit(ask)) for subject, ask in probed]
        done = [(subject, future.result()) for subject, future in probes]
        findings.append(index.result())
    answers = [one for _, one in done]
    findings += [_of_probe(subject, one, answers) for subject, one in done]
    return [*findings, *_clock(answers)]


def examine_machine() -> list[Finding]:
    """Look at the variables, the disks and the caches: what can be seen in under a second and without the network."""
    return [*look_at_environment(), *look_at_disks(), *look_at_leftovers()]


def _ways() -> list[tuple[str, Callable[[], Probe]]]:
    """Pair each hub and each direct address with a question about a real file of weights."""
    from trisent.weights.hub import endpoints

    bert = entry(_PROBED)
    big = bert.weights[0]
    ways: list[tuple[str, Callable[[], Probe]]] = []
    for endpoint in endpoints():
        addresses = [f"{endpoint}/{bert.repo}/resolve/{at}/{big.path}" for at in (bert.revision, "main")]
        ways.append((endpoint, partial(probe_in_turn, addresses, size=big.bytes, sha256=big.sha256, is_hub=True)))
    for one in entries("pretrained"):
        if one.url:
            file = one.files[0]
            ways.append((one.url, partial(probe, one.url, size=file.bytes, sha256=file.sha256, is_hub=False)))
    return ways


def _of_probe(subject: str, one: Probe, probes: Sequence[Probe]) -> Finding:
    fix = usual_fix(one.state)
    if one.state == "proxy":
        variable, _ = proxy_for(one.url)
        fix = t("{command}   # or start the proxy", command=unset_variable(variable))
    elif one.state == "config":
        fix = _config_fix(subject)
    elif one.state in _ANOTHER_SOURCE_HELPS:
        if other := next((other for other in probes if other.state == "ok"), None):
            host = urlsplit(other.url).netloc
            fix = t("{command}   # {host} is asked in its place", command=PULL, host=host)
        elif subject == MIRROR or (one.state in ("dns", "connect") and all(p.state == one.state for p in probes)):
            proxy = set_variable("HTTPS_PROXY", "http://HOST:PORT")
            fix = t("{command}   # no source can be reached: connect the network, or ask for its proxy", command=proxy)
    return Finding(subject, one.state, one.detail, fix)


def _config_fix(subject: str) -> str:
    """Return what the environment's own finding says to do: the probe only saw its consequence."""
    wrong = [finding for finding in look_at_environment() if finding.state == "config"]
    return wrong[0].fix if wrong else t("correct the address {url}", url=subject)


def _forbidden(subject: str, variable: str) -> Finding:
    return Finding(subject, "offline", t("{variable} is set", variable=variable), unset_variable(variable))


def _clock(probes: Sequence[Probe]) -> list[Finding]:
    """Compare this machine's clock with the sources'; one that agrees is enough, the others are wrong then."""
    ahead = [one.clock_ahead_s for one in probes if one.clock_ahead_s is not None]
    if not ahead:
        return []
    closest = min(ahead, key=abs)
    seconds = round(closest)
    detail = t("{seconds} s from the sources' clock", seconds=seconds)
    if abs(seconds) <= _CLOCK_WRONG_S:
        return [Finding(t("clock"), "ok", detail, "")]
    detail += "; " + t("certificates and signed addresses are refused")
    return [Finding(t("clock"), "clock", detail, usual_fix("clock"))]


def _package_index() -> Finding:
    from trisent.weights.which_pip import pip_is_here, pips_reason, run_pip

    found = Finding(t("package index"), "ok", "", "")
    if variable := offline(own_only=True):
        return _forbidden(found.subject, variable)
    if not pip_is_here():
        return replace(found, state="no-pip", detail=t("this Python has no pip"), fix=usual_fix("no-pip"))
    smallest = min(entries("embedded"), key=lambda one: one.wheel_bytes)
    with tempfile.TemporaryDirectory(prefix="trisent-") as folder:
        output = Path(folder) / "pip.txt"
        options = (smallest.package, "--timeout", str(_PIP_CONNECT_S), "--retries", "0")
        process = run_pip("index", "versions", *options, environment={}, output=output)
        try:
            code = process.wait(timeout=_PIP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            fix = t("run: pip config list, and correct the index there")
            return replace(found, state="slow", detail=t("no answer within the time limit"), fix=fix)
        if code != 0:
            fix = t("run: pip config list, and correct the index there")
            return replace(found, state="http", detail=pips_reason(output), fix=fix)
    return replace(found, detail=t("pip finds {package}", package=smallest.package))
