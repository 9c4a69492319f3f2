"""Read who signed a server's certificate, for the sentence that tells a person whose certificate to ask for.

This is the one handshake of trisent that proves nothing: it carries no request, nothing that comes of it is trusted,
and the connection is closed at once. Certificates are ASN.1 (RFC 5280); only the issuer's name is read.
"""

import ssl
from collections.abc import Iterator

_VERSION = 0xA0
_COMMON_NAME, _ORGANISATION = bytes([0x55, 4, 3]), bytes([0x55, 4, 10])  # OIDs 2.5.4.3 and 2.5.4.10


def issuer(host: str, port: int, *, timeout_s: float = 3.0) -> str:
    """Name the organisation and the common name that signed the certificate of `host`; "" when nobody can tell."""
    try:
        certificate = ssl.get_server_certificate((host, port), timeout=timeout_s)
        return issuer_of(ssl.PEM_cert_to_DER_cert(certificate))
    except (OSError, ValueError, IndexError):
        return ""


def issuer_of(certificate: bytes) -> str:
    """Name the issuer of a certificate in DER."""
    [(_, whole)] = _values(certificate)
    (_, to_be_signed), *_ = _values(whole)
    fields = [(tag, value) for tag, value in _values(to_be_signed) if tag != _VERSION]
    _serial, _algorithm, (_, name), *_ = fields
    names: dict[bytes, str] = {}
    for _, attributes in _values(name):
        for _, attribute in _values(attributes):
            (_, oid), (_, text) = _values(attribute)
            names[oid] = text.decode("utf-8", errors="replace")
    return ", ".join(names[oid] for oid in (_ORGANISATION, _COMMON_NAME) if oid in names)


def _values(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Split DER into (tag, value) pairs of one level."""
    at = 0
    while at < len(data):
        tag, length, start = data[at], data[at + 1], at + 2
        if length & 0x80:  # the length itself is of several bytes
            count = length & 0x7F
            start += count
            length = int.from_bytes(data[at + 2 : start], "big")
        yield tag, data[start : start + length]
        at = start + length
