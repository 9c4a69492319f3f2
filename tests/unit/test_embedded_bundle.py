"""The bundle that ships: whole, honest about itself, and as good on held-out data as its card says."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from trisent.checkpoint import find_bundle, load_bundle
from trisent.config import PRESETS
from trisent.evaluation.metrics import scores
from trisent.extractors.registry import extractor_class, preset_extractors
from trisent.fusion.batch import Batch, collate
from trisent.fusion.late import LateFusion
from trisent.types import Modality


@pytest.fixture(scope="module")
def model() -> LateFusion:
    _, fusion = load_bundle("embedded")
    assert isinstance(fusion, LateFusion)
    return fusion


@pytest.fixture(scope="module")
def data() -> Path:
    """Return the folder of real data that docs/en/embedded.md describes."""
    folder = os.environ.get("TRISENT_DATA")
    if not folder:
        pytest.skip("TRISENT_DATA names no folder")
    return Path(folder)


def test_it_says_what_it_was_trained_on_under_which_licence_and_how_well_it_does() -> None:
    bundle, _ = load_bundle("embedded")
    card = (find_bundle("embedded") / "README.md").read_text(encoding="utf-8")
    assert "non-commercial" in bundle.licence
    assert bundle.licence in card
    held_out = bundle.data["held-out scores"]
    for number in (held_out["text"]["MOSEI valid"]["corr"], held_out["audio"]["actors 17-20"]["valence_corr"]):
        assert f"{number:.3f}" in card


def test_it_is_a_few_megabytes() -> None:
    assert sum(p.stat().st_size for p in find_bundle("embedded").iterdir()) < 12e6


@pytest.mark.embedded
@pytest.mark.usefixtures("embedded_weights")
def test_its_extractors_are_those_it_was_trained_with() -> None:
    bundle, model = load_bundle("embedded")
    made = preset_extractors("embedded", device="cpu")
    assert bundle.extractors == {m: e.provenance for m, e in made.items()}
    assert model.dims == {m: e.dim for m, e in made.items()}


def judge(model: LateFusion, modality: Modality, rows: np.ndarray) -> np.ndarray:
    values = torch.from_numpy(rows).unsqueeze(1)
    with torch.inference_mode():
        sentiment: torch.Tensor = model(
            Batch({modality: values}, {modality: torch.ones(len(rows), 1, dtype=torch.bool)})
        ).sentiment
    return sentiment.numpy()


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.embedded
@pytest.mark.usefixtures("embedded_weights")
def test_the_text_head_reaches_corr_064_and_mae_061_on_mosei_valid(model: LateFusion, data: Path) -> None:
    with (data / "mosei_text" / "label.csv").open(encoding="utf-8", newline="") as file:
        valid = [row for row in csv.DictReader(file) if row["mode"] == "valid"]
    assert len(valid) == 1871
    name, weights, options = PRESETS["embedded"].extractors["text"]
    features = extractor_class(name)(weights, device="cpu", **options).extract([row["text"] for row in valid])
    model.requires_grad_(False)
    said = [float(model(collate([{"text": f}], {"text": f.values.shape[1]})).sentiment) for f in features]
    got = scores(np.array(said), np.array([float(row["label"]) for row in valid]))
    assert got.corr >= 0.64
    assert got.mae <= 0.61
    stated = load_bundle("embedded")[0].data["held-out scores"]["text"]["MOSEI valid"]
    assert got.corr == pytest.approx(stated["corr"], abs=2e-3)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.embedded
@pytest.mark.usefixtures("embedded_weights")
def test_the_video_head_tells_happy_faces_from_others_as_its_card_says(model: LateFusion, data: Path) -> None:
    with np.load(data / "fer2013" / "PublicTest.npz", allow_pickle=False) as file:
        images, labels, classes = file["images"][1::2][:400], file["labels"][1::2][:400], list(file["classes"])
    rows = extractor_class("face")(device="cpu").encode(list(images))
    said, happy = judge(model, "video", rows), labels == classes.index("happy")
    # Area under the ROC curve, by its definition: how often a happy face is judged above another.
    assert (said[happy][:, None] > said[~happy][None]).mean() > 0.9
