"""How trisent speaks HTTP: the system's certificates, no token ever, and one word for what went wrong."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from trisent.errors import WeightsError
from trisent.i18n import t

if TYPE_CHECKING:
    import ssl

    import httpx2

State = Literal["ok", "dns", "connect", "tls", "reset", "slow", "not-mirrored", "http", "not-a-hub", "no-pip", "disk"]

_CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_OFFLINE_VARIABLES = ("TRISENT_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


def client(*, connect_s: float = 8.0, read_s: float = 20.0) -> "httpx2.Client":
    """Open an HTTP client that trusts what the system trusts, and sends no credentials.

    A mirror is somebody else's computer: no Authorization header is ever set, whatever HF_TOKEN says.
    Redirects are left to the caller, because some of them mean "I do not have this file".
    """
    import httpx2

    return httpx2.Client(
        verify=_certificates(),
        follow_redirects=False,
        timeout=httpx2.Timeout(read_s, connect=connect_s),
        headers={"Accept-Encoding": "identity", "User-Agent": "trisent"},
    )


def _certificates() -> "ssl.SSLContext":
    bundles: dict[str, None] = {}  # several variables often name one bundle
    for variable in _CA_VARIABLES:
        if not (value := os.environ.get(variable)) or Path(value).is_dir():
            continue
        if not Path(value).is_file():
            msg = t(
                "{variable} names {path}, which does not exist. Correct or unset it.", variable=variable, path=value
            )
            raise WeightsError(msg)
        bundles[value] = None
    return _trusting(tuple(bundles))


@cache  # reading a bundle takes longer than fetching a small file
def _trusting(bundles: tuple[str, ...]) -> "ssl.SSLContext":
    import ssl

    import truststore

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for bundle in bundles:  # a company's own CA is added to the system's, it does not replace them
        context.load_verify_locations(bundle)
    return context


def offline(*, own_only: bool = False) -> str:
    """Return the name of the variable that forbids the network, "" when none does.

    `own_only` asks TRISENT_OFFLINE alone: the package index is no business of the hub's variables.
    """
    variables = _OFFLINE_VARIABLES[:1] if own_only else _OFFLINE_VARIABLES
    return next((v for v in variables if os.environ.get(v, "").strip().lower() in {"1", "true", "yes", "on"}), "")


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


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
