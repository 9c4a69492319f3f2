"""`trisent demo`: the whole way on the sample clip."""

import json
import re
import shutil
import subprocess
import sys
from difflib import SequenceMatcher
from pathlib import Path

import jsonschema
import pytest

from commands.conftest import ROOT
from trisent.report import SCHEMA

pytestmark = [pytest.mark.embedded, pytest.mark.usefixtures("embedded_weights")]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the demo once for all tests of this file."""
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "trisent", "--lang", "en", "demo"]
    done = subprocess.run(command, cwd=folder, env=_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (folder / "stdout").write_text(done.stdout)
    return folder


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "2"}


def utterances(demo: Path) -> list[dict[str, object]]:
    document = json.loads((demo / "runs/demo/predictions.json").read_text(encoding="utf-8"))
    return list(document["videos"][0]["utterances"])


def written() -> list[dict[str, str]]:
    return list(json.loads((ROOT / "src/trisent/samples/talk.json").read_text(encoding="utf-8"))["sentences"])


def test_predictions_json_validates_against_the_schema_in_the_package(demo: Path) -> None:
    document = json.loads((demo / "runs/demo/predictions.json").read_text(encoding="utf-8"))
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)


def test_nine_of_ten_words_are_recognised(demo: Path) -> None:
    def words(texts: list[str]) -> list[str]:
        return re.findall(r"[a-z']+", " ".join(texts).lower())

    heard, said = words([str(u["text"]) for u in utterances(demo)]), words([s["text"] for s in written()])
    right = sum(block.size for block in SequenceMatcher(None, heard, said, autojunk=False).get_matching_blocks())
    assert right >= 0.9 * len(said)
    assert right >= 0.9 * len(heard)


def test_the_most_negative_and_the_most_positive_sentence_are_the_ones_written_so(demo: Path) -> None:
    judged = sorted(utterances(demo), key=lambda u: float(str(u["sentiment"])))
    lowest, highest = str(judged[0]["text"]), str(judged[-1]["text"])
    by_intent = {s["written_as"]: s["text"] for s in written()}
    assert SequenceMatcher(None, lowest, by_intent["most negative"]).ratio() > 0.8
    assert SequenceMatcher(None, highest, by_intent["most positive"]).ratio() > 0.8


def test_contributions_sum_to_the_sentiment(demo: Path) -> None:
    for u in utterances(demo):
        modalities = u["modalities"]
        assert isinstance(modalities, dict)
        assert set(modalities) == {"text", "audio", "video"}
        total = sum(m["contribution"] for m in modalities.values())
        assert total + float(str(u["baseline"])) == pytest.approx(float(str(u["sentiment"])), abs=5e-4)


def test_the_report_stands_alone_and_has_a_row_with_a_picture_for_every_utterance(demo: Path) -> None:
    page = (demo / "runs/demo/report.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == len(utterances(demo))
    assert "<svg" in page
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", page)
    for u in utterances(demo):
        assert str(u["text"]) in page


def test_the_table_is_printed_with_the_report_to_open(demo: Path) -> None:
    printed = (demo / "stdout").read_text()
    assert "report: runs/demo/report.html" in printed
    for u in utterances(demo):
        assert f"{float(str(u['sentiment'])):+.2f}" in printed


def test_it_speaks_chinese_on_demand_and_needs_no_network_once_the_weights_are_here(tmp_path: Path) -> None:
    """Where the system does not let us take the network away, only the language is looked at."""
    unshare = shutil.which("unshare")
    alone = (
        unshare is not None and not subprocess.run([unshare, "-n", "true"], capture_output=True, check=False).returncode
    )
    words = [sys.executable, "-m", "trisent", "--lang", "zh", "demo", "--out", "报告 1"]
    command = [str(unshare), "-n", *words] if alone else words
    done = subprocess.run(command, cwd=tmp_path, env=_environment(), capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert "报告 1" in done.stdout
    assert re.search("积极|消极|中性", done.stdout)
