"""Which place wins and why, what is brought together, and what may be removed."""

import hashlib
import os
import socket
from pathlib import Path

import pytest

from trisent.errors import WeightsError
from trisent.weights import adopt, ensure, entry, find, pull, remove, verify, where
from trisent.weights.gather import gather
from unit.weights.hub_server import HubServer
from unit.weights.tiny import BERT, BERT_BIN, MTCNN, RESNET_PTH, place

pytestmark = pytest.mark.usefixtures("tiny")

NAME = "bert-base-uncased"
REPO = "google-bert/bert-base-uncased"
REVISION = "86b5e0934494bd15c9632b12f734a8a67f723594"
links = pytest.mark.skipif(os.name == "nt", reason="the cache has links only where the system allows them")


def repo_folder(tmp_path: Path, repo: str = REPO) -> Path:
    return tmp_path / "hf/hub" / f"models--{repo.replace('/', '--')}"


def hub_cache(tmp_path: Path, files: dict[str, bytes], *, repo: str = REPO, revision: str = REVISION) -> Path:
    """Lay files into the Hugging Face cache as its library does: blobs named by digest, links in the snapshot."""
    folder = repo_folder(tmp_path, repo)
    snapshot = place(folder / "snapshots" / revision, {})
    for path in ("blobs", "refs"):
        (folder / path).mkdir(exist_ok=True)
    (folder / "refs/main").write_text(revision, encoding="utf-8")
    for name, data in files.items():
        is_large = name.endswith((".safetensors", ".bin"))
        git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        digest = hashlib.sha256(data).hexdigest() if is_large else git
        (folder / "blobs" / digest).write_bytes(data)
        (snapshot / name).symlink_to(os.path.relpath(folder / "blobs" / digest, snapshot))
    return snapshot


def states(name: str = NAME) -> list[tuple[str, str, bool]]:
    return [(place.kind, place.state, place.wins) for place in where([name])[0].places]


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        msg = "a socket was opened"
        raise AssertionError(msg)

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, forbidden)
    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, forbidden)


def test_on_an_empty_machine_every_place_is_named_and_absent() -> None:
    (found,) = where([NAME])
    assert [place.kind for place in found.places] == ["models", "hub cache", "hub cache", "trisent"]
    assert {place.state for place in found.places} == {"absent"}
    assert found.winner is None
    assert "trisent weights pull bert-base-uncased" in found.why


def test_resnet50_is_also_looked_for_among_torchs_checkpoints(tmp_path: Path) -> None:
    place(tmp_path / "torch/hub/checkpoints", {"r.pth": RESNET_PTH})
    assert ("torch", "right", True) in states("resnet50")


def test_a_folder_placed_by_hand_goes_before_the_caches(tmp_path: Path) -> None:
    hub_cache(tmp_path, BERT)
    place(Path("models") / NAME, {**BERT, "model.safetensors": b"mine"})
    assert states()[:2] == [("models", "another version", True), ("hub cache", "right", False)]
    assert where([NAME])[0].winner == Path.cwd() / "models" / NAME


def test_an_incomplete_folder_placed_by_hand_is_used_by_nobody_and_says_what_it_lacks(tmp_path: Path) -> None:
    hub_cache(tmp_path, BERT)
    place(Path("models") / NAME, {"model.safetensors": BERT["model.safetensors"]})
    (found,) = where([NAME])
    assert found.places[0].state == "incomplete"
    assert "config.json" in found.places[0].detail
    assert found.winner is None


def test_damaged_incomplete_and_other_revisions_are_told_apart(tmp_path: Path) -> None:
    hub_cache(tmp_path, {**BERT, "model.safetensors": b"Y" * 3000}, revision="d" * 40)
    place(repo_folder(tmp_path) / "snapshots" / REVISION, {**BERT, "vocab.txt": b"?"})
    place(repo_folder(tmp_path) / "snapshots" / ("e" * 40), {"config.json": b"{}"})
    found = {place.folder.name: place for place in where([NAME])[0].places}
    assert found[REVISION].state == "damaged"
    assert "vocab.txt" in found[REVISION].detail
    assert found["d" * 40].state == "another version"
    assert found["e" * 40].state == "incomplete"
    assert "model.safetensors" in found["e" * 40].detail


