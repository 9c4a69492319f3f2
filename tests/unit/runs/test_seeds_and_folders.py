"""Several seeds of one run, and what compare takes for a run."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trisent.data.dataset import Dataset
from trisent.errors import DataError
from trisent.evaluation.bootstrap import Resampling
from trisent.runs.evaluate import EvaluateOptions, evaluate_bundle, results_folder, write_files
from trisent.runs.folders import judgements_of, refuse_other_data
from trisent.runs.seeds import seed_folders, summarise, write_summary
from unit.runs.conftest import made_up, save_run, source_of

QUICK = EvaluateOptions(resamples=0, robustness=False)


def judged(folder: Path, dataset: Dataset, *, seed: int = 0, options: EvaluateOptions = QUICK) -> Path:
    evaluation = evaluate_bundle(save_run(folder, dataset, seed=seed), source_of(dataset), options=options)
    write_files(folder, evaluation, page="", table="")
    return folder


def test_a_summary_is_mean_and_deviation_over_seeds_with_an_interval(tmp_path: Path, dataset: Dataset) -> None:
    for seed in (0, 2, 10):
        save_run(tmp_path / "runs" / f"seed-{seed}", dataset, seed=seed)
    folders = seed_folders(tmp_path / "runs")
    assert [folder.name for folder in folders] == ["seed-0", "seed-2", "seed-10"]
    evaluations = [evaluate_bundle(folder, source_of(dataset), options=QUICK) for folder in folders]
    summary = summarise("runs", evaluations, resampling=Resampling(100))
    values = [evaluation.sheet.rows["mae"].value for evaluation in evaluations]
    cell = summary.cells["mae"]
    assert (cell.value, cell.std) == (pytest.approx(np.mean(values)), pytest.approx(np.std(values)))
    assert cell.interval is not None
    assert cell.interval.low < cell.value < cell.interval.high
    document, table = (path.read_text(encoding="utf-8") for path in reversed(write_summary(tmp_path / "o", summary)))
    assert json.loads(document)["figures"]["mae"]["seeds"] == values
    assert json.loads(document)["alarms"] == {e.name: e.sheet.alarms for e in evaluations}
    assert any("NEARLY CONSTANT" in alarm for alarm in json.loads(document)["alarms"]["seed-0"])
    assert rf"{cell.value:.3f}\,$\pm$\,{cell.std:.3f}" in table
    assert "concat, 3 seeds" in table


def test_a_seed_that_is_not_finished_is_told(
    tmp_path: Path, dataset: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    save_run(tmp_path / "runs" / "seed-0", dataset)
    (tmp_path / "runs" / "seed-1").mkdir()
    assert [folder.name for folder in seed_folders(tmp_path / "runs")] == ["seed-0"]
    assert "seed-1 are not finished and left out" in caplog.text


def test_seeds_of_different_data_are_not_put_together(tmp_path: Path, dataset: Dataset) -> None:
    folder = save_run(tmp_path / "run", dataset)
    both = [evaluate_bundle(folder, source_of(d), options=QUICK) for d in (dataset, made_up(seed=5))]
    with pytest.raises(DataError, match="not judged on the same data"):
        summarise("runs", both, resampling=None)


def test_a_run_folder_is_its_predictions_of_valid_unless_test_is_asked_for(tmp_path: Path, dataset: Dataset) -> None:
    run = judged(tmp_path / "run", dataset)
    (found,) = judgements_of(str(run))
    assert (found.path.name, found.split, found.data) == ("predictions-valid.csv", "valid", source_of(dataset).digest)
    with pytest.raises(DataError, match=r"no predictions-test\.csv.*trisent evaluate"):
        judgements_of(str(run), split="test")
    judged(run, dataset, options=EvaluateOptions("test", 0, robustness=False))
    assert judgements_of(str(run), split="test")[0].path.name == "predictions-test.csv"
    assert judgements_of(str(run))[0].split == "valid"


def test_seeds_are_one_run_and_all_must_have_been_judged(tmp_path: Path, dataset: Dataset) -> None:
    for seed in (0, 1):
        judged(tmp_path / "runs" / f"seed-{seed}", dataset, seed=seed)
    assert [file.path.parent.name for file in judgements_of(str(tmp_path / "runs"))] == ["seed-0", "seed-1"]
    save_run(tmp_path / "runs" / "seed-2", dataset)
    with pytest.raises(DataError, match=r"seed-2 has no predictions-valid\.csv"):
        judgements_of(str(tmp_path / "runs"))


def test_other_data_and_other_splits_are_refused(tmp_path: Path, dataset: Dataset) -> None:
    moved = replace(dataset, texts=("other words",) * len(dataset))  # the same ids and labels, another data set
    runs = [judgements_of(str(judged(tmp_path / name, d))) for name, d in (("a", dataset), ("b", moved))]
    with pytest.raises(DataError, match=r"another data set .* Compare what was judged on one set.*name the files"):
        refuse_other_data(runs)
    refuse_other_data([runs[0], runs[0]])
    judged(tmp_path / "a", dataset, options=EvaluateOptions("test", 0, robustness=False))
    with pytest.raises(DataError, match="another split"):
        refuse_other_data([judgements_of(str(tmp_path / "a"), split="test"), judgements_of(str(tmp_path / "a"))])


def test_predictions_of_weights_that_were_replaced_are_refused(tmp_path: Path, dataset: Dataset) -> None:
    run = judged(tmp_path / "run", dataset)
    save_run(run, dataset, seed=3)
    with pytest.raises(DataError, match=r"other weights than the run has now"):
        judgements_of(str(run))


def test_files_and_folders_of_files_are_runs_as_before(tmp_path: Path) -> None:
    for name in ("b.csv", "a.jsonl", "notes.txt"):
        (tmp_path / name).write_text("", encoding="utf-8")
    assert [file.path.name for file in judgements_of(str(tmp_path))] == ["a.jsonl", "b.csv"]
    pair = f"{tmp_path / 'b.csv'},{tmp_path / 'a.jsonl'}"
    assert [file.path.name for file in judgements_of(pair)] == ["b.csv", "a.jsonl"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no predictions"):
        judgements_of(str(tmp_path / "empty"))


def test_results_on_other_data_lie_in_a_folder_of_their_own_that_compare_takes(
    tmp_path: Path, dataset: Dataset
) -> None:
    run, other = judged(tmp_path / "run", dataset), made_up(seed=4)
    evaluation = evaluate_bundle(run, source_of(other), options=QUICK)
    place = results_folder(run, evaluation)
    assert place == run / "on-made up"
    write_files(place, evaluation, page="", table="")
    (found,) = judgements_of(str(place))
    assert found.data == source_of(other).digest
    assert judgements_of(str(run))[0].data == source_of(dataset).digest
