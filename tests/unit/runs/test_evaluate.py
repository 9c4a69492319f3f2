"""An evaluation against numbers computed by other means."""

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeCV
from sklearn.metrics import accuracy_score, confusion_matrix, mean_absolute_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trisent.checkpoint import load_bundle, save_bundle
from trisent.data.dataset import Dataset
from trisent.errors import DataError, UsageError
from trisent.evaluation.figures import FIGURES
from trisent.evaluation.ridge import ALPHAS
from trisent.fusion.batch import collate
from trisent.fusion.contributions import shapley, subsets
from trisent.i18n import set_language
from trisent.runs.evaluate import EvaluateOptions, Evaluation, evaluate_bundle, write_files
from trisent.runs.openings import LOG
from trisent.runs.page import to_html
from trisent.runs.paper_table import to_latex
from trisent.types import MODALITIES, Modality
from unit.runs.conftest import DIMS, made_up, save_run, source_of

VALID = EvaluateOptions(resamples=100)
QUICK = EvaluateOptions(resamples=0, robustness=False)


def judged_one_by_one(folder: Path, dataset: Dataset, split: str, modalities: tuple[Modality, ...]) -> np.ndarray:
    """Judge each utterance alone, with some of its modalities."""
    _, model = load_bundle(folder)
    found = []
    for i in dataset.index(split):
        features = {m: dataset.features[m].of(i) for m in modalities if dataset.features[m].lengths[i]}
        with torch.inference_mode():
            found.append(float(model(collate([features], DIMS)).sentiment[0]))
    return np.array(found)


def evaluated(tmp_path: Path, dataset: Dataset, options: EvaluateOptions = VALID) -> Evaluation:
    return evaluate_bundle(save_run(tmp_path / "run", dataset), source_of(dataset), options=options)


def test_the_figures_are_scikit_learns_on_utterances_judged_one_by_one(tmp_path: Path, dataset: Dataset) -> None:
    evaluation = evaluated(tmp_path, dataset)
    p = judged_one_by_one(tmp_path / "run", dataset, "valid", MODALITIES)
    y = dataset.sentiment[dataset.index("valid")].astype(float)
    rows = evaluation.sheet.rows
    assert evaluation.sheet.predictions.predicted == pytest.approx(p, abs=1e-5)
    assert rows["mae"].value == pytest.approx(mean_absolute_error(y, p), abs=1e-5)
    assert rows["corr"].value == pytest.approx(np.corrcoef(p, y)[0, 1], abs=1e-5)
    classes = [np.clip(np.round(x), -3, 3).astype(int) for x in (y, p)]
    assert rows["acc7_round"].value == pytest.approx(accuracy_score(*classes))
    counts = confusion_matrix(*classes, labels=range(-3, 4))
    assert evaluation.sheet.confusions()["acc7_round"] == counts.tolist()
    interval = rows["mae"].interval
    assert interval is not None
    assert interval.low < rows["mae"].value < interval.high


def test_groups_say_which_modalities_an_utterance_has_and_how_long_it_is(tmp_path: Path, dataset: Dataset) -> None:
    groups = evaluated(tmp_path, dataset, QUICK).sheet.groups
    index = dataset.index("valid")
    without = int((dataset.features["video"].lengths[index] == 0).sum())
    assert {g.name: g.n for g in groups["modalities"]} == {
        "text+audio": without,
        "text+audio+video": len(index) - without,
    }
    assert sum(g.n for g in groups["length"]) == sum(g.n for g in groups["video"]) == len(index)


def test_every_subset_is_judged_as_if_the_rest_had_not_been_recorded(tmp_path: Path, dataset: Dataset) -> None:
    found = evaluated(tmp_path, dataset, QUICK).modalities.subsets
    y = dataset.sentiment[dataset.index("valid")]
    assert len(found) == 8
    for name in ("text", "audio+video", "text+audio+video"):
        modalities: tuple[Modality, ...] = tuple(m for m in MODALITIES if m in name)
        p = judged_one_by_one(tmp_path / "run", dataset, "valid", modalities)
        assert found[name]["mae"] == pytest.approx(np.abs(p - y).mean(), abs=1e-5), name


def test_shapley_values_are_means_over_all_orders_of_arrival(tmp_path: Path, dataset: Dataset) -> None:
    worth = {s: float(np.random.default_rng(k).normal()) for k, s in enumerate(subsets(MODALITIES))}
    by_hand = dict.fromkeys(MODALITIES, 0.0)
    for order in itertools.permutations(MODALITIES):
        for k, m in enumerate(order):
            by_hand[m] += (worth[frozenset(order[: k + 1])] - worth[frozenset(order[:k])]) / 6
    assert shapley(worth, MODALITIES) == pytest.approx(by_hand)
    modalities = evaluated(tmp_path, dataset, QUICK).modalities
    gained = modalities.subsets["none"]["mae"] - modalities.subsets["text+audio+video"]["mae"]
    assert sum(modalities.mae_shares.values()) == pytest.approx(gained)
    absent = dataset.features["video"].lengths[dataset.index("valid")] == 0
    assert (modalities.shares["video"][absent] == 0).all()
    assert (modalities.shares["video"][~absent] != 0).any()


