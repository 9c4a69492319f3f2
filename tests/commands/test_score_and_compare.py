"""`trisent score` and `trisent compare` as a person runs them."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from commands.conftest import ROOT, Run
from trisent.evaluation.figures import BINARIES, FIGURES
from trisent.evaluation.papers import PAPERS

PAGES = [ROOT / "docs" / language / "metrics.md" for language in ("en", "zh")]


def write(path: Path, *, seed: int, noise: float = 0.8, n: int = 240, drop: int = 0) -> Path:
    """Write made-up predictions of made-up labels; the labels are the same for every seed."""
    y = np.round(np.clip(np.random.default_rng(0).normal(0.2, 1.1, n), -3, 3) * 3) / 3
    p = y + np.random.default_rng(seed).normal(0, noise, n)
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "prediction", "label", "text"])
        table.writerows([f"v{i // 6}[{i % 6}]", p[i], y[i], "word " * (1 + i % 20)] for i in range(drop, n))
    return path


def test_score_prints_every_papers_numbers_with_their_n(trisent: Run, tmp_path: Path) -> None:
    done = trisent("score", write(tmp_path / "a.csv", seed=1))
    assert done.returncode == 0, done.stderr
    assert "240 utterances of 40 videos" in done.stdout
    for paper in PAPERS:
        assert (paper.name in done.stdout) == (paper.key != "sims")
    assert "n=240" in done.stdout
    assert "Acc-7 (CMU: away from zero, 0 alone is neutral)" in done.stdout
    assert "95 % interval" not in done.stdout


def test_scores_json_has_value_n_interval_definition_and_baselines(trisent: Run, tmp_path: Path) -> None:
    words = (
        "score",
        write(tmp_path / "a.csv", seed=1),
        "--bootstrap",
        200,
        "--by",
        "video",
        "--by",
        "length",
        "--json",
    )
    done = trisent(*words)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["n"], said["videos"]) == (240, 40)
    assert said["bootstrap"] == {"resamples": 200, "seed": 0, "level": 0.95, "drawn": "videos"}
    mae = said["figures"]["mae"]
    assert mae["interval"][0] < mae["value"] < mae["interval"][1] < mae["predict_zero"]
    assert said["figures"]["acc2_non0"]["n"] < 240
    assert {len(said["groups"]["video"]), sum(g["n"] for g in said["groups"]["length"])} == {40, 240}
    assert sum(map(sum, said["confusion"]["acc7_round"])) == 240
    assert trisent(*words).stdout == done.stdout


def test_a_constant_predictor_raises_the_alarm(trisent: Run, tmp_path: Path) -> None:
    path = tmp_path / "constant.csv"
    path.write_text("pred,label\n" + "".join(f"0.1,{y / 10}\n" for y in range(-10, 20)), encoding="utf-8")
    done = trisent("score", path, "--bootstrap", 100)
    assert done.returncode == 0, done.stderr
    assert "CONSTANT PREDICTION" in done.stdout
    assert "their videos are not known" in done.stdout
    assert "too narrow" in done.stdout


def test_compare_says_difference_interval_p_and_mcnemar(trisent: Run, tmp_path: Path) -> None:
    good, bad = write(tmp_path / "good.csv", seed=1, noise=0.4), write(tmp_path / "bad.csv", seed=2, noise=2)
    done = trisent("compare", bad, good, "--bootstrap", 200, "--json")
    assert done.returncode == 0, done.stderr
    (said,) = json.loads(done.stdout)["comparisons"]
    mae = said["figures"]["mae"]
    assert mae["difference"] == pytest.approx(mae["second"]["mean"] - mae["first"]["mean"])
    assert mae["interval"][1] < 0
    assert mae["p"] < 0.05
    assert said["mcnemar"].keys() == {binary.key for binary in BINARIES}
    shown = trisent("compare", bad, good, "--bootstrap", 200)
    assert "better" in shown.stdout
    assert "McNemar" in shown.stdout


def test_a_folder_is_a_run_with_a_file_a_seed(trisent: Run, tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        write(tmp_path / "run" / f"seed{seed}.csv", seed=seed)
    one, two = (write(tmp_path / f"{name}.csv", seed=seed) for name, seed in (("one", 4), ("two", 5)))
    done = trisent("compare", "run", f"{one},{two}", "--bootstrap", 100, "--json")
    assert done.returncode == 0, done.stderr
    (said,) = json.loads(done.stdout)["comparisons"]
    assert (said["first"]["seeds"], said["second"]["seeds"]) == (3, 2)
    assert len(said["mcnemar"]["has0"]["pairs"]) == 6
    assert said["figures"]["mae"]["first"]["std"] > 0


def test_sets_that_do_not_match_are_refused_with_the_ids(trisent: Run, tmp_path: Path) -> None:
    done = trisent("compare", write(tmp_path / "a.csv", seed=1), write(tmp_path / "b.csv", seed=2, drop=2))
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(r"error: .*b\.csv .*2 ids are missing \(v0\[0\], v0\[1\]\).*\n", done.stderr)


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (("score", "none.csv"), 1, "no such file"),
        (("score", "nan.csv"), 1, "line 2: prediction is 'nan'"),
        (("score", "nan.csv", "--bootstrap", "5"), 2, "at least 100"),
        (("compare", "nan.csv"), 2, "two runs or more"),
        (("compare", ".", "nan.csv"), 1, "nan.csv: line 2"),
        (("score",), 2, "--help"),
    ],
)
def test_wrong_use_is_one_clean_line(
    trisent: Run, tmp_path: Path, words: tuple[str, ...], code: int, reason: str
) -> None:
    (tmp_path / "nan.csv").write_text("id,prediction,label\na,nan,1\n", encoding="utf-8")
    done = trisent(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert reason in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.parent.name)
def test_the_page_of_metrics_names_every_figure_and_paper(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [key for key in FIGURES if f"`{key}`" not in text] == []
    assert [paper.name for paper in PAPERS if paper.name not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.parent.name)
def test_the_commands_of_the_page_of_metrics_work_as_written(trisent: Run, tmp_path: Path, page: Path) -> None:
    write(tmp_path / "predictions.csv", seed=1)
    for seed in (1, 2):
        write(tmp_path / "baseline" / f"{seed}.csv", seed=seed)
        write(tmp_path / "ours" / f"{seed}.csv", seed=seed + 5, noise=0.5)
    commands = re.findall(r"^    trisent (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(commands) >= 3
    for command in commands:
        done = trisent(*command.split())
        assert done.returncode == 0, (command, done.stderr)


def test_language_and_verbosity_may_stand_behind_the_verb(trisent: Run, tmp_path: Path) -> None:
    predictions = write(tmp_path / "a.csv", seed=1)
    behind, before = (
        trisent("score", predictions, "--lang", "zh", "-v"),
        trisent("--lang=zh", "-v", "score", predictions),
    )
    assert behind.returncode == 0, behind.stderr
    assert behind.stdout == before.stdout != trisent("score", predictions).stdout
