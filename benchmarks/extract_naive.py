"""What trisent is compared with: the loop that users write, OpenCV and PIL in it, and transformers' pipeline."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from extract_material import MEAN, STD, Material

Run = Callable[[int], Any]
"""Does round number n and returns what came out, still in the side's own form."""
Rows = Callable[[Any], list[Any]]
"""Turns that into one array [steps, dim] an item."""

FPS = 2.0


def no_rows(_: Any) -> list[Any]:
    """Give nothing to compare."""
    return []


def bert(material: Material) -> Callable[[str], Any]:
    """Load a function from a text to [pieces, dim]."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(material.checkpoint("bert"))
    model = AutoModel.from_pretrained(material.checkpoint("bert")).eval()

    def one(text: str) -> Any:
        with torch.no_grad():
            return model(**tokenizer(text, return_tensors="pt", truncation=True)).last_hidden_state[0].numpy()

    return one


def wav2vec(material: Material) -> Callable[[Any], Any]:
    """Load a function from a waveform to [steps, dim]."""
    import torch
    from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2Model

    prepare = Wav2Vec2FeatureExtractor.from_pretrained(material.checkpoint("wav2vec"))
    model = Wav2Vec2Model.from_pretrained(material.checkpoint("wav2vec")).eval()

    def one(sound: Any) -> Any:
        with torch.no_grad():
            return model(**prepare(sound, sampling_rate=16_000, return_tensors="pt")).last_hidden_state[0].numpy()

    return one


def resnet(material: Material) -> Callable[[Any], Any]:
    """Load a function from a picture, RGB of any size, to [dim]: PIL scales it, then it goes through alone."""
    import torch
    from PIL import Image
    from transformers import ResNetModel

    model = ResNetModel.from_pretrained(material.checkpoint("resnet")).eval()
    mean, std = np.array(MEAN, np.float32), np.array(STD, np.float32)

    def one(picture: Any) -> Any:
        image = Image.fromarray(picture)
        scale = 256 / min(image.size)
        image = image.resize((int(image.width * scale), int(image.height * scale)), Image.Resampling.BILINEAR)
        left, top = round((image.width - 224) / 2), round((image.height - 224) / 2)
        array = (np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32) / 255 - mean) / std
        with torch.no_grad():
            return model(torch.from_numpy(array).permute(2, 0, 1)[None]).pooler_output.flatten().numpy()

    return one


def read_all(path: Path) -> list[Any]:
    """Read every picture with OpenCV and keep two a second, RGB."""
    import cv2

    capture, kept, number = cv2.VideoCapture(str(path)), [], 0
    step = capture.get(cv2.CAP_PROP_FPS) / FPS
    while True:
        there, picture = capture.read()
        if not there:
            break
        if number >= len(kept) * step:
            kept.append(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
        number += 1
    capture.release()
    return kept


def read_sound(path: Path) -> Any:
    """Decode the sound with PyAV to mono 16 kHz: float32 [samples]."""
    import av

    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


# --- the loops --------------------------------------------------------------------------------------------------------


def texts_one_by_one(material: Material) -> tuple[Run, Rows]:
    """Encode text by text."""
    one, texts = bert(material), material.texts
    return (lambda n: [one(text) for text in texts[n]]), list


def sounds_one_by_one(material: Material) -> tuple[Run, Rows]:
    """Encode clip by clip."""
    one, sounds = wav2vec(material), material.sounds
    return (lambda _: [one(sound) for sound in sounds]), list


def pictures_one_by_one(material: Material) -> tuple[Run, Rows]:
    """Scale and encode picture by picture."""
    one, clips = resnet(material), material.pictures
    return (lambda _: [np.stack([one(picture) for picture in clip]) for clip in clips]), list


def clips_one_by_one(material: Material) -> tuple[Run, Rows]:
    """Decode and encode clip by clip, all three modalities; nothing is even written."""
    import cv2  # noqa: F401 - imported here for its time not to count

    say, hear, see, texts = bert(material), wav2vec(material), resnet(material), material.texts

    def one(path: Path, text: str) -> Any:
        return say(text), hear(read_sound(path)), np.stack([see(picture) for picture in read_all(path)])

    return (lambda n: [one(p, texts[n][i % len(texts[n])]) for i, p in enumerate(material.clips)]), no_rows


def decoded(material: Material, *, sound: bool) -> tuple[Run, Rows]:
    """Decode as the loop does."""
    import cv2  # noqa: F401 - imported here for its time not to count

    return (lambda _: [(read_all(path), sound and read_sound(path)) for path in material.clips]), no_rows


# --- transformers' pipeline -------------------------------------------------------------------------------------------


def pipeline_text(material: Material, *, batch_size: int) -> tuple[Run, Rows]:
    """Hand all texts to the pipeline, which returns lists of lists."""
    from transformers import pipeline

    folder, texts = str(material.checkpoint("bert")), material.texts
    pipe = pipeline("feature-extraction", model=folder, tokenizer=folder, device="cpu", batch_size=batch_size)

    def rows(found: Any) -> list[Any]:  # a batch is padded, and it does not say where
        said, everything = found
        return [
            np.array(one[0])[: len(pipe.tokenizer(s)["input_ids"])] for one, s in zip(everything, said, strict=True)
        ]

    return (lambda n: (texts[n], pipe(texts[n]))), rows


def pipeline_video(material: Material, *, batch_size: int) -> tuple[Run, Rows]:
    """Hand all pictures to the pipeline, which scales and encodes them and returns lists of lists."""
    from PIL import Image
    from transformers import pipeline

    folder, clips = str(material.checkpoint("resnet")), material.pictures
    pipe = pipeline("image-feature-extraction", model=folder, device="cpu", batch_size=batch_size, pool=True)

    def run(_: int) -> Any:
        return pipe([Image.fromarray(picture) for clip in clips for picture in clip])

    return run, lambda out: list(np.array(out, np.float32).reshape(*clips.shape[:2], -1))
