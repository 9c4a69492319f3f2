"""What the doctor sees in the environment's variables, without the network and without importing the hub library.

huggingface_hub reads its variables when it is imported and dies there of a blank or a decimal point; its message names
neither the variable nor the cure. So they are read here first.
"""

import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from trisent.i18n import t
from trisent.weights.connection import CA_VARIABLES
from trisent.weights.finding import Finding, set_variable, unset_variable

_WHOLE_NUMBERS = ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_ADDRESS = re.compile(r"^(?:([A-Za-z]+):/+)?/*(.*)$")
_TRUE = {"1", "true", "yes", "on"}


def look_at_environment() -> list[Finding]:
    """List what is wrong with the variables, or one finding that nothing is."""
    found = [*_endpoint(), *_numbers(), *_proxies(), *_certificates(), *_token(), *_xet()]
    return found or [Finding(t("environment"), "ok", t("no variable stands in the way"), "")]


def _endpoint() -> Iterator[Finding]:
    value = os.environ.get("HF_ENDPOINT")
    if value is None:
        return
    proper = _proper(value)
    if not proper:
        detail = t("is set to nothing, which huggingface_hub takes for an address")
        yield Finding("HF_ENDPOINT", "config", detail, unset_variable("HF_ENDPOINT"))
    elif any(character.isspace() for character in value):
        detail = t("{value!r} holds a blank; huggingface_hub ends at import with it", value=value)
        yield Finding("HF_ENDPOINT", "config", detail, set_variable("HF_ENDPOINT", proper))
    elif proper.lower() != value.rstrip("/").lower():
        detail = t("{value!r} is no address of the form https://host", value=value)
        yield Finding("HF_ENDPOINT", "config", detail, set_variable("HF_ENDPOINT", proper))


def _proper(address: str) -> str:
    """Spell an address as it was meant: without blanks, with a scheme."""
    scheme, host = _ADDRESS.findall("".join(address.split()).rstrip("/"))[0]
    scheme = scheme.lower()
    return f"{scheme if scheme in ('http', 'https') else 'https'}://{host}" if host else ""


def _numbers() -> Iterator[Finding]:
    for variable in _WHOLE_NUMBERS:
        value = os.environ.get(variable)
        if value is None:
            continue
        try:
            int(value)
        except ValueError:
            detail = t("{value!r} is no whole number; huggingface_hub ends at import with it", value=value)
            yield Finding(variable, "config", detail, set_variable(variable, _whole(value)))


def _whole(value: str) -> str:
    try:
        return str(max(1, round(float(value))))
    except ValueError:
        return "10"


def _proxies() -> Iterator[Finding]:
    for variable in _PROXIES:
        for name in (variable, variable.lower()):
            address = os.environ.get(name, "").strip()
            scheme, mark, rest = address.partition("://")
            if not mark or scheme in ("http", "https"):
                if address and not _is_host(rest if mark else address):
                    detail = t("{value!r} is no address of the form http://HOST:PORT", value=address)
                    yield Finding(name, "config", detail, unset_variable(name))
            elif scheme not in ("socks5", "socks5h"):
                detail = t("{scheme}:// is no scheme a Python program knows", scheme=scheme)
                proper = "socks5h" if scheme.startswith("socks") else "http"
                yield Finding(name, "config", detail, set_variable(name, f"{proper}://{rest}"))
            elif importlib.util.find_spec("socksio") is None:
                detail = t("a SOCKS proxy needs the package socksio; huggingface_hub needs it, too")
                yield Finding(name, "config", detail, "pip install socksio")


def _is_host(rest: str) -> bool:
    """Say whether an address without its scheme names a host, and a port that is a number or none."""
    try:
        parts = urlsplit(f"//{rest}")
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _certificates() -> Iterator[Finding]:
    for variable in CA_VARIABLES:
        value = os.environ.get(variable)
        if value and not Path(value).exists():
            detail = t("names {path}, which does not exist", path=value)
            yield Finding(variable, "tls", detail, unset_variable(variable))


def _token() -> Iterator[Finding]:
    host = _mirror()
    if not host or _is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN"):
        return
    where = next((name for name in _TOKENS if os.environ.get(name)), "") or str(_token_file() or "")
    if where:
        detail = t(
            "the token of {where} would be sent to {host} by huggingface_hub; trisent itself sends it to no mirror",
            where=where,
            host=host,
        )
        yield Finding("HF_TOKEN", "token", detail, set_variable("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"))


def _token_file() -> Path | None:
    if value := os.environ.get("HF_TOKEN_PATH"):
        path = Path(value).expanduser()
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
        path = Path(os.environ.get("HF_HOME") or cache / "huggingface").expanduser() / "token"
    return path if path.is_file() and path.stat().st_size else None


def _xet() -> Iterator[Finding]:
    host = _mirror()
    if host and not _is_true("HF_HUB_DISABLE_XET") and importlib.util.find_spec("hf_xet") is not None:
        detail = t(
            "with {host}, huggingface_hub would still ask the hub's own xet servers and may hang for minutes; "
            "trisent does not use them",
            host=host,
        )
        yield Finding("HF_HUB_DISABLE_XET", "xet", detail, set_variable("HF_HUB_DISABLE_XET", "1"))


def _mirror() -> str:
    """Return the host of HF_ENDPOINT when it is not the hub itself."""
    host = urlsplit(_proper(os.environ.get("HF_ENDPOINT", ""))).hostname or ""
    return "" if host == "huggingface.co" or host.endswith(".huggingface.co") else host


def _is_true(variable: str) -> bool:
    return os.environ.get(variable, "").strip().lower() in _TRUE


def proxy_for(url: str) -> tuple[str, str]:
    """Return the variable and the address of the proxy that stands before `url`; two empty texts for none."""
    from urllib.request import proxy_bypass

    parts = urlsplit(url)
    if proxy_bypass(parts.netloc):
        return "", ""
    proxies = getproxies()  # on Windows and macOS these are the system's settings, too
    for scheme in (parts.scheme, "all"):
        if address := proxies.get(scheme):
            variable = f"{scheme}_proxy"
            return variable if os.environ.get(variable) else variable.upper(), address
    return "", ""
