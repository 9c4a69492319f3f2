"""The predictor: features go through the bundle's cleaning before the model sees them."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from trisent.checkpoint import Bundle
from trisent.data.cleaning import fit_cleaning
from trisent.data.dataset import Dataset, Sequences
from trisent.errors import BundleError
from trisent.fusion.batch import collate
from trisent.fusion.concat import ConcatFusion
from trisent.predictor import Predictor, _check_fit
from trisent.types import Clip, Features, Floats, Provenance, Utterance

FACTS = {"preset": None, "extractors": None, "scores": {}, "data": {}, "synthetic": True, "licence": "", "seed": 0}


class Loudness:
    """An extractor of two numbers a tenth of a second, and a third that is never finite."""

    modality, dim = "audio", 3
    provenance = Provenance("loudness", "none", "", (), "")

    def extract(self, batch: Sequence[Floats]) -> list[Features]:
        return [self._one(waveform.reshape(-1, 1600)) for waveform in batch]

    def _one(self, parts: Floats) -> Features:
        rows = np.stack([np.abs(parts).mean(axis=1), parts.std(axis=1), np.full(len(parts), -np.inf)], axis=1)
        return Features(rows.astype(np.float32), np.arange(len(rows), dtype=np.float32), np.ones(len(rows), np.bool_))


def test_a_clip_is_judged_on_features_cleaned_as_in_training():
    random = np.random.default_rng(0)
    extractor = Loudness()
    waveform = random.standard_normal(16_000).astype(np.float32)
    [seen] = extractor.extract([random.standard_normal(160_000).astype(np.float32)])
    steps = Sequences(seen.values, np.arange(101), seen.times, seen.mask)
    ids, splits = tuple(map(str, range(100))), ("train",) * 100
    cleaning = fit_cleaning(Dataset("d", "", ids, splits, {"sentiment": np.zeros(100, np.float32)}, {"audio": steps}))
    torch.manual_seed(0)
    model = ConcatFusion({"audio": 2}, hidden=8).eval()
    bundle = Bundle(model_name="concat", model_config=model.config, **FACTS, cleaning=cleaning)

    predictor = Predictor(bundle, model, {"audio": extractor})
    [prediction] = predictor._judge([Clip(Utterance("u", 0.0, 1.0), waveform, None)], {})

    [raw] = extractor.extract([waveform])
    means, stds = seen.values[:, :2].mean(axis=0), seen.values[:, :2].std(axis=0)
    by_hand = np.clip((raw.values[:, :2] - means) / stds, -3, 3).astype(np.float32)
    batch = collate([{"audio": Features(by_hand, raw.times, raw.mask)}], {"audio": 2})
    assert prediction.judgement.sentiment == pytest.approx(float(model(batch).sentiment[0].detach()), abs=1e-4)


@pytest.mark.parametrize(
    ("weights", "advice"),
    [
        ("mine", "back into models/mine"),
        ("org/name", "pull org/name"),
        ("efficientnet-lite0+mtcnn", "efficientnet-lite0"),
    ],
)
def test_features_of_other_weights_are_refused_with_the_way_to_the_right_ones(weights: str, advice: str):
    model = ConcatFusion({"audio": 3}, hidden=8).eval()
    trained = Provenance("loudness", weights, "a" * 64, (), "")
    facts = FACTS | {"extractors": {"audio": trained}}
    bundle = Bundle(model_name="concat", model_config=model.config, **facts)
    with pytest.raises(BundleError, match=f"cannot be mixed.*{advice}$"):
        _check_fit(bundle, model, {"audio": Loudness()}, "run")
