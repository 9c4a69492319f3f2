"""Files that appear whole or not at all."""

import errno
from pathlib import Path

import pytest

from trisent.files import write_whole


def test_a_full_disk_is_told_with_the_name_of_the_file_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:  # as the system does it: without a name
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_whole(tmp_path, {"a.json": b"1", "b.json": b"2"})
    assert caught.value.filename == str(tmp_path / "a.json")
    assert list(tmp_path.iterdir()) == []
