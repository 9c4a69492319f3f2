"""The page of an audit needs nothing but itself, and says in both languages what was found."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from trisent.data.audit import audit
from trisent.data.audit.page import to_html, write_page
from trisent.data.dataset import Dataset
from trisent.i18n import set_language
from unit.data.clean_set import clean_set


@pytest.fixture
def flawed() -> Dataset:
    d = clean_set()
    values = d.features["audio"].values.copy()
    values[5, 3] = -np.inf
    texts = (*d.texts[:-1], d.texts[0] + " <script>")
    audio = replace(d.features["audio"], values=values)
    return replace(d, texts=texts, features={**d.features, "audio": audio})


@pytest.fixture
def speaking_chinese() -> Iterator[None]:
    set_language("zh")
    yield
    set_language("en")


def test_the_page_names_every_finding_and_loads_nothing(flawed: Dataset) -> None:
    report = audit(flawed)
    page = to_html(report, flawed)
    for finding in report.findings:
        assert finding.code in page
    assert not re.search(r"(src|href)=|url\(|@import|https?://", page)
    assert "<script>" not in page


def test_every_drawing_is_well_formed_and_of_finite_size(flawed: Dataset) -> None:
    drawings = re.findall(r"<svg.*?</svg>", to_html(audit(flawed), flawed), re.DOTALL)
    assert len(drawings) == 3 + 1 + 3 + 6  # labels, classes, lengths, two strips a modality
    for drawing in drawings:
        for rect in ElementTree.fromstring(drawing).iter("rect"):
            assert 0 <= float(rect.attrib["width"]) <= 1000
            assert np.isfinite(float(rect.attrib["height"]))


def test_bars_add_up_to_the_utterances_of_a_split(flawed: Dataset) -> None:
    page = to_html(audit(flawed), flawed)
    bars = re.findall(r'aria-label="train">(.*?)</svg>', page, re.DOTALL)[0]
    assert sum(map(int, re.findall(r"<title>(\d+)</title>", bars))) == len(flawed.index("train"))


@pytest.mark.usefixtures("speaking_chinese")
def test_the_page_says_its_language(flawed: Dataset) -> None:
    assert '<html lang="zh">' in to_html(audit(flawed), flawed)


def test_the_page_appears_whole(flawed: Dataset, tmp_path: Path) -> None:
    write_page(tmp_path / "new" / "report.html", audit(flawed), flawed)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["report.html"]


def test_the_report_is_json_without_nan(flawed: Dataset) -> None:
    document = json.loads(json.dumps(audit(flawed).to_json(), allow_nan=False))
    assert document["counts"]["warning"] >= 2
    assert {"code", "level", "title", "count", "ids", "why", "todo"} == document["findings"][0].keys()
