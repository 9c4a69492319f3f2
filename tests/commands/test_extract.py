"""`trisent extract` as people type it; tiny checkpoints of the true architectures stand in for the real ones."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import media_files
from commands.conftest import Run
from trisent.features.store import FeatureStore
from unit.extractors import tiny


@pytest.fixture
def extractors(tmp_path: Path) -> list[str]:
    """Save three tiny encoders; return the options that name them."""
    for name in ("bert", "wav2vec", "resnet"):
        (tmp_path / "models" / name).mkdir(parents=True)
    tiny.bert(tmp_path / "models/bert")
    tiny.wav2vec(tmp_path / "models/wav2vec")
    tiny.resnet(tmp_path / "models/resnet")
    return ["--text", "models/bert", "--audio", "models/wav2vec", "--video", "models/resnet", "--workers", "0"]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Write two clips and a row without one, in the field's layout."""
    clips = tmp_path / "MOSI/Raw/some video"
    clips.mkdir(parents=True)
    media_files.talk(clips / "1.mp4", seconds=1.0)
    media_files.talk(clips / "2.mp4", seconds=1.5)
    (tmp_path / "MOSI/label.csv").write_text(
        "video_id,clip_id,text,label,mode\n"
        "some video,1,a good film,2.5,train\n"
        "some video,2,a bad film,-2,test\n"
        "some video,3,lost,0,test\n"
    )
    return tmp_path / "MOSI"


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_is_there_is_extracted_and_what_is_not_is_told(
    trisent: Run, tmp_path: Path, corpus: Path, extractors: list[str]
) -> None:
    done = trisent("extract", corpus, "--out", "out", *extractors)
    assert done.returncode == 1, done.stderr
    assert "2 utterances, 2 of them new" in done.stdout
    assert "failures: 1" in done.stderr
    assert "some video$_$3" in done.stderr
    assert "out/failures.jsonl" in done.stderr
    store = FeatureStore(tmp_path / "out")
    assert store.ids == ("some video$_$1", "some video$_$2")
    assert [store.utterance(i).sentiment for i in range(2)] == [2.5, -2.0]
    assert list(store.splits) == ["train", "test"]
    for modality, dim in (("text", 16), ("audio", 16), ("video", 256)):
        assert store.dims[modality] == dim
        assert len(store.features(0, modality).values) > 0


@pytest.mark.slow
def test_the_second_run_does_only_what_is_new(trisent: Run, corpus: Path, extractors: list[str]) -> None:
    words = ["extract", corpus, "--out", "out", "--json", *extractors]
    first = document(trisent(*words))
    assert (first["utterances"], first["extracted"], first["failed"]) == (2, 2, 1)
    media_files.talk(corpus / "Raw/some video/3.mp4", seconds=0.5)
    done = trisent(*words)
    assert done.returncode == 0, done.stderr
    second = document(done)
    assert (second["utterances"], second["extracted"], second["failed"]) == (3, 1, 0)
    third = document(trisent(*words))
    assert (third["extracted"], third["digest"]) == (0, second["digest"])


def test_json_is_alone_on_stdout_and_progress_is_on_stderr(trisent: Run, corpus: Path, extractors: list[str]) -> None:
    done = trisent("extract", corpus, "--out", "out", "--json", *extractors)
    found = document(done)
    assert found["dims"] == {"text": 16, "audio": 16, "video": 256}
    assert found["hours"] == pytest.approx(2.5 / 3600, rel=0.1)
    (failure,) = found["failures"]
    assert failure["id"] == "some video$_$3"
    assert "line 4" in failure["reason"]
    assert "extracting  2/2 clips" in done.stderr


def test_at_a_rate_sound_and_pictures_of_a_stretch_share_their_steps(
    trisent: Run, tmp_path: Path, extractors: list[str]
) -> None:
    media_files.write(tmp_path / "talk.mp4", pictures=media_files.greys(50), sound=media_files.tone(4.0))
    (tmp_path / "list.csv").write_text("path,start,end,text\ntalk.mp4,0.5,1.5,good\n")
    done = trisent("extract", "list.csv", "--out", "out", "--rate", "2", *extractors)
    assert done.returncode == 0, done.stderr
    store = FeatureStore(tmp_path / "out")
    for modality in ("audio", "video"):
        assert store.features(0, modality).mask.tolist() == [True, True]
    assert store.features(0, "audio").times.tolist() == store.features(0, "video").times.tolist()


def test_only_the_first_ten_failures_are_shown(trisent: Run, tmp_path: Path, extractors: list[str]) -> None:
    media_files.write(tmp_path / "here.mp4", pictures=media_files.greys(10), sound=media_files.tone(0.4))
    (tmp_path / "list.csv").write_text("path\nhere.mp4\n" + "".join(f"absent-{k}.mp4\n" for k in "abcdefghijklm"))
    done = trisent("extract", "list.csv", "--out", "out", *extractors)
    assert done.returncode == 1
    assert "failures: 13" in done.stderr
    assert "absent-j$_$0" in done.stderr
    assert "absent-k$_$0" not in done.stderr
    assert "and 3 more" in done.stderr


def test_a_dry_run_changes_nothing(trisent: Run, tmp_path: Path, corpus: Path, extractors: list[str]) -> None:
    done = trisent("extract", corpus, "--out", "out", "--dry-run", *extractors)
    assert done.returncode == 1  # the clip that is missing is missing now
    assert "some video$_$3" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["extract"], 2, "trisent extract --help"),
        (["extract", "a.mp4"], 2, "out"),
        (["extract", "a.mp4", "--out", "o", "--preset", "nonsense"], 2, "embedded, pretrained"),
        (["extract", "a.mp4", "--out", "o", "--layers", "first"], 2, "first"),
        (["extract", "a.mp4", "--out", "o", "--fps", "0"], 2, "fps must be above 0"),
        (["extract", "a.mp4", "--out", "o", "--frames", "half"], 2, "face, full"),
        (["extract", "a.mp4", "--out", "o", "--engine", "slurm"], 2, "local, ray"),
        (["extract", "a.mp4", "--out", "o", "--address", "auto"], 2, "--engine ray"),
        (["extract", "a.mp4", "--out", "o", "--text", "wav2vec"], 2, "for audio"),
        (["extract", "absent.csv", "--out", "o"], 1, "absent.csv"),
        (["extract", ".", "--out", "o"], 1, "no video or sound"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_one_line(words: list[str], code: int, says: str, trisent: Run) -> None:
    done = trisent(*words)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
