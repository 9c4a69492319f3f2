"""Train the bundle `embedded` that ships with trisent: three heads, each on real data, combined by precision.

    pip install -c constraints.txt -e ".[heads]"
    python scripts/train_embedded.py DATA

DATA holds mosei_text/ (label.csv, emotions.csv), mosei_videolevel/mosei_videos.npz, ravdess_speech16k/wav/*.flac and
fer2013/ (Training.npz, PublicTest.npz); docs/en/embedded.md says where they come from. Features are kept in --cache:
the first run takes about an hour on two cores, later ones some minutes.

text   CMU-MOSEI train -> sentiment with its variance. One video in ten of train calibrates the variance; valid scores.
audio  RAVDESS -> emotion. Scored on actors 17-20 by a head trained on 1-16; the one that ships is trained on all 20.
video  FER-2013 Training -> emotion. The even rows of PublicTest chose its settings and temperature, the odd rows score.
"""

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from embedded_data import EMOTIONS, Rows, audio_rows, emotion_sentiment, face_rows, text_rows
from trisent.checkpoint import Bundle, save_bundle
from trisent.evaluation.metrics import scores
from trisent.extractors.registry import preset_extractors
from trisent.fusion.fit_heads import (
    HeadConfig,
    calibrate_temperature,
    calibrate_variance,
    train_emotion,
    train_regression,
)
from trisent.fusion.heads import EmotionHead, RegressionHead
from trisent.fusion.late import LateFusion
from trisent.types import Modality

logger = logging.getLogger("trisent")

LICENCE = "research, non-commercial (CMU-MOSEI: academic use; RAVDESS: CC BY-NC-SA 4.0; FER-2013: research use)"
TEXT = HeadConfig(epochs=12)
AUDIO = HeadConfig(epochs=30, batch_size=64, weight_decay=0.05, label_smoothing=0.1)
VIDEO = HeadConfig(epochs=20, weight_decay=0.05)


def trust(data: Path, sentiment: dict[str, tuple[float, float, int]], prior_variance: float) -> dict[str, float]:
    """Measure how far a voice or a face is to be believed about the sentiment of what is said.

    The emotion heads take their emotion for the one that MOSEI's annotators saw, heard and read; then it would explain
    R2 = 1 - mean(spread^2) / prior of the sentiment. What sound and pictures alone explain is less: r2, by extremely
    randomised trees on the COVAREP and FACET means of 742 MOSEI videos, 10-fold. Trust is the ratio of the two
    signal-to-noise ratios, r2 / (1 - r2) over R2 / (1 - R2), which makes the precision gained what was measured.
    """
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.model_selection import KFold, cross_val_predict

    clear = [(s**2, n) for e, (_, s, n) in sentiment.items() if e != "fear"]  # fear borrows the others' utterances
    believed = 1 - sum(v * n for v, n in clear) / sum(n for _, n in clear) / prior_variance
    with np.load(data / "mosei_videolevel" / "mosei_videos.npz", allow_pickle=False) as file:
        truth, columns = file["sentiment"], {"audio": file["acoustic_covarep40"], "video": file["visual_facet35"]}
    trusted = {}
    for modality, values in columns.items():
        known = np.where(np.isfinite(values), values, np.nan)  # COVAREP's column 7 holds -inf
        filled = np.where(np.isnan(known), np.nanmedian(known, axis=0), known)
        trees = ExtraTreesRegressor(300, min_samples_leaf=5, random_state=0)
        said = cross_val_predict(trees, filled, truth, cv=KFold(10, shuffle=True, random_state=0))
        explained = float(np.corrcoef(said, truth)[0, 1] ** 2)
        trusted[modality] = round(explained / (1 - explained) / (believed / (1 - believed)), 4)
        logger.info(
            "%s: explains %.3f, would explain %.3f: trust %.3f", modality, explained, believed, trusted[modality]
        )
    return trusted


def emotion_head(dim: int, sentiment: dict[str, tuple[float, float, int]], **options: Any) -> dict[str, Any]:
    """Write down the settings of a head that recognises emotions."""
    anchors = {
        "anchors": [round(sentiment[e][0], 4) for e in EMOTIONS],
        "spreads": [round(sentiment[e][1], 4) for e in EMOTIONS],
    }
    return {"kind": "emotion", "dim": dim, "emotions": EMOTIONS, **anchors, "members": 3, **options}


def fit_text(model: LateFusion, rows: Rows) -> dict[str, Any]:
    """Train and score the text head; the model's prior is the training data's."""
    head, labels = model.heads["text"], torch.from_numpy(rows.facts["label"])
    assert isinstance(head, RegressionHead)
    train = rows.facts["mode"] == "train"
    videos = np.unique(rows.facts["video_id"][train])
    held = np.isin(rows.facts["video_id"], videos[::10]) & train
    train_regression(head, rows.mean[train & ~held], labels[train & ~held], TEXT)
    calibrate_variance(head, rows.mean[held], labels[held])
    valid = rows.facts["mode"] == "valid"
    with torch.inference_mode():
        said = head.estimate(rows.mean[valid])
    got = scores(said.mean.numpy(), rows.facts["label"][valid])
    error = (said.mean - labels[valid]) ** 2 / said.variance
    return {"MOSEI valid": {**got.to_json(), "squared_error_over_variance": round(float(error.mean()), 4)}}


