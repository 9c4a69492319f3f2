"""What is written is what is read; tables and diagrams against numbers by hand."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from trisent.evaluation.bootstrap import Interval
from trisent.evaluation.figures import FIGURES
from trisent.evaluation.latex import KEYS, Cell, latex_table
from trisent.evaluation.predictions import predictions_of
from trisent.evaluation.reading import read_predictions
from trisent.evaluation.reliability import reliability
from trisent.evaluation.writing import predictions_csv


def test_written_predictions_come_back_to_the_last_bit(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(7), 5).astype(np.float32)
    ids = ["a$_$0", "a$_$1", 'b, "quoted"$_$0', "c$_$0", "c$_$1"]
    made = predictions_of(
        random.normal(size=5).astype(np.float32),
        (random.integers(-9, 9, 5) / 3).astype(np.float32),
        ids=ids,
        probabilities=probabilities,
        columns={"length": ("3", "1", "4", "1", "5")},
    )
    path = tmp_path / "predictions-valid.csv"
    path.write_bytes(predictions_csv(made))
    header = "id,video,label,prediction,p0,p1,p2,p3,p4,p5,p6,length"
    assert path.read_text(encoding="utf-8").splitlines()[0] == header
    read = read_predictions(path)
    assert (read.predicted == made.predicted).all()
    assert (read.truth == made.truth).all()
    assert read.probabilities is not None
    assert (read.probabilities == probabilities).all()
    assert (read.ids, read.videos, read.columns) == (made.ids, made.videos, made.columns)


def test_the_reliability_diagram_is_the_table_by_hand_and_its_gaps_are_the_ece() -> None:
    sure = [0.9, 0.9, 0.9, 0.5, 0.5]  # the most probable class is 0; the others share the rest
    labels = [0.0, 0.0, 2.0, 0.0, -1.0]
    probabilities = [[(1 - p) / 6] * 3 + [p] + [(1 - p) / 6] * 3 for p in sure]
    predictions = predictions_of([0.0] * 5, labels, probabilities=probabilities)
    half, most = reliability(predictions)
    assert (half.n, half.confidence, half.accuracy) == (2, pytest.approx(0.5), 0.5)
    assert (most.n, most.confidence, most.accuracy) == (3, pytest.approx(0.9), pytest.approx(2 / 3))
    assert half.low < 0.5 <= half.high
    by_hand = (2 * 0 + 3 * abs(0.9 - 2 / 3)) / 5
    assert FIGURES["ece"].of(predictions)[0] == pytest.approx(by_hand)


def test_without_probabilities_there_is_no_diagram() -> None:
    assert reliability(predictions_of([0.0], [1.0])) == ()


def test_the_latex_table_has_a_row_a_system_and_escapes_names() -> None:
    systems = {
        "Predict 0": {"mae": Cell(0.8), "acc2_non0": Cell(0.5)},
        "ours_50%": {"mae": Cell(0.5, 0.01, Interval(0.45, 0.55)), "acc2_non0": Cell(0.834, 0.002)},
    }
    text = latex_table(systems, caption=["Set A & B."])
    lines = text.splitlines()
    assert r"ours\_50\% & 0.500\,$\pm$\,0.010 & 83.40\,$\pm$\,0.20 \\" in lines
    assert r" & {\scriptsize [0.450, 0.550]} &  \\" in lines
    assert r"Predict 0 & 0.800 & 50.00 \\" in lines
    assert r"Set A \& B." in text
    rows = [line for line in lines if line.endswith(r"\\")]
    assert {line.replace(r"\&", "").count("&") for line in rows} == {2}
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs LaTeX")
@pytest.mark.parametrize("packages", ["booktabs", "booktabs,graphicx"])
def test_latex_sets_the_table_whatever_its_names_and_with_graphicx_within_the_page(
    tmp_path: Path, packages: str
) -> None:
    row = {key: Cell(0.1234, 0.0321, Interval(0.1, 0.2)) for key in KEYS}
    names = ["[x]", "*", r"a_b\c^d~e|f<g>", "100 % & {#1} $x$", "a name that is long enough for two of them"]
    table = latex_table(dict.fromkeys(names, row), caption=names)
    (tmp_path / "t.tex").write_text(
        f"\\documentclass{{article}}\\usepackage{{{packages}}}\\begin{{document}}\n{table}\\end{{document}}\n"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert ("Overfull" in done.stdout) == (packages == "booktabs")


def test_a_table_with_chinese_names_says_which_package_sets_them() -> None:
    row = {"mae": Cell(0.5)}
    assert "ctex" not in latex_table({"é": row}, caption=["Straße."])
    for table in (latex_table({"甲": row}, caption=["x"]), latex_table({"a": row}, caption=["数据."])):
        assert table.splitlines()[1] == r"% for its Chinese: \usepackage{ctex}, and xelatex"
