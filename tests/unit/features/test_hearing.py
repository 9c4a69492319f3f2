"""Files that are listened to: their utterances, what is remembered, and what is not media at all."""

import shutil
from pathlib import Path

import pytest

import media_files as media
from trisent.features.hearing import fingerprint, hear, heard_before
from trisent.features.work import Source
from trisent.samples import TALK
from trisent.types import no_progress


@pytest.mark.embedded
@pytest.mark.slow
def test_sentences_get_ids_of_their_file_and_are_heard_only_once(tmp_path: Path) -> None:
    talk = Source(Path(shutil.copy(TALK, tmp_path / "talk 1.mp4")), None, "talk 1")
    (told,), failures = hear([talk], tmp_path / "heard", workers=0, on_progress=no_progress)
    assert failures == []
    assert [u.id for u in told.utterances or ()] == [f"talk 1$_${k}" for k in range(5)]
    assert told.sound
    heard: list[object] = []
    (again,), _ = hear([talk], tmp_path / "heard", workers=0, on_progress=lambda *told: heard.append(told))
    assert again == told
    assert heard == []
    copy = Source(Path(shutil.copy(TALK, tmp_path / "other.mp4")), None, "other")
    assert [u.text for u in heard_before(copy, tmp_path / "heard").utterances or ()] == [
        u.text for u in told.utterances or ()
    ]


@pytest.mark.embedded
def test_a_tone_has_no_speaker_and_what_is_no_media_is_a_failure(tmp_path: Path) -> None:
    tone = media.write(tmp_path / "tone.mp4", pictures=media.greys(50), sound=media.tone(2.0))
    (tmp_path / "page.mp4").write_text("<html>not found</html>")
    sources = [Source(tone, None, "tone"), Source(tmp_path / "page.mp4", None, "page")]
    told, (failure,) = hear(sources, tmp_path / "heard", workers=0, on_progress=no_progress)
    assert [(s.id, s.sound, [u.text for u in s.utterances or ()]) for s in told] == [("tone", False, [""])]
    assert failure.id == "page"


def test_a_fingerprint_stays_with_the_content_and_not_with_the_name(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"x" * 200_000)
    shutil.copy(a, b)
    assert fingerprint(a) == fingerprint(b)
    b.write_bytes(b"x" * 199_999 + b"y")
    assert fingerprint(a) != fingerprint(b)


def test_a_download_that_was_completed_has_another_fingerprint_than_before_though_size_and_ends_are_the_same(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"x" * 400_000 + bytes(200_000) + b"x" * 400_000)
    before = fingerprint(path)
    path.write_bytes(b"x" * 1_000_000)
    assert fingerprint(path) != before
