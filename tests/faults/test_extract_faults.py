"""An extraction that is killed, and one that meets broken files: nothing is lost, nothing is there twice, it ends."""

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

import media_files as media
from trisent.features.extract import extract
from trisent.features.store import FeatureStore
from unit.features.corpus import corpus, encoders, settings, write_labels

pytestmark = pytest.mark.slow

_KILLS, _MUTANTS = 10, 200

# Small jobs and shards, so that a kill falls among many of both.
_EXTRACT = """
    import json, sys
    from pathlib import Path
    from unit.features.corpus import settings
    from trisent.features import assembly, extract
    assembly._UTTERANCES_A_SHARD, extract.JOB = 8, 4
    data, out, named = sys.argv[1:]
    print(extract.extract([Path(data)], Path(out), settings(json.loads(named), workers=2)).digest)
"""


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give three tiny encoders as settings name them."""
    return encoders(tmp_path_factory.mktemp("encoders"))


def _start(script: Path, data: Path, out: Path, named: Mapping[str, str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "TRISENT_OFFLINE": "1"}
    command = [sys.executable, str(script), str(data), str(out), json.dumps(named)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def test_killed_ten_times_at_random_it_ends_with_the_same_store(named: dict[str, str], tmp_path: Path) -> None:
    data = corpus(tmp_path / "data", clips=40)
    victim = data / "Raw" / "video 3" / "0001.mp4"
    victim.write_bytes(victim.read_bytes()[:-2000])  # the ledger must survive as well
    script = tmp_path / "run.py"
    script.write_text(textwrap.dedent(_EXTRACT))
    begun_s = time.monotonic()
    undisturbed = _start(script, data, tmp_path / "whole", named).communicate()[0].strip()
    whole_s = time.monotonic() - begun_s
    assert len(undisturbed) == 64
    draw = random.Random(4)
    out, kills, steps = tmp_path / "out", 0, []
    while kills < _KILLS:
        process = _start(script, data, out, named)
        try:
            process.wait(timeout=draw.uniform(0.3, 1.0) * whole_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate()
        steps.append(sorted(p.name for p in (out / "text").glob("*.safetensors")))
        if process.returncode == 0:  # done before it could be killed: begin again
            shutil.rmtree(out)
            steps.clear()
    finished = _start(script, data, out, named).communicate()[0].strip()
    assert finished == undisturbed
    assert all(set(earlier) <= set(later) for earlier, later in itertools.pairwise(steps))
    assert [f.id for f in FeatureStore(out).failures()] == ["video 3$_$0001"]
    FeatureStore(out).verify()


def test_two_hundred_broken_files_each_end_in_the_store_or_in_the_ledger(named: dict[str, str], tmp_path: Path) -> None:
    raw = tmp_path / "data" / "Raw" / "v"
    raw.mkdir(parents=True)
    draw = random.Random(7)
    wholes = _wholes(tmp_path)
    rows = []
    for k in range(_MUTANTS):
        source = wholes[k % len(wholes)]
        (raw / f"{k:04d}{source.suffix}").write_bytes(_mutated(source.read_bytes(), wholes, draw))
        rows.append(["v", f"{k:04d}", "a good film", 0, "train"])
    write_labels(tmp_path / "data", rows)
    begun_s = time.monotonic()
    summary = extract([tmp_path / "data"], tmp_path / "out", settings(named, workers=2))
    store = FeatureStore(summary.out)
    failed = {failure.id: failure.reason for failure in summary.failures}
    assert set(store.ids) | set(failed) == {f"v$_${k:04d}" for k in range(_MUTANTS)}
    assert not set(store.ids) & set(failed)
    assert 20 < len(store) < _MUTANTS  # some mutants still play, others do not
    assert all(reason and "\n" not in reason for reason in failed.values())
    assert time.monotonic() - begun_s < 20 * _MUTANTS  # 20 s a file is called a hang


def _wholes(folder: Path) -> list[Path]:
    """Make a second of video in six kinds of file."""
    pictures, sound = media.greys(25, width=96, height=64), media.tone(1.0)
    kinds = {
        "a.mp4": {}, "b.mkv": {}, "c.avi": {"codec": "mpeg4", "sound_codec": "mp3"},
        "d.webm": {"codec": "libvpx", "sound_codec": "libopus"}, "e.ts": {},
        "f.mov": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    }  # fmt: skip
    return [
        media.write(folder / name, pictures=pictures, sound=sound, **options)  # type: ignore[arg-type]
        for name, options in kinds.items()
    ]


def _mutated(content: bytes, wholes: list[Path], draw: random.Random) -> bytes:
    """Flip bits, cut off, take out, or put another file's beginning before it."""
    content = bytes(content)
    match draw.randrange(4):
        case 0:
            changed = bytearray(content)
            for _ in range(draw.choice((1, 10, 100))):
                changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
            return bytes(changed)
        case 1:
            return content[: draw.randrange(1, len(content))]
        case 2:
            start = draw.randrange(len(content))
            return content[:start] + content[start + draw.randrange(1, 2000) :]
        case _:
            other, n = draw.choice(wholes).read_bytes(), draw.randrange(8, 800)
            return other[:n] + content[n:]
