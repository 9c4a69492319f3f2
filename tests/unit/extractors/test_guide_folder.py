"""The guide's `model_name='models/NAME'` when nobody has placed that folder: the catalog's weights are meant."""

import logging
import os
from pathlib import Path

import pytest

from trisent.errors import WeightsError
from trisent.extractors.text import BERTTextExtractor
from trisent.weights import ensure


@pytest.mark.embedded
@pytest.mark.parametrize("folder", ["models/minilm-l6", "./models/minilm-l6/", Path("models/minilm-l6")])
def test_the_catalog_s_weights_stand_in_for_an_absent_folder_with_one_line_of_warning(
    folder: str | Path, caplog: pytest.LogCaptureFixture
):
    weights = ensure(folder)
    assert (weights.name, weights.pinned) == ("minilm-l6", True)
    lines = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert lines == [f"there is no folder {Path('models/minilm-l6')}; taking minilm-l6 of the catalog"]


def test_without_network_the_error_names_the_catalog_s_weights(caplog: pytest.LogCaptureFixture):
    with pytest.raises(WeightsError, match="bert-base-uncased is not on this machine and TRISENT_OFFLINE forbids"):
        BERTTextExtractor(model_name="models/bert-base-uncased")
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "folder",
    [
        "models/nobody-knows-this",
        "elsewhere/models/bert-base-uncased",
        os.path.abspath("models/bert-base-uncased"),  # noqa: PTH100 - a string, as people write it
        "models/all-MiniLM-L6-v2",  # an alias of the catalog, but not the guide's form
    ],
)
def test_any_other_absent_folder_is_an_error(folder: str):
    with pytest.raises(WeightsError, match="there is no folder"):
        ensure(folder)


def test_a_file_in_its_place_is_an_error():
    Path("models").mkdir()
    Path("models/bert-base-uncased").write_text("")
    with pytest.raises(WeightsError, match="is a file"):
        ensure("models/bert-base-uncased")


def test_an_empty_folder_is_an_error_for_somebody_meant_to_fill_it():
    Path("models/bert-base-uncased").mkdir(parents=True)
    with pytest.raises(WeightsError, match="lacks"):
        ensure("models/bert-base-uncased")
