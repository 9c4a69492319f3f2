"""What people point `trisent extract` at: files and folders, as they lie on disks."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import pytest

import media_files
from trisent.errors import DataError
from trisent.features.sources import Found, find_sources


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def ids(found: Found) -> list[str]:
    return [source.id for source in found.sources]


def test_a_file_is_listened_to_whole_and_called_by_its_stem(tmp_path: Path) -> None:
    path = media_files.unicode_and_blank(tmp_path)
    (source,) = find_sources([path]).sources
    assert (source.path, source.utterances, source.id) == (path, None, "会议 é 1")
    with av.open(str(source.path)) as file:
        assert file.duration > 900_000


def test_a_folder_gives_all_media_below_it_and_nothing_else(tmp_path: Path) -> None:
    media_files.talk(tmp_path / "talk.mp4", seconds=0.2)
    touch(tmp_path, "a b/中文.MKV", "deep/er/x.wav", "odd.insv")
    touch(
        tmp_path, "notes.txt", "talk.srt", "frame.jpg", "README", "feat.pkl", ".hidden.mp4", ".git/x.mp4", "y.mp4.part"
    )
    found = find_sources([tmp_path])
    assert [s.path.relative_to(tmp_path).as_posix() for s in found.sources] == [
        "a b/中文.MKV",
        "deep/er/x.wav",
        "odd.insv",
        "talk.mp4",
    ]
    assert found.failures == ()


def test_numbers_are_ordered_as_numbers_whatever_the_disk_says(tmp_path: Path) -> None:
    touch(tmp_path, "10/b.mp4", "2/Clip10.mp4", "2/clip9.mp4", "2/clip1.mp4", "1/z.mp4")
    assert ids(find_sources([tmp_path])) == ["1/z", "2/clip1", "2/clip9", "2/Clip10", "10/b"]


def test_arguments_stay_in_the_order_given(tmp_path: Path) -> None:
    touch(tmp_path, "b.mp4", "a.mp4")
    assert ids(find_sources([tmp_path / "b.mp4", tmp_path / "a.mp4"])) == ["b", "a"]


def test_a_file_given_twice_is_one_source(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "a.mp4")
    found = find_sources([tmp_path / "a.mp4", tmp_path, tmp_path / "link.mp4"])
    assert [s.path for s in found.sources] == [tmp_path / "a.mp4"]


def test_equal_stems_get_the_folder_or_the_suffix_into_their_ids(tmp_path: Path) -> None:
    touch(tmp_path, "one/talk.mp4", "two/talk.mp4", "two/talk.wav", "two/other.mp4")
    files = [tmp_path / name for name in ("one/talk.mp4", "two/talk.mp4", "two/talk.wav", "two/other.mp4")]
    assert ids(find_sources(files)) == ["one/talk.mp4", "two/talk.mp4", "talk.wav", "other"]
    assert ids(find_sources([tmp_path])) == ["one/talk", "two/other", "two/talk.mp4", "two/talk.wav"]
    assert ids(find_sources([tmp_path / "one", tmp_path / "two"])) == [
        "one/talk.mp4",
        "other",
        "two/talk.mp4",
        "talk.wav",
    ]


def test_a_file_added_in_another_folder_leaves_the_ids_of_the_others_alone(tmp_path: Path) -> None:
    touch(tmp_path, "one/talk.mp4", "b.mp4")
    before = ids(find_sources([tmp_path]))
    touch(tmp_path, "two/talk.mp4", "talk.mp4", "one/b.mp4")
    assert set(before) < set(ids(find_sources([tmp_path])))


def test_links_are_followed_once_and_loops_end(tmp_path: Path) -> None:
    touch(tmp_path, "data/x.mp4", "elsewhere/y.mp4")
    (tmp_path / "data/loop").symlink_to(tmp_path / "data", target_is_directory=True)
    (tmp_path / "data/more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "data", target_is_directory=True)
    (tmp_path / "data/self.mp4").symlink_to(tmp_path / "data/self.mp4")
    found = find_sources([tmp_path / "data"])
    assert ids(found) == ["more/y", "self", "x"]  # the one that links to itself fails when it is decoded


@contextmanager
def as_nobody() -> Iterator[Path]:
    """Give a folder in the public temporary folder; root becomes a user whose rights count."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        for path in folder.rglob("*"):
            path.chmod(0o755)
        shutil.rmtree(folder)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="rights work otherwise on Windows")
@pytest.mark.parametrize("rights", [0o000, 0o400], ids=["may not be listed", "may be listed, not entered"])
def test_a_folder_that_may_not_be_read_is_a_failure_and_the_rest_is_found(rights: int) -> None:
    with as_nobody() as folder:
        touch(folder, "closed/sub/x.mp4", "open/y.mp4")
        (folder / "closed").chmod(rights)
        if os.geteuid() == 0:
            os.chown(folder / "closed", 65534, -1)
            os.seteuid(65534)
        found = find_sources([folder])
        assert ids(found) == ["open/y"]
        (failure,) = found.failures
        assert failure.path == str(folder / "closed")
        assert failure.reason == "Permission denied"


def test_a_file_that_is_not_there_is_a_failure_and_the_others_go_on(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    found = find_sources([tmp_path / "absent.mp4", tmp_path / "a.mp4"])
    assert ids(found) == ["a"]
    assert [(f.id, f.path, f.reason) for f in found.failures] == [
        ("absent", str(tmp_path / "absent.mp4"), "No such file or directory")
    ]


def test_a_folder_without_media_is_said_so(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    with pytest.raises(DataError, match="no video or sound in"):
        find_sources([tmp_path])
