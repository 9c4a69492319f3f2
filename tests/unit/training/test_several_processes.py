"""Two processes on one machine learn what one learns."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trisent import training
from trisent.training.finetune import Finetune
from unit.extractors import tiny
from unit.training.test_training import write_folder

HERE, SOURCE = Path(__file__).parent, Path(training.__file__).parents[2]
_RUN = """
import sys
from pathlib import Path
sys.path[:0] = [{source!r}, {here!r}]
from test_training import config
from trisent.training import train
from trisent.training.finetune import Finetune
train(Path({data!r}), out=Path({out!r}), config=config(epochs=3, batch_size=7, precision="fp32", schedule="cosine"),
      model={model!r}, model_config={{"hidden": 16}}, finetune={finetune})
"""


def run(script: Path, *, processes: int) -> None:
    """Run a script by itself, or under torchrun."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, *launcher, script], env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]


def trained_by(processes: int, data: Path, *, model: str = "concat", finetune: object = None) -> Path:
    """Train in an own process or several; return the run folder."""
    script, out = data.parent / f"train{processes}.py", data.parent / f"run{processes}"
    script.write_text(
        _RUN.format(
            source=str(SOURCE), here=str(HERE), data=str(data), out=str(out), model=model, finetune=repr(finetune)
        )
    )
    run(script, processes=processes)
    assert json.loads((out / "run.json").read_text())["environment"]["processes"] == processes
    return out


def check_same(one: Path, two: Path) -> None:
    scores = [json.loads((out / "bundle.json").read_text())["scores"]["valid"] for out in (one, two)]
    assert scores[1]["mae"] == pytest.approx(scores[0]["mae"], abs=1e-4)
    assert scores[1]["corr"] == pytest.approx(scores[0]["corr"], abs=1e-4)
    rows = [(out / "predictions-valid.csv").read_text().splitlines() for out in (one, two)]
    assert len(rows[0]) == len(rows[1]) > 1


@pytest.mark.skipif(os.name == "nt", reason="torchrun needs gloo over TCP, tried on Linux and macOS only")
@pytest.mark.parametrize(
    "model", ["concat", *(pytest.param(m, marks=pytest.mark.slow) for m in ("gated", "mfn", "mult"))]
)
def test_two_processes_reach_the_valid_score_of_one_with_the_same_dropout(model: str, tmp_path: Path) -> None:
    data = write_folder(tmp_path / "data")
    check_same(*(trained_by(processes, data, model=model) for processes in (1, 2)))


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="torchrun needs gloo over TCP, tried on Linux and macOS only")
@pytest.mark.parametrize("method", ["full", "lora"])
def test_two_processes_fine_tune_an_encoder_to_the_valid_score_of_one(method: str, tmp_path: Path) -> None:
    # No two processes draw the same noise: none is drawn. Blank texts alone give the encoder nothing to do in a step.
    tiny.bert(tmp_path / "tiny-bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    (tmp_path / "data").mkdir()
    texts = ["i love the film", "a bad film", "good, good!", "", "", "i loved a good film, i do!", "bad bad", "?", ""]
    rows = [f"{k},1,{texts[k % 9]!r},{(k % 7) - 3},{'valid' if k % 4 == 3 else 'train'}" for k in range(40)]
    table = "\n".join(["video_id,clip_id,text,label,mode", *rows]).replace("'", '"')
    (tmp_path / "data" / "label.csv").write_text(table + "\n", encoding="utf-8")
    how = Finetune(method, str(tmp_path / "tiny-bert"), lr=1e-2)
    check_same(*(trained_by(processes, tmp_path / "data", finetune=how) for processes in (1, 2)))