@pytest.mark.parametrize("by_hand", [None, "right", "mine", "incomplete"])
@pytest.mark.parametrize("cache", [None, "right", "damaged", "old name", "other revision"])
def test_where_says_what_find_does(by_hand: str | None, cache: str | None, tmp_path: Path) -> None:
    files = {"right": BERT, "mine": {**BERT, "model.safetensors": b"m"}, "incomplete": {"model.safetensors": b"W"}}
    if by_hand:
        place(Path.cwd() / "models" / NAME, files[by_hand])
    if cache == "damaged":
        place(repo_folder(tmp_path) / "snapshots" / REVISION, {**BERT, "config.json": b"?"})
    elif cache == "other revision":
        hub_cache(tmp_path, {**BERT, "model.safetensors": b"Y" * 3000}, revision="d" * 40)
    elif cache:
        hub_cache(tmp_path, BERT, repo=NAME if cache == "old name" else REPO)
    try:
        weights = find(NAME)
    except WeightsError:
        weights = None
    assert where([NAME])[0].winner == (weights and weights.folder)


@links
@pytest.mark.parametrize("repo", [REPO, NAME])
def test_a_cache_the_hub_library_made_is_used_and_nothing_is_fetched_or_stored_again(
    repo: str,
    tmp_path: Path,
    no_sockets: None,  # noqa: ARG001
) -> None:
    snapshot = hub_cache(tmp_path, BERT, repo=repo)
    before = sorted(p for p in (tmp_path / "hf").rglob("*") if p.is_file() and not p.is_symlink())
    assert ensure(NAME).folder == pull([REPO])[0].folder == snapshot
    assert sorted(p for p in (tmp_path / "hf").rglob("*") if p.is_file() and not p.is_symlink()) == before


def test_a_cache_without_links_as_on_windows_is_used_too(tmp_path: Path, no_sockets: None) -> None:  # noqa: ARG001
    snapshot = place(repo_folder(tmp_path) / "snapshots" / REVISION, BERT)
    assert pull([NAME])[0].folder == snapshot


@links
def test_of_a_cache_under_the_old_name_only_the_missing_file_is_fetched(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = hub_cache(tmp_path, {k: v for k, v in BERT.items() if k != "config.json"}, repo=NAME)
    server.add_repo(REPO, BERT, revision=REVISION)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    assert pull([NAME])[0].folder == snapshot
    assert len(server.gets()) == 1
    assert server.gets("config.json") == [""]
    assert not repo_folder(tmp_path).exists()


@links
def test_what_lies_in_another_revision_is_linked_and_not_fetched(
    tmp_path: Path,
    no_sockets: None,  # noqa: ARG001
) -> None:
    """Between two commits of a repository mostly only a README has changed."""
    other = hub_cache(tmp_path, {**BERT, "vocab.txt": b"changed"}, revision="d" * 40)
    place(Path("models") / NAME, {"vocab.txt": BERT["vocab.txt"]})
    weights = pull([NAME])[0]
    assert weights.pinned
    assert weights.folder.name == REVISION
    assert (weights.folder / "model.safetensors").samefile(other / "model.safetensors")


def test_a_persons_file_is_copied_and_never_linked(tmp_path: Path, no_sockets: None) -> None:  # noqa: ARG001
    folder = place(Path("models") / NAME, BERT)
    (folder / "config.json").unlink()
    place(repo_folder(tmp_path) / "snapshots" / REVISION, {"config.json": BERT["config.json"]})
    weights = pull([NAME])[0]
    assert tmp_path / "hf" in weights.folder.parents
    (folder / "model.safetensors").write_bytes(b"trained further")
    assert verify([NAME])[0][1] == "not the catalog's"
    assert (weights.folder / "model.safetensors").read_bytes() == BERT["model.safetensors"]


def test_gathering_does_not_spread_damage(tmp_path: Path) -> None:
    place(Path("models") / NAME, {**BERT, "model.safetensors": b"X" * 3000})
    gather(entry(NAME))
    assert not list((tmp_path / "hf").rglob("model.safetensors"))


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "TRISENT_OFFLINE"])
def test_offline_no_command_opens_a_socket(
    variable: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    no_sockets: None,  # noqa: ARG001
) -> None:
    from trisent.weights import export

    monkeypatch.setenv(variable, "1")
    with pytest.raises(WeightsError, match=f"{variable} forbids"):
        pull([NAME])
    adopt([place(tmp_path / "stick", BERT)])
    for use in (find, ensure):
        assert use(NAME) is not None
    verify([NAME])
    where([NAME])
    export(tmp_path / "out", [NAME])
    remove([NAME])
    assert find(NAME) is None