def fit_audio(model: LateFusion, rows: Rows) -> dict[str, Any]:
    """Train three times: on actors 1-12 to set the temperature, on 1-16 to score, on all twenty to ship."""
    x, y = torch.cat([rows.mean, rows.std], dim=1), torch.from_numpy(rows.facts["emotion"])
    actor, head = torch.from_numpy(rows.facts["actor"]), model.heads["audio"]
    assert isinstance(head, EmotionHead)
    start = {name: tensor.clone() for name, tensor in head.state_dict().items()}

    def trained_on(which: Tensor) -> EmotionHead:
        temperature = head.temperature.clone()
        head.load_state_dict(start)
        train_emotion(head, x[which], y[which], AUDIO)
        head.temperature.copy_(temperature)
        return head

    tuning, held = (actor > 12) & (actor <= 16), actor > 16
    calibrate_temperature(trained_on(actor <= 12), x[tuning], y[tuning])
    report = emotion_scores(trained_on(~held), x[held], y[held])
    trained_on(actor > 0)
    return {"actors 17-20": report}


def fit_video(model: LateFusion, train: Rows, public: Rows) -> dict[str, Any]:
    """Train and score the video head."""
    head = model.heads["video"]
    assert isinstance(head, EmotionHead)
    train_emotion(head, train.mean, torch.from_numpy(train.facts["emotion"]), VIDEO)
    labels = torch.from_numpy(public.facts["emotion"])
    calibrate_temperature(head, public.mean[::2], labels[::2])
    return {"PublicTest, odd rows": emotion_scores(head, public.mean[1::2], labels[1::2])}


@torch.inference_mode()
def emotion_scores(head: EmotionHead, rows: Tensor, labels: Tensor) -> dict[str, float | int]:
    """Score a head: accuracy over seven classes, recall averaged over classes, correlation of the sentiment said with
    that which goes with the true emotion, and with plain valence (happy 1, neutral and surprise 0, the others -1).
    """
    found, said = head.probabilities(rows).argmax(dim=1), head.estimate(rows).mean
    right = found == labels
    recall = [float(right[labels == k].float().mean()) for k in labels.unique()]
    plain = torch.tensor([0.0, 1.0, -1.0, -1.0, -1.0, -1.0, 0.0])[labels]

    def corr(truth: Tensor) -> float:
        return round(float(np.corrcoef(said, truth)[0, 1]), 4)

    return {
        "n": len(labels),
        "accuracy": round(float(right.float().mean()), 4),
        "mean_recall": round(float(np.mean(recall)), 4),
        "valence_corr": corr(head.anchors[labels]),
        "plain_valence_corr": corr(plain),
    }


def build(
    data: Path, text: Rows, sentiment: dict[str, tuple[float, float, int]], dims: dict[Modality, int]
) -> LateFusion:
    """Make the untrained model."""
    train = text.facts["label"][text.facts["mode"] == "train"]
    trusted = trust(data, sentiment, float(train.var()))
    heads = {
        "text": {
            "kind": "regression",
            "pooling": "mean",
            "trust": 1.0,
            "dim": dims["text"],
            "hidden": 256,
            "members": 3,
            "dropout": 0.3,
        },
        "audio": emotion_head(
            2 * dims["audio"], sentiment, trust=trusted["audio"], pooling="mean+std", hidden=128, dropout=0.5
        ),
        "video": emotion_head(
            dims["video"], sentiment, trust=trusted["video"], pooling="mean", hidden=256, dropout=0.3
        ),
    }
    return LateFusion(heads=heads, prior_mean=round(float(train.mean()), 4), prior_std=round(float(train.std()), 4))


def card(facts: dict[str, Any], seed: int) -> str:
    """Write the model card."""
    held = facts["held-out scores"]
    text, audio = held["text"]["MOSEI valid"], held["audio"]["actors 17-20"]
    video = held["video"]["PublicTest, odd rows"]
    template = (Path(__file__).parent / "embedded_card.md").read_text(encoding="utf-8")
    rows = [
        f"| {e} | {v['mean']:+.2f} | {v['std']:.2f} | {v['utterances']} |"
        for e, v in facts["sentiment of emotions"].items()
    ]
    return template.format(
        text=text,
        audio=audio,
        video=video,
        trust=facts["trust"],
        rows=facts["rows"],
        seed=seed,
        emotions="\n".join(rows),
        licence=LICENCE,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Extract, train, score, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("src/trisent/bundles/embedded"))
    parser.add_argument("--cache", type=Path, default=Path("runs/embedded_features"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    extractors: dict[Modality, Any] = dict(preset_extractors("embedded"))
    text = text_rows(options.data, options.cache, extractors["text"])
    audio = audio_rows(options.data, options.cache, extractors["audio"])
    faces = {s: face_rows(options.data, options.cache, extractors["video"], s) for s in ("Training", "PublicTest")}
    sentiment = emotion_sentiment(options.data)
    torch.manual_seed(options.seed)
    model = build(options.data, text, sentiment, {m: e.dim for m, e in extractors.items()})
    results = {
        "text": fit_text(model, text),
        "audio": fit_audio(model, audio),
        "video": fit_video(model, faces["Training"], faces["PublicTest"]),
    }
    train = int((text.facts["mode"] == "train").sum())
    facts = {
        "name": "CMU-MOSEI transcripts, RAVDESS speech, FER-2013",
        "rows": {"text": train, "audio": len(audio.mean), "video": len(faces["Training"].mean)},
        "sentiment of emotions": {e: {"mean": m, "std": s, "utterances": n} for e, (m, s, n) in sentiment.items()},
        "trust": {m: model.config["heads"][m]["trust"] for m in model.dims},
        "held-out scores": results,
    }
    bundle = Bundle(
        model_name="late",
        model_config=model.config,
        preset="embedded",
        extractors={m: e.provenance for m, e in extractors.items()},
        scores={},  # of the whole model: no labelled video with sound was at hand
        data=facts,
        synthetic=False,
        licence=LICENCE,
        seed=options.seed,
    )
    save_bundle(options.out, bundle, model, extra={"README.md": card(facts, options.seed).encode()})
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
