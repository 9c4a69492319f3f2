"""What the doctor reads out of the variables, before anything is imported that would die of them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from trisent.weights.environment import look_at_environment, proxy_for
from trisent.weights.finding import Finding
from unit.weights.tiny import environment

_OF_THE_MACHINE = (
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "HF_TOKEN_PATH",
    "HF_HUB_DISABLE_XET",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN",
    "HF_HUB_DOWNLOAD_TIMEOUT",
    "HF_HUB_ETAG_TIMEOUT",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "TRISENT_CA_BUNDLE",
)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in _OF_THE_MACHINE:
        monkeypatch.delenv(variable, raising=False)


def of(subject: str) -> Finding:
    return next(finding for finding in look_at_environment() if finding.subject == subject)


def test_a_clean_environment_is_one_line_that_says_so() -> None:
    assert [(finding.state, finding.fix) for finding in look_at_environment()] == [("ok", "")]


@pytest.mark.skipif(os.name == "nt", reason="the fixes are spelt for a POSIX shell")
@pytest.mark.parametrize(
    ("variable", "value", "fix"),
    [
        ("HF_ENDPOINT", "https://hf-mirror.com ", "export HF_ENDPOINT=https://hf-mirror.com"),
        ("HF_ENDPOINT", "hf-mirror.com ", "export HF_ENDPOINT=https://hf-mirror.com"),
        ("HF_ENDPOINT", "https:/hf-mirror.com", "export HF_ENDPOINT=https://hf-mirror.com"),
        ("HF_ENDPOINT", "hf-mirror.com", "export HF_ENDPOINT=https://hf-mirror.com"),
        ("HF_ENDPOINT", "", "unset HF_ENDPOINT"),
        ("HF_HUB_DOWNLOAD_TIMEOUT", "2.5", "export HF_HUB_DOWNLOAD_TIMEOUT=2"),
        ("HF_HUB_ETAG_TIMEOUT", "ten", "export HF_HUB_ETAG_TIMEOUT=10"),
        ("ALL_PROXY", "socks://127.0.0.1:1080", "export ALL_PROXY=socks5h://127.0.0.1:1080"),
        ("https_proxy", "htp://127.0.0.1:7890", "export https_proxy=http://127.0.0.1:7890"),
        ("HTTPS_PROXY", "http://127.0.0.1:port", "unset HTTPS_PROXY"),
        ("HTTPS_PROXY", "127.0.0.1：7890", "unset HTTPS_PROXY"),  # as a Chinese keyboard types it
        ("HTTP_PROXY", "http://", "unset HTTP_PROXY"),
    ],
)
def test_a_value_that_ends_other_programs_is_mended_by_one_line(
    variable: str, value: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    finding = of(variable)
    assert (finding.state, finding.fix) == ("config", fix)


@pytest.mark.parametrize("variable", ["HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT"])
def test_huggingface_hub_does_end_at_import_with_such_a_value(variable: str) -> None:
    code = "from huggingface_hub import hf_hub_download"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, variable: "2.5"}, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert variable not in done.stderr.splitlines()[-1]  # its last word does not name the culprit


def test_a_socks_proxy_needs_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert of("ALL_PROXY").fix == "pip install socksio"


def test_a_certificate_file_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "gone.pem"))
    finding = of("REQUESTS_CA_BUNDLE")
    assert finding.state == "tls"
    assert "gone.pem" in finding.detail


def test_a_token_and_a_mirror_are_a_leak_of_huggingface_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_ENDPOINT", "https://hf-mirror.com")
    finding = of("HF_TOKEN")
    assert (finding.state, "hf-mirror.com" in finding.detail) == ("token", True)
    assert "HF_HUB_DISABLE_IMPLICIT_TOKEN" in finding.fix
    assert "hf_secret" not in repr(finding)


def test_a_token_that_lies_in_a_file_is_seen_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text("hf_secret")
    monkeypatch.setenv("HF_ENDPOINT", "https://hf-mirror.com")
    assert of("HF_TOKEN").state == "token"


def test_a_proper_address_with_a_slash_at_its_end_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://huggingface.co/")
    assert [finding.state for finding in look_at_environment()] == ["ok"]


@pytest.mark.parametrize("endpoint", ["https://huggingface.co", "https://hub-ci.huggingface.co"])
def test_a_token_for_the_hub_itself_is_no_leak(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert [finding.state for finding in look_at_environment()] == ["ok"]


def test_a_token_that_is_held_back_is_no_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_ENDPOINT", "https://hf-mirror.com")
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    assert "token" not in {finding.state for finding in look_at_environment()}


def test_xet_and_a_mirror_do_not_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://hf-mirror.com")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    assert "HF_HUB_DISABLE_XET" in of("HF_HUB_DISABLE_XET").fix
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    assert "xet" not in {finding.state for finding in look_at_environment()}


def test_the_proxy_of_an_address_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "localhost,.example.org")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:7890")
    assert proxy_for("https://huggingface.co/x") == ("HTTPS_PROXY", "http://127.0.0.1:7890")
    assert proxy_for("https://hub.example.org/x") == ("", "")
    assert proxy_for("http://huggingface.co/x") == ("", "")


def test_looking_at_the_machine_takes_under_a_second_and_imports_no_library() -> None:
    code = """
import sys, time
from trisent.weights.doctor import examine_machine
examine_machine()
print([m for m in ("torch", "transformers", "huggingface_hub", "httpx2") if m in sys.modules], time.process_time())
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    loaded, _, seconds = done.stdout.rpartition(" ")
    assert loaded == "[]"
    assert float(seconds) < 1.0  # of processor time: the machine that tests may be busy with something else


def test_no_message_of_the_doctor_offers_to_switch_verification_off() -> None:
    package = Path(__file__).resolve().parents[3] / "src" / "trisent" / "weights"
    text = "\n".join(path.read_text(encoding="utf-8") for path in package.glob("*.py"))
    assert not re.search(r"verify=False|CERT_NONE|_create_unverified_context|check_hostname = False", text)
