"""Connect to whichever address of a name answers, within one time limit for all of them.

A public hub has eight addresses; where a wall swallows the packets to it, trying one after another takes eight times
the limit. Only the TCP connection is made here.
"""

import select
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import httpcore2

_NEXT_AFTER_S = 0.25  # as browsers do: the next address is tried beside the first when that has not answered by then

_answered: dict[tuple[str, int], str] = {}  # the address that answered last


class Backend(httpcore2.SyncBackend):
    """httpcore's own way to connect, with the choice of the address before it."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,  # Any: httpcore's own type is not public
    ) -> httpcore2.NetworkStream:
        """Connect to `host`, or raise what httpcore raises."""
        start = time.monotonic()
        address = _answered.pop((host, port), None)
        if address is None:
            with suppress(OSError):  # let httpcore say what is wrong, in its own exceptions
                address = _first_to_answer(host, port, within_s=timeout)
                if address is None:
                    raise httpcore2.ConnectTimeout
        left = None if timeout is None else max(0.1, timeout - (time.monotonic() - start))
        stream = super().connect_tcp(address or host, port, left, local_address, socket_options)
        if address:
            _answered[host, port] = address
        return stream


def _first_to_answer(host: str, port: int, *, within_s: float | None) -> str | None:
    """Return the address of `host` that accepts a connection first; `host` when it has one address; None for none.

    Raises:
        OSError: the name is unknown, or every address refuses.
    """
    addresses = list(dict.fromkeys(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
    if len(addresses) < 2 or within_s is None:
        return host
    deadline = time.monotonic() + within_s
    waiting: dict[socket.socket, str] = {}
    refusal: OSError | None = None
    try:
        while waiting or addresses:
            if addresses:
                family, kind, protocol, _, where = addresses.pop(0)
                try:
                    waiting[_begun(socket.socket(family, kind, protocol), where)] = str(where[0])
                except OSError as error:  # no IPv6 here, for example
                    refusal = error
                    continue
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            _, ready, failed = select.select([], waiting, waiting, min(left, _NEXT_AFTER_S) if addresses else left)
            for one in {*ready, *failed}:
                if not (code := one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)):
                    return waiting[one]
                refusal = OSError(code, waiting.pop(one))
                one.close()
    finally:
        for one in waiting:
            one.close()
    raise refusal or OSError(host)


def _begun(one: socket.socket, where: Any) -> socket.socket:  # Any: what getaddrinfo returns differs by family
    one.setblocking(False)
    try:
        with suppress(BlockingIOError):
            one.connect(where)
    except OSError:
        one.close()
        raise
    return one
