"""A small data set in the field's layout, and tiny encoders to extract it with."""

import csv
from pathlib import Path

from safetensors.torch import save_file

import media_files as media
from trisent.features.settings import ExtractSettings
from unit.extractors import tiny

TEXTS = ("i love the film", "a bad film", "good", "the film, a good film", "bad", "i loved the bad film")


def corpus(folder: Path, *, clips: int = 12) -> Path:
    """Write label.csv beside Raw/: clips of different lengths and pitch."""
    raw = folder / "Raw"
    rows = []
    for k in range(clips):
        video, clip = f"video {k // 3}", f"{k % 3:04d}"
        (raw / video).mkdir(parents=True, exist_ok=True)
        n = 20 + 5 * (k % 5)
        pictures = media.greys(n, width=96, height=64)
        sound = media.tone(n / media.FPS, hz=200 + 40 * k)
        media.write(raw / video / f"{clip}.mp4", pictures=pictures, sound=sound)
        rows.append([video, clip, TEXTS[k % len(TEXTS)], (k % 7) - 3, ("train", "valid", "test")[k % 3]])
    write_labels(folder, rows)
    return folder


def write_labels(folder: Path, rows: list[list[object]]) -> None:
    """Write label.csv."""
    with (folder / "label.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["video_id", "clip_id", "text", "label", "mode"])
        writer.writerows(rows)


def read_labels(folder: Path) -> list[list[object]]:
    """Read what `write_labels` wrote."""
    with (folder / "label.csv").open(newline="", encoding="utf-8") as file:
        return [list(row) for row in csv.reader(file)][1:]


def encoders(folder: Path) -> dict[str, str]:
    """Save tiny BERT, wav2vec 2.0 and ResNet; return them as settings name them."""
    for name, make in (("bert", tiny.bert), ("wav2vec", tiny.wav2vec)):
        (folder / name).mkdir(parents=True)
        make(folder / name)
    (folder / "resnet").mkdir()
    save_file(tiny.resnet_state(), folder / "resnet" / "model.safetensors")
    (folder / "resnet" / "config.json").write_text("{}", encoding="utf-8")
    names = {"text": "bert", "audio": "wav2vec", "video": "resnet"}
    return {modality: f"{name}:{folder / name}" for modality, name in names.items()}


def settings(named: dict[str, str], **options: object) -> ExtractSettings:
    """Extract in fp32, in this process unless `workers` says otherwise."""
    told: dict[str, object] = {"precision": "fp32", "device": "cpu", "workers": 0, **named, **options}
    return ExtractSettings(**told)  # type: ignore[arg-type]
