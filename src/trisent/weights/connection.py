"""How trisent speaks HTTP: the system's certificates, a token for the hub alone, one word for what went wrong."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from trisent.errors import WeightsError
from trisent.i18n import t

if TYPE_CHECKING:
    import ssl

    import httpx2

State = Literal[
    "ok", "dns", "connect", "proxy", "tls", "reset", "slow", "not-mirrored", "http", "not-a-hub", "no-pip", "disk"
]

CA_VARIABLES = ("TRISENT_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_TOKEN_ORIGIN = "https://huggingface.co/"
_OFFLINE_VARIABLES = ("TRISENT_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


class ProxyError(WeightsError):
    """What is set as a proxy is none."""


def client(*, connect_s: float = 4.0, read_s: float = 20.0) -> "httpx2.Client":
    """Open an HTTP client that trusts what the system trusts.

    It sends no credentials by itself: a mirror is somebody else's computer, and `credentials` knows the one host that
    may see them.
    Redirects are left to the caller, because some of them mean "I do not have this file".

    Raises:
        ProxyError: a variable names a proxy of a kind that nobody here knows.
        WeightsError: a variable names certificates that are not there, or are none.
    """
    import httpx2

    from trisent.weights.reach import Backend

    trusted = _certificates()
    try:
        http = httpx2.Client(
            verify=trusted,
            follow_redirects=False,
            timeout=httpx2.Timeout(read_s, connect=connect_s),
            headers={"Accept-Encoding": "identity", "User-Agent": "trisent"},
        )
    except (ImportError, ValueError, httpx2.InvalidURL) as error:  # SOCKS without socksio; a scheme or port of no kind
        lacks = t("a SOCKS proxy needs the package socksio; huggingface_hub needs it, too")
        why = lacks if isinstance(error, ImportError) else str(error)
        raise ProxyError(
            t("the proxy that is set cannot be used ({why}). Run: trisent weights doctor", why=why)
        ) from error
    # httpx2 has no public place for this; without it, each of a name's addresses is waited for in turn.
    for transport in (http._transport, *http._mounts.values()):
        pool: Any = getattr(transport, "_pool", None)  # Any: private
        if hasattr(pool, "_network_backend"):
            pool._network_backend = Backend()
    return http


def credentials(url: str) -> dict[str, str]:
    """Return the header with the user's token when `url` is of the hub itself; empty for every other host.

    The token is where huggingface_hub keeps it: HF_TOKEN, or the file that its log-in writes.
    """
    if not url.startswith(_TOKEN_ORIGIN) or _is_set("HF_HUB_DISABLE_IMPLICIT_TOKEN"):
        return {}
    folder = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    file = Path(os.environ.get("HF_TOKEN_PATH") or Path(folder, "token")).expanduser()
    try:
        token = os.environ.get("HF_TOKEN", "").strip() or file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return {}
    return {"Authorization": f"Bearer {token}"} if token.isascii() and token.isprintable() and token else {}


def _certificates() -> "ssl.SSLContext":
    bundles: dict[str, str] = {}  # several variables often name one bundle
    for variable in CA_VARIABLES:
        if not (value := os.environ.get(variable)) or Path(value).is_dir():
            continue
        if not Path(value).is_file():
            msg = t(
                "{variable} names {path}, which does not exist. Correct or unset it.", variable=variable, path=value
            )
            raise WeightsError(msg)
        bundles.setdefault(value, variable)
    return _trusting(tuple(bundles.items()))


@cache  # reading a bundle takes longer than fetching a small file
def _trusting(bundles: tuple[tuple[str, str], ...]) -> "ssl.SSLContext":
    import ssl

    import truststore

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for bundle, variable in bundles:  # a company's own CA is added to the system's, it does not replace them
        try:
            context.load_verify_locations(bundle)
        except OSError as error:  # an SSLError is one
            msg = t(
                "{variable} names {path}, which holds no certificates ({why}). Correct or unset it.",
                variable=variable,
                path=bundle,
                why=error,
            )
            raise WeightsError(msg) from error
    return context


def offline(*, own_only: bool = False) -> str:
    """Return the name of the variable that forbids the network, "" when none does.

    `own_only` asks TRISENT_OFFLINE alone: the package index is no business of the hub's variables.
    """
    variables = _OFFLINE_VARIABLES[:1] if own_only else _OFFLINE_VARIABLES
    return next(filter(_is_set, variables), "")


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "").strip().lower() in {"1", "true", "yes", "on"}


def moved_away(response: "httpx2.Response") -> str:
    """Return the host a mirror sends us to for want of the file itself; "" for an ordinary redirect or an answer.

    hf-mirror answers 308 to huggingface.co for what it does not hold; a hub's own redirects to its storage are 302 or
    307, or carry the commit.
    """
    target = response.next_request.url if response.next_request else None
    permanent = response.status_code in (301, 308) and "x-repo-commit" not in response.headers
    return target.host if permanent and target is not None and target.host != response.url.host else ""


def what_failed(error: Exception) -> tuple[State, str]:
    """Put a failed request into a state and a short sentence.

    >>> what_failed(ConnectionResetError())[0]
    'reset'
    """
    import socket
    import ssl

    import httpx2

    causes = list(_chain(error))
    root = next((c for c in causes if isinstance(c, (socket.gaierror, ssl.SSLError))), None)
    if isinstance(root, socket.gaierror):
        return "dns", t("its name is unknown here (DNS)")
    if isinstance(root, ssl.SSLCertVerificationError):
        return "tls", t("its certificate is not trusted ({why})", why=root.verify_message)
    # A line that is cut during the handshake is a reset, not a matter of certificates.
    if isinstance(root, ssl.SSLError) and not isinstance(root, (ssl.SSLEOFError, ssl.SSLSyscallError)):
        return "tls", t("no secure connection ({why})", why=root.reason or root)
    if isinstance(error, (httpx2.ConnectTimeout, httpx2.PoolTimeout)):
        return "connect", t("no connection within the time limit")
    if isinstance(error, (httpx2.ConnectError, httpx2.ProxyError)):
        return "connect", t("no connection ({why})", why=causes[-1])
    if isinstance(error, httpx2.TimeoutException):
        return "slow", t("no answer within the time limit")
    return "reset", t("the connection broke ({why})", why=str(error) or type(error).__name__)


def where_it_failed(url: str, error: Exception) -> tuple[State, str]:
    """Put a failed request for `url` into a state and a sentence, which names whoever was asked instead of its host.

    That is a proxy, or the storage that a hub hands over to.
    """
    import httpx2

    from trisent.weights.environment import proxy_for

    state, cause = what_failed(error)
    at = str(error.request.url) if isinstance(error, httpx2.RequestError) and error._request is not None else url
    variable, address = proxy_for(at)
    if variable and (state in ("connect", "dns") or isinstance(error, httpx2.ProxyError)):
        return "proxy", t("the proxy {proxy} of {variable}: {why}", proxy=address, variable=variable, why=cause)
    if (host := urlsplit(at).netloc) != urlsplit(url).netloc:
        return state, t("hands over to {host}, which does not answer: {why}", host=host, why=cause)
    return state, cause


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