def test_curves_begin_where_nothing_is_changed_and_end_worse(tmp_path: Path, dataset: Dataset) -> None:
    evaluation = evaluated(tmp_path, dataset)
    robustness, whole = evaluation.robustness, evaluation.sheet.rows["mae"].value
    assert robustness is not None
    assert [rate for rate, _ in robustness.missing] == pytest.approx([k / 10 for k in range(10)])
    starts = [robustness.missing[0], *(curve[0] for curve in robustness.noise.values())]
    assert [figures["mae"] for _, figures in starts] == pytest.approx([whole] * 5)
    assert set(robustness.noise) == {*MODALITIES, "all"}
    none = evaluation.modalities.subsets["none"]["mae"]
    assert abs(robustness.missing[-1][1]["mae"] - none) < abs(robustness.missing[1][1]["mae"] - none)
    again = evaluate_bundle(tmp_path / "run", source_of(dataset), options=VALID)
    assert again.to_json() == evaluation.to_json()


def test_shuffling_what_a_model_does_not_see_costs_nothing(tmp_path: Path, dataset: Dataset) -> None:
    alone = replace(dataset, features={"text": dataset.features["text"]})
    evaluation = evaluate_bundle(save_run(tmp_path / "run", dataset), source_of(alone), options=VALID)
    assert evaluation.robustness is not None
    assert set(evaluation.robustness.shuffled) == set(evaluation.robustness.noise) == {"text"}
    assert set(evaluation.modalities.subsets) == {"none", "text"}


def test_the_text_ridge_is_scikit_learns_on_averaged_text_of_train(tmp_path: Path, dataset: Dataset) -> None:
    ridge = evaluated(tmp_path, dataset).ridge
    assert ridge is not None
    text = dataset.features["text"]
    means = [text.of(i).pooled() for i in range(len(dataset))]
    train = [i for i in dataset.index("train") if means[i] is not None]
    reference = make_pipeline(StandardScaler(), RidgeCV(ALPHAS))
    reference.fit(np.array([means[i] for i in train], float), dataset.sentiment[train].astype(float))
    said = reference.predict(np.array([means[i] for i in dataset.index("valid")], float))
    assert ridge.predictions.predicted == pytest.approx(said, abs=1e-5)
    assert ridge.trained_on == len(train) == 15
    assert ridge.values["corr"] > 0.5
    assert ridge.differences["mae"].value > 0  # the untrained model is worse


def test_without_text_features_there_is_no_ridge(tmp_path: Path, dataset: Dataset) -> None:
    silent = replace(dataset, features={m: s for m, s in dataset.features.items() if m != "text"})
    evaluation = evaluate_bundle(save_run(tmp_path / "run", dataset), source_of(silent), options=QUICK)
    assert evaluation.ridge is None
    assert evaluation.to_json()["text_ridge"] is None


def test_valid_does_not_touch_what_is_in_test(tmp_path: Path, dataset: Dataset) -> None:
    other = dataset.sentiment.copy()
    other[dataset.index("test")] = np.nan
    unlabelled = replace(dataset, labels={"sentiment": other})
    folder = save_run(tmp_path / "run", dataset)
    with_labels, without = (evaluate_bundle(folder, source_of(d), options=VALID) for d in (dataset, unlabelled))
    assert with_labels.sheet.to_json() == without.sheet.to_json()
    assert with_labels.opened is None
    assert not (folder / LOG).exists()


def test_utterances_that_nobody_has_judged_are_not_scored_on(tmp_path: Path, dataset: Dataset) -> None:
    valid = dataset.index("valid")
    labels = dataset.sentiment.copy()
    labels[valid[::3]] = np.nan
    folder = save_run(tmp_path / "run", dataset)
    found = evaluate_bundle(folder, source_of(replace(dataset, labels={"sentiment": labels})), options=VALID)
    kept = dataset.take(np.setdiff1d(np.arange(len(dataset)), valid[::3]))
    expected = evaluate_bundle(folder, source_of(kept), options=VALID)
    assert found.sheet.to_json() == expected.sheet.to_json()


def test_each_look_at_test_is_counted_and_said(tmp_path: Path, dataset: Dataset) -> None:
    folder, options = save_run(tmp_path / "run", dataset), EvaluateOptions("test", 0, robustness=False)
    looks = [evaluate_bundle(folder, source_of(dataset), options=options) for _ in range(2)]
    assert [look.opened for look in looks] == [1, 2]
    assert "test opened 2 times with this model" in looks[1].statements()
    entries = [json.loads(line) for line in (folder / LOG).read_text(encoding="utf-8").splitlines()]
    assert len({entry["predictions_sha256"] for entry in entries}) == 1
    assert entries[0]["data_sha256"] == source_of(dataset).digest
    for text in (to_html(looks[1]), to_latex(looks[1]).lower()):
        assert "test opened 2 times with this model" in text


