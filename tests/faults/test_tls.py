"""Certificates: trusted, untrusted, expired, of another name; made by the openssl command for each run."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from faults.fetching import DATA, MB, QUICK, fetch
from faults.server import Fault, FaultServer, fault_server
from trisent.errors import WeightsError
from trisent.weights.sources import SourcesFailedError

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")


def _openssl(folder: Path, command: str) -> None:
    subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a certificate authority, ca.pem, and three certificates it signed: good, expired, other."""
    folder = tmp_path_factory.mktemp("ca")
    key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    _openssl(folder, f"req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=Campus")
    for name, alternative, days in (("good", "IP:127.0.0.1", 2), ("expired", "IP:127.0.0.1", 0),
                                    ("other", "DNS:hub.example", 2)):  # fmt: skip
        _openssl(folder, f"req -new {key} -keyout {name}.key -out {name}.csr -subj /CN={name}")
        (folder / "names.txt").write_text(f"subjectAltName={alternative}\n")
        _openssl(folder, f"x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {days} "
                         f"-extfile names.txt -out {name}.pem")  # fmt: skip
    return folder


@contextmanager
def tls_server(authority: Path, name: str) -> Iterator[FaultServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / f"{name}.pem", authority / f"{name}.key")
    with fault_server({"/f": DATA}, tls=context) as running:
        yield running


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_an_authority_named_by_a_variable_is_trusted(
    variable: str, authority: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(authority / "ca.pem"))
    with tls_server(authority, "good") as server:
        fetch(place, f"{server.url}/f")


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("good", "its certificate is not trusted .*issuer"),
        ("expired", "its certificate is not trusted .*expired"),
        ("other", "its certificate is not trusted .*mismatch"),
    ],
)
def test_a_certificate_that_proves_nothing_is_refused_before_a_byte(
    name: str, cause: str, authority: Path, server: FaultServer, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name != "good":
        monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    with tls_server(authority, name) as bad:
        with pytest.raises(SourcesFailedError, match=cause):
            fetch(place, f"{bad.url}/f")
        fetch(place, f"{bad.url}/f", f"{server.url}/f")
        assert bad.asked == []
        assert bad.sent == 0


def test_no_variable_and_no_argument_switches_the_check_off(
    authority: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HF_HUB_DISABLE_SSL_VERIFY", "PYTHONHTTPSVERIFY", "CURL_INSECURE"):
        monkeypatch.setenv(variable, "0" if variable.startswith("PYTHON") else "1")
    with tls_server(authority, "good") as server, pytest.raises(SourcesFailedError, match="not trusted"):
        fetch(place, f"{server.url}/f")


def test_a_bundle_that_does_not_exist_is_named(
    server: FaultServer, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/corp.pem")
    with pytest.raises(WeightsError, match=r"REQUESTS_CA_BUNDLE names .*corp\.pem, which does not exist"):
        fetch(place, f"{server.url}/f")


def test_a_bundle_that_holds_no_certificates_is_named(
    server: FaultServer, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "corp.pem").write_text("<html>log in</html>")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "corp.pem"))
    with pytest.raises(WeightsError, match=r"SSL_CERT_FILE names .*corp\.pem, which holds no certificates"):
        fetch(place, f"{server.url}/f")


def test_cuts_and_resets_under_tls_are_continued(authority: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    with tls_server(authority, "good") as server:
        server.faults = [Fault("cut", after=MB), Fault("reset", after=MB), Fault("refuse")]
        fetch(place, f"{server.url}/f")
        assert server.sent <= 1.1 * len(DATA)


def test_a_handshake_that_is_reset_is_tried_again_and_not_taken_for_a_bad_certificate(
    server: FaultServer, place: Path
) -> None:
    import socket
    import struct
    import threading

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        tried = []

        def slam() -> None:
            for _ in range(QUICK.connect_tries):
                connection, _ = listener.accept()
                tried.append(connection.recv(1))
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()

        thread = threading.Thread(target=slam, daemon=True)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/f"
        fetch(place, url, f"{server.url}/f")
        with pytest.raises(SourcesFailedError, match="no connection"):
            fetch(place.with_name("g"), url)
    assert len(tried) == QUICK.connect_tries
