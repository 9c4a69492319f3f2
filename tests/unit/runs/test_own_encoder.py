"""A bundle that reads texts with an encoder of its own is evaluated like any other."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from trisent.checkpoint import Bundle, save_bundle
from trisent.data.batching import Examples
from trisent.fusion.registry import build
from trisent.runs.evaluate import EvaluateOptions, evaluate_bundle
from trisent.seeding import seeded
from trisent.training.finetune import Finetune, FineTuned, encoder_files, load_learner, tokens_of
from unit.extractors import tiny
from unit.runs.conftest import made_up, source_of


def test_texts_without_features_are_read_by_the_bundles_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRISENT_OFFLINE", "1")
    tiny.bert(Path("tiny-bert"))
    words = ("good", "bad", "a film", "i love it", "the bad film")
    bare = replace(made_up(), features={})
    data = replace(bare, texts=tuple(f"{words[i % 5]} {words[i % 3]}" for i in range(len(bare))))
    how = Finetune(weights="tiny-bert")
    encoder = load_learner(how)
    with seeded(0):
        network = FineTuned(encoder, build("concat", {"dims": {"text": encoder.dim}}), how=how).eval()
    valid = data.index("valid")
    examples = Examples(data.take(valid), tokens=tokens_of([data.texts[i] for i in valid], encoder))
    with torch.no_grad():
        expected = network(examples.batch(torch.arange(len(valid)))).sentiment
    files, provenance = encoder_files(encoder, network)
    inner = network.inner
    bundle = Bundle("concat", inner.config, None, {"text": provenance}, {}, {}, False, "", 0)
    save_bundle(tmp_path / "run", bundle, inner, parts=files)
    options = EvaluateOptions(resamples=0, robustness=False, device="cpu")
    evaluation = evaluate_bundle(tmp_path / "run", source_of(data), options=options)
    assert evaluation.sheet.predictions.predicted == pytest.approx(expected.numpy(), abs=1e-4)
    assert evaluation.ridge is not None
    assert evaluation.ridge.trained_on == 20
    assert set(evaluation.modalities.subsets) == {"none", "text"}
    assert "the bundle does not say which data it was trained on" in evaluation.statements()