def test_the_look_is_in_the_log_even_when_the_predictions_cannot_be_scored(tmp_path: Path, dataset: Dataset) -> None:
    folder = save_run(tmp_path / "run", dataset)
    bundle, model = load_bundle(folder)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    save_bundle(folder, bundle, model)
    with pytest.raises(DataError, match="not finite"):
        evaluate_bundle(folder, source_of(dataset), options=EvaluateOptions("test", 0, robustness=False))
    assert len((folder / LOG).read_text(encoding="utf-8").splitlines()) == 1


def test_another_data_set_or_split_is_named(tmp_path: Path, dataset: Dataset) -> None:
    folder = save_run(tmp_path / "run", dataset)

    def said(other: Dataset) -> str:
        return " ".join(evaluate_bundle(folder, source_of(other), options=QUICK).statements())

    assert said(dataset) == ""
    assert "this measures generalisation" in said(made_up(seed=9))
    turned = tuple({"train": "valid", "valid": "train"}.get(s, s) for s in dataset.splits)
    assert "may have been learnt" in said(replace(dataset, splits=turned))


def test_a_split_that_is_not_there_and_a_wrong_name_are_refused(tmp_path: Path, dataset: Dataset) -> None:
    only = dataset.split("train")
    with pytest.raises(DataError, match="no utterances in valid, there are train 20, valid 0, test 0"):
        evaluate_bundle(save_run(tmp_path / "run", dataset), source_of(only), options=QUICK)
    with pytest.raises(UsageError, match="valid, test"):
        EvaluateOptions("train")


def test_the_page_needs_nothing_else_and_escapes_texts(tmp_path: Path, dataset: Dataset) -> None:
    evaluation = evaluated(tmp_path, dataset)
    epochs = [{"epoch": k, "train_loss": 1 / k, "valid": {"mae": 1.0, "corr": None}} for k in (1, 2)]
    evaluation = replace(evaluation, history={"best_epoch": 2, "epochs": epochs})
    page = to_html(evaluation)
    assert "words &lt;b&gt;" in page
    assert "words <b>" not in page
    assert not any(word in page for word in ("<script", "http://", "https://", "src="))
    assert "The weights are those of epoch 2." in page
    assert page.count("<svg") == 2 + 1 + 4  # training, without r that is not known; calibration; robustness


def test_the_page_says_modalities_in_the_readers_language(tmp_path: Path, dataset: Dataset) -> None:
    evaluation = evaluated(tmp_path, dataset, QUICK)
    set_language("zh")
    try:
        page = to_html(evaluation)
    finally:
        set_language("en")
    assert page.count("<td>文本+音频+视频</td>") == 2  # as a subset, and as what utterances have
    assert "text+audio" not in page


def test_the_table_has_the_figures_of_sims_for_its_scale_and_not_for_weak_labels_of_another(
    tmp_path: Path, dataset: Dataset
) -> None:
    weak = replace(dataset, labels={"sentiment": dataset.sentiment / 3})
    for scale, head in (((-3.0, 3.0), "Acc-7"), ((-1.0, 1.0), "Acc-3")):
        table = to_latex(evaluated(tmp_path / head, replace(weak, scale=scale), QUICK))
        assert [name for name in ("Acc-7", "Acc-3") if f" {name} &" in table] == [head]


def test_the_pages_figures_are_those_of_the_json(tmp_path: Path, dataset: Dataset) -> None:
    evaluation = evaluated(tmp_path, dataset)
    rows = re.findall(r"<tr><td title=.*?</tr>", to_html(evaluation), re.DOTALL)
    document = evaluation.to_json()
    assert len(rows) == len(document["figures"])
    for row, (key, figure) in zip(rows, document["figures"].items(), strict=True):
        said = [float(n) for n in re.findall(r">\s*(-?[\d.]+)<", row)]
        ridge, scale = document["text_ridge"]["figures"].get(key), 100 if FIGURES[key].share else 1
        values = [v for v in (figure["value"], ridge) if v is not None]
        for value in values:
            assert any(abs(n - scale * value) < 0.006 for n in said), (key, value, said)
        assert figure["n"] in said


def test_the_files_are_those_named_and_the_json_has_no_nan(tmp_path: Path, dataset: Dataset) -> None:
    evaluation = evaluated(tmp_path, dataset, QUICK)
    paths = write_files(tmp_path / "out", evaluation, page=to_html(evaluation), table=to_latex(evaluation))
    names = ["evaluation-valid.json", "predictions-valid.csv", "report-valid.html", "table-valid.tex"]
    assert sorted(path.name for path in paths) == names == sorted(p.name for p in (tmp_path / "out").iterdir())
    document = json.loads((tmp_path / "out" / "evaluation-valid.json").read_text(encoding="utf-8"))
    assert document["figures"]["mae"]["value"] == evaluation.sheet.rows["mae"].value
    assert document["modalities"]["subsets"]["none"]["corr"] is None or len(document["modalities"]["subsets"]) == 8
    worst = document["worst"]
    errors = [abs(mistake["label"] - mistake["prediction"]) for mistake in worst]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] == np.abs(evaluation.sheet.predictions.predicted - evaluation.sheet.predictions.truth).max()