def test_a_machine_of_blanks_and_chinese_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HF_HOME", "TORCH_HOME", "TRISENT_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / f"我的 缓存 {variable}"))
    adopt([place(tmp_path / "U 盘", {**BERT, **MTCNN, "r": RESNET_PTH})])
    for name in (NAME, "mtcnn", "resnet50"):
        (found,) = where([name])
        assert found.winner is not None
        assert "我的 缓存" in str(found.winner)


def test_a_dry_run_says_what_would_go_and_leaves_it(tmp_path: Path) -> None:
    adopt([place(tmp_path / "stick", BERT)])
    doomed = remove([NAME], dry_run=True)
    assert sum(one.bytes for one in doomed) == sum(map(len, BERT.values()))
    assert all(one.shared for one in doomed)
    assert find(NAME) is not None


@links
@pytest.mark.parametrize("repo", [REPO, NAME])
def test_removing_from_the_hubs_cache_takes_blobs_and_pointers_along(repo: str, tmp_path: Path) -> None:
    hub_cache(tmp_path, BERT, repo=repo)
    removed = remove([NAME])
    assert sum(one.bytes for one in removed) == sum(map(len, BERT.values()))
    assert not repo_folder(tmp_path, repo).exists()


@links
def test_what_another_revision_needs_stays(tmp_path: Path) -> None:
    hub_cache(tmp_path, BERT)
    other = hub_cache(tmp_path, {"model.safetensors": BERT["model.safetensors"], "README.md": b"#"}, revision="d" * 40)
    # The other one holds the catalog's weights as well, under a commit of its own: only what is the catalog's goes.
    (other / "model.safetensors").rename(other / "renamed.safetensors")
    remove([NAME])
    assert (other / "renamed.safetensors").read_bytes() == BERT["model.safetensors"]
    assert (other / "README.md").read_bytes() == b"#"


def test_nothing_of_a_persons_is_removed(tmp_path: Path) -> None:
    folder = place(Path("models") / NAME, BERT)
    torch = place(tmp_path / "torch/hub/checkpoints", {"r.pth": b"other bytes" * 9, "mine.pth": RESNET_PTH})
    own = place(tmp_path / "home/weights/mtcnn", {**MTCNN, "notes.txt": b"mine"})
    remove([NAME, "resnet50", "mtcnn"])
    assert {p.name for p in folder.iterdir()} == set(BERT)
    assert {p.name for p in torch.iterdir()} == {"r.pth", "mine.pth"}
    assert {p.name for p in own.iterdir()} == {"notes.txt"}


def test_what_a_broken_download_left_goes_along(tmp_path: Path) -> None:
    snapshot = place(repo_folder(tmp_path) / "snapshots" / REVISION, {})
    place(snapshot, {".model.safetensors.68d45e234eb4.part": b"x" * 99, ".model.safetensors.lock": b""})
    assert sum(one.bytes for one in remove([NAME])) == 99
    assert not repo_folder(tmp_path).exists()


def test_without_the_shared_caches_only_trisents_own_is_removed(tmp_path: Path) -> None:
    adopt([place(tmp_path / "stick", {**BERT, **MTCNN})])
    remove([NAME, "mtcnn"], shared=False)
    assert find(NAME) is not None
    assert find("mtcnn") is None
    assert not (tmp_path / "home/weights/mtcnn").exists()


def test_both_forms_of_the_weights_are_removed(tmp_path: Path) -> None:
    place(repo_folder(tmp_path) / "snapshots" / REVISION, {**BERT, "pytorch_model.bin": BERT_BIN})
    remove([NAME])
    assert not repo_folder(tmp_path).exists()


def test_a_repository_outside_the_catalog_is_shown_and_removed_by_its_first_use(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add_repo("someone/something", BERT)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    weights = pull(["someone/something"])[0]
    assert where(["someone/something"])[0].winner == weights.folder
    (weights.folder / "vocab.txt").write_bytes(b"mine now")
    removed = remove(["someone/something"])
    assert {one.path.name for one in removed if not one.path.name.startswith(".")} == set(BERT) - {"vocab.txt"}
    assert [p.name for p in weights.folder.iterdir() if not p.name.startswith(".")] == ["vocab.txt"]
    assert tmp_path in weights.folder.parents


def test_a_name_nobody_knows_is_refused() -> None:
    for use in (where, remove):
        with pytest.raises(WeightsError, match="did you mean bert-base-uncased"):
            use(["bert-base-uncase"])
