"""Two processes on one machine learn what one learns."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trisent import training

HERE, SOURCE = Path(__file__).parent, Path(training.__file__).parents[2]
_RUN = """
import sys
from pathlib import Path
sys.path[:0] = [{source!r}, {here!r}]
from test_training import config
from trisent.training import train
train(Path({data!r}), out=Path({out!r}), config=config(epochs=3, batch_size=7, precision="fp32", schedule="cosine"),
      model_config={{"hidden": 16, "dropout": 0.0, "modality_dropout": 0.0}})
"""


def run(script: Path, *, processes: int) -> None:
    """Run a script by itself, or under torchrun."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, *launcher, script], env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.skipif(os.name == "nt", reason="torchrun needs gloo over TCP, tried on Linux and macOS only")
def test_two_processes_reach_the_valid_score_of_one(tmp_path: Path) -> None:
    from unit.training.test_training import write_folder

    data = write_folder(tmp_path / "data")
    scores = {}
    for processes in (1, 2):
        script, out = tmp_path / f"train{processes}.py", tmp_path / f"run{processes}"
        script.write_text(_RUN.format(source=str(SOURCE), here=str(HERE), data=str(data), out=str(out)))
        run(script, processes=processes)
        scores[processes] = json.loads((out / "bundle.json").read_text())["scores"]["valid"]
        record = json.loads((out / "run.json").read_text())
        assert record["environment"]["processes"] == processes
    assert scores[2]["mae"] == pytest.approx(scores[1]["mae"], abs=1e-4)
    assert scores[2]["corr"] == pytest.approx(scores[1]["corr"], abs=1e-4)
    predictions = [(tmp_path / f"run{n}" / "predictions-valid.csv").read_text().splitlines() for n in (1, 2)]
    assert len(predictions[0]) == len(predictions[1]) == 33
