"""What a pull would do is said before it is done, and nothing is fetched by saying it."""

import json
from pathlib import Path

import pytest

from trisent.errors import WeightsError
from trisent.weights import entry, plan, pull
from trisent.weights.part import Part
from trisent.weights.places import landing
from trisent.weights.plan import guides_table
from trisent.weights.planned import seconds_at_10_mbps
from unit.weights.hub_server import Fault, HubServer
from unit.weights.tiny import BERT

TINY = pytest.mark.usefixtures("tiny")


@pytest.fixture
def hub(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    bert = entry("bert-base-uncased")
    server.add_repo(bert.repo, BERT, revision=bert.revision)
    return server


def test_the_guides_table_is_computed_from_the_published_bytes() -> None:
    # by hand: 441,147,956 bytes x 8 / 10^7 = 352.9 s; 380,269,418 -> 304.2 s; 102,530,333 -> 82.0 s
    assert [(name, round(seconds, 1)) for name, _, seconds in guides_table()] == [
        ("bert-base-uncased", 352.9),
        ("wav2vec2-base", 304.2),
        ("resnet50", 82.0),
    ]


def test_without_a_probe_the_bytes_are_known_and_nobody_is_asked(server: HubServer) -> None:
    found = plan(["bert-base-uncased"], probe=False)
    assert found.left == 441_147_956
    assert found.seconds is None
    assert found.models[0].source == ""
    assert server.requests == []


@TINY
def test_a_plan_names_the_source_and_fetches_no_file(hub: HubServer, tmp_path: Path) -> None:
    [model] = plan(["bert-base-uncased"]).models
    assert hub.url.endswith(model.source)
    assert model.left == sum(map(len, BERT.values()))
    assert model.seconds is not None
    assert not [path for path in (tmp_path / "hf").rglob("*") if path.is_file()]


@TINY
def test_of_two_sources_the_one_that_has_it_is_named(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trisent.weights.hub.ENDPOINTS", ("http://no-such-host.invalid",))
    [model] = plan(["bert-base-uncased"]).models
    assert hub.url.endswith(model.source)
    assert {one.state for one in model.sources} == {"ok", "dns"}


@TINY
def test_a_plan_without_a_working_source_points_to_the_doctor(hub: HubServer) -> None:
    hub.faults = [Fault("status", times=99, status=503)]
    [model] = plan(["bert-base-uncased"]).models
    assert (model.source, model.seconds) == ("", None)
    assert "trisent weights doctor" in model.note


@TINY
@pytest.mark.usefixtures("hub")
def test_what_is_here_is_not_fetched_and_its_place_is_named() -> None:
    [weights] = pull(["bert-base-uncased"])
    found = plan(["bert-base-uncased"])
    assert (found.left, found.seconds, found.volumes) == (0, 0.0, ())
    assert {(file.state, file.folder) for file in found.models[0].files} == {("here", weights.folder)}


def test_a_part_that_was_begun_counts(tmp_path: Path) -> None:
    bert = entry("bert-base-uncased")
    file = bert.weights[0]
    part = Part(landing(bert, file), file.bytes, file.sha256)
    part.path.parent.mkdir(parents=True)
    part.path.write_bytes(bytes(1_000_000))
    assert tmp_path in part.path.parents
    found = plan(["bert-base-uncased"], probe=False)
    assert found.left == 441_147_956 - 1_000_000
    assert next(f.state for f in found.models[0].files if f.path == file.path) == "begun"


def test_too_small_a_disk_is_seen_on_the_volume_the_files_go_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10**6}))
    found = plan(["bert-base-uncased", "wav2vec2-base"], probe=False)
    [volume] = found.volumes
    assert volume.needed == 441_147_956 + 380_269_418
    assert not found.fits


def test_a_wheel_needs_its_bytes_on_the_line_and_more_on_the_disk() -> None:
    found = plan(["mtcnn"], probe=False)
    assert found.left == entry("mtcnn").wheel_bytes
    assert found.volumes[0].needed > 2 * found.left
    assert found.models[0].source == "package index"
    assert found.seconds is None


@pytest.mark.usefixtures("hub")
def test_an_unpinned_model_is_planned_by_what_the_hub_lists(hub: HubServer) -> None:
    hub.add_repo("FacebookAI/roberta-base", BERT)
    assert plan(["roberta-base"]).left == sum(map(len, BERT.values()))
    assert plan(["roberta-base"], probe=False).models[0].files == ()


def test_offline_nobody_is_asked(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRISENT_OFFLINE", "1")
    assert plan(["bert-base-uncased", "roberta-base"]).models[0].source == ""
    assert hub.requests == []


def test_an_unknown_name_gets_the_close_one_in_the_message() -> None:
    with pytest.raises(WeightsError, match="did you mean bert-base-uncased"):
        plan(["bert-base-uncase"])


@TINY
@pytest.mark.usefixtures("hub")
def test_a_plan_goes_through_json() -> None:
    document = json.loads(json.dumps(plan(["bert-base-uncased", "mtcnn", "resnet50"]).as_json()))
    assert [model["name"] for model in document["models"]] == ["bert-base-uncased", "mtcnn", "resnet50"]
    assert document["fits"] is True
    assert document["minutes_at_10_mbps"] == round(seconds_at_10_mbps(document["bytes"]) / 60, 1)


def test_an_unpinned_model_that_is_here_is_not_to_be_asked_for(hub: HubServer) -> None:
    hub.add_repo("FacebookAI/roberta-base", BERT)
    pull(["roberta-base"])
    [model] = plan(["roberta-base"]).models
    assert {file.path for file in model.files} == set(BERT)
    assert {file.state for file in model.files} == {"here"}
    assert model.left == 0
