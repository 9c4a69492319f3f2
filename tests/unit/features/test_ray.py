"""The Ray engine on a local cluster of two machines, one of which dies midway."""

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import trisent
from media_files import cut
from trisent.errors import DataError, TrisentError
from trisent.features import assembly
from trisent.features import extract as extracting
from trisent.features.cluster import check_machines, connected
from trisent.features.extract import Progress, extract
from trisent.features.index import FAILURES
from trisent.features.on_ray import stream
from trisent.features.pool import Crash
from trisent.features.store import FeatureStore
from unit.features.corpus import read_labels, settings, write_labels
from works import Odd
from works_ray import Frugal, Generous, Patient

cluster_utils = pytest.importorskip("ray.cluster_utils")

pytestmark = [
    pytest.mark.slow,
    # Ray copies its own settings attribute by attribute, deprecated ones too, and warns itself of them.
    pytest.mark.filterwarnings("ignore:`use_\\w+` is deprecated:DeprecationWarning:ray"),
]
# A dead machine is noticed after 2 s instead of 20.
_WATCHFUL = {"health_check_period_ms": 500, "health_check_failure_threshold": 4, "health_check_timeout_ms": 1000}


# Python imports this by itself when it starts: in every worker, opening a file called "deadly" ends the process.
_CRASHES = """
import os
import av
_open = av.open
def broken(file, *args, **kwargs):
    if "deadly" in str(file):
        os.kill(os.getpid(), 11)
    return _open(file, *args, **kwargs)
av.open = broken
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder that makes deadly files deadly for every Python that has it on its path."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(_CRASHES)
    return folder


@pytest.fixture(scope="module")
def cluster(site: Path) -> Iterator[Any]:
    """Run one machine with one core, which lives through all tests; they add others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(site), *(p for p in sys.path if p)]))  # tests/ is on it
        patch.setenv("RAY_AUTH_MODE", "disabled")  # else Ray leaves a token in the home folder
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")  # else it tells its makers
        found = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "_system_config": _WATCHFUL})
        yield found
        found.shutdown()


def test_a_killed_machine_costs_nothing_and_nothing_comes_twice(cluster: Any) -> None:
    second = cluster.add_node(num_cpus=1)
    tasks = [*range(30), "die"]
    workers: set[int] = set()
    results: list[tuple[int | str, Any]] = []
    with connected(cluster.address) as ray:
        for task, result in stream(ray, tasks, stages=[Patient(0.2)], workers=None):
            if isinstance(result, Crash):
                results.append((task, result))
            else:
                results.append((task, result[0]))
                workers.add(result[1])
            if len(workers) == 2 and second is not None:  # both are at work now
                cluster.remove_node(second, allow_graceful=False)
                second, before = None, len(results)
    assert before < len(tasks) - 4  # it died midway
    expected = [*((n, n * n) for n in range(30)), ("die", Crash(3, f"signal {int(signal.SIGSEGV)}"))]
    assert sorted(results, key=str) == sorted(expected, key=str)


def test_what_the_cores_make_goes_on_to_the_gpus_and_a_crash_goes_through(cluster: Any) -> None:
    second = cluster.add_node(num_cpus=1, num_gpus=1)  # Ray only counts it
    with connected(cluster.address) as ray:
        results = dict(stream(ray, [*range(30), "die"], stages=[Generous(), Frugal()], workers=None))
    cluster.remove_node(second)
    crash = results.pop("die")
    assert isinstance(crash, Crash)
    assert results == {n: n for n in range(30)}


def test_a_second_stage_without_a_gpu_is_refused(cluster: Any) -> None:
    with connected(cluster.address) as ray, pytest.raises(TrisentError, match="has no GPU; say --device cpu"):
        list(stream(ray, [1], stages=[Generous(), Frugal()], workers=None))


def test_an_error_of_a_task_is_raised_here(cluster: Any) -> None:
    with connected(cluster.address) as ray, pytest.raises(DataError, match="no such clip"):
        list(stream(ray, [1, "raise"], stages=[Odd()], workers=None))


def test_a_machine_with_another_trisent_or_without_the_videos_is_refused(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "talk.mp4"
    here.touch()
    with connected(cluster.address) as ray:
        check_machines(ray, [here])
        with pytest.raises(TrisentError, match=r"has no .*gone\.mp4; videos must be under the same path"):
            check_machines(ray, [here, tmp_path / "gone.mp4"])
        theirs = trisent.__version__
        monkeypatch.setattr(trisent, "__version__", "99.0")
        with pytest.raises(TrisentError, match=rf"has trisent {theirs}, this machine 99\.0"):
            check_machines(ray, [])


def test_relative_paths_mean_the_same_on_every_machine(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "talk.mp4").touch()
    monkeypatch.chdir(tmp_path)
    with connected(cluster.address) as ray:
        check_machines(ray, [Path("talk.mp4")])


def test_a_connection_that_others_made_is_used_and_stays(cluster: Any) -> None:
    with connected(cluster.address) as ray:
        with connected(None) as same:
            assert same is ray
        assert ray.is_initialized()
    assert not ray.is_initialized()


def test_nothing_is_printed(cluster: Any, capfd: pytest.CaptureFixture[str]) -> None:
    with connected(cluster.address) as ray:
        assert dict(stream(ray, [1, 2, "die"], stages=[Patient(0.0)], workers=1))[2][0] == 4
    assert capfd.readouterr() == ("", "")


def test_store_and_ledger_are_those_of_one_machine_although_a_machine_dies(
    cluster: Any, clips: Path, named: dict[str, str], site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(extracting, "JOB", 2)
    monkeypatch.setattr(assembly, "_UTTERANCES_A_SHARD", 4)
    data = Path("data")
    shutil.copytree(clips, data)
    raw = data / "Raw" / "video 3"
    cut(raw / "0000.mp4", 0.6)
    (raw / "0001.mp4").rename(raw / "deadly.mp4")
    rows = read_labels(data)
    write_labels(data, [[row[0], "deadly", *row[2:]] if row[:2] == ["video 3", "0001"] else row for row in rows])
    local = extract([data], Path("local"), settings(named, workers=1))

    second = [cluster.add_node(num_cpus=1)]

    def kill(progress: Progress) -> None:
        if progress.done >= 4 and second:
            cluster.remove_node(second.pop(), allow_graceful=False)

    told = settings(named, engine="ray", address=cluster.address, workers=2)
    spread = extract([data], Path("spread"), told, on_extract=kill)

    assert not second
    assert spread.digest == local.digest
    assert spread.extracted == local.extracted == 10
    assert [failure.id for failure in spread.failures] == ["video 3$_$0000", "video 3$_$deadly"]
    assert Path("spread", FAILURES).read_bytes() == Path("local", FAILURES).read_bytes()
    FeatureStore("spread").verify()


def test_no_cluster_at_an_address_is_said_with_what_to_try() -> None:
    with (
        pytest.raises(TrisentError, match=r"no Ray cluster at 127\.0\.0\.1:1 .*ray status --address 127\.0\.0\.1:1"),
        connected("127.0.0.1:1"),
    ):
        pass
