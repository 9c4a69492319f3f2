"""A file that breaks the worker which decodes it costs itself and nothing else."""

import shutil
from pathlib import Path

import pytest

from trisent.features.extract import extract
from trisent.features.store import FeatureStore
from unit.features.corpus import settings

# Python imports this by itself when it starts: in the worker, decoding the file "bad" ends the process.
_CRASHES = """
import os
import av
_open = av.open
def broken(file, *args, **kwargs):
    if "0001" in str(file) and "video 2" in str(file):
        os.kill(os.getpid(), 11)
    return _open(file, *args, **kwargs)
av.open = broken
"""


@pytest.mark.slow
def test_a_file_that_crashes_the_decoder_is_in_the_ledger_and_its_neighbours_in_the_store(
    clips: Path, named: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Path(shutil.copytree(clips, tmp_path / "data"))
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(_CRASHES)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    summary = extract([data], tmp_path / "out", settings(named, workers=1))
    (failure,) = summary.failures
    assert failure.id == "video 2$_$0001"
    assert "decoding it broke the worker" in failure.reason
    assert "signal 11" in failure.reason
    assert len(FeatureStore(summary.out)) == 11
