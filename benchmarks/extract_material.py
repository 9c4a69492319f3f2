"""What the extraction benchmark works on: clips and texts made on the spot, and checkpoints of the true architectures.

Everything lies in one folder, so that each process reads the same. The clips move (a textured background that pans, a
head that sways, the noise of a sensor) and sound like syllables; the networks have random weights, seeded, unless the
catalog's are on this machine.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

RATE_HZ = 44_100
WIDTH, HEIGHT = 640, 360
WORDS = """the a of to and in that it is was i for on you he be with as by at have are this not but had his they from
she which or we an there her were one do been all their has would will what if can when so no about up out them some me
who like very really think movie film good bad people just know story acting time because great make more see much only
even way well also get first how too any little never most after over did many before must through back where your own
those being here still both life between old such last right while might same another know help every again"""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's
SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
SMALL_SPEECH = {"conv_dim": [32] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
SMALL_RESNET = {"embedding_size": 16, "hidden_sizes": [32, 64, 64, 64], "depths": [1, 1, 1, 1]}


@dataclass(frozen=True, slots=True)
class Material:
    """The folder with it: `texts` are one list a round (the first for warming up)."""

    folder: Path

    @property
    def texts(self) -> list[list[str]]:
        """Texts of about 25 pieces, no two rounds the same."""
        found: list[list[str]] = json.loads((self.folder / "texts.json").read_text(encoding="utf-8"))
        return found

    @property
    def sounds(self) -> Any:
        """Waveforms of the clips: float32 mono 16 kHz [clips, samples]."""
        return np.load(self.folder / "sounds.npy")

    @property
    def pictures(self) -> Any:
        """Two pictures a second of each clip: RGB uint8 [clips, pictures, height, width, 3]."""
        return np.load(self.folder / "pictures.npy")

    @property
    def clips(self) -> list[Path]:
        """The clips, a file each."""
        return sorted((self.folder / "clips").glob("*.mp4"))

    @property
    def table(self) -> Path:
        """A label.csv in the field's layout, for the whole way from files to a store."""
        return self.folder / "corpus" / "label.csv"

    def checkpoint(self, name: str) -> Path:
        """Return the folder of "bert", "wav2vec" or "resnet", as transformers saves them."""
        return self.folder / "checkpoints" / name


def make_material(folder: Path, *, rounds: int, clips: int, texts: int, corpus: int, small: bool) -> Material:
    """Make everything.

    Args:
        folder: where; empty.
        rounds: of the measurement.
        clips: of 7 s (of 1 s when `small`).
        texts: a round.
        corpus: utterances in the label.csv, copies of the clips.
        small: toy networks, to see whether the benchmark runs.
    """
    from media_files import write
    from trisent.media.clips import Pictures, read_clips
    from trisent.types import Utterance

    rng, length_s = np.random.default_rng(0), 1.0 if small else 7.0
    (folder / "texts.json").write_text(json.dumps([_texts(rng, texts) for _ in range(rounds + 1)]), encoding="utf-8")
    (folder / "clips").mkdir()
    sounds, pictures = [], []
    for number in range(clips):
        path = folder / "clips" / f"{number}.mp4"
        sound = _speech(rng, length_s)
        options = {"preset": "medium", "crf": "23"}
        write(path, pictures=_scene(rng, length_s), sound=sound, rate=RATE_HZ, layout="stereo", codec_options=options)
        [clip] = read_clips(path, [Utterance("", 0.0, length_s)], pictures=Pictures(longest_side=None))
        assert clip.waveform is not None
        assert clip.frames is not None
        sounds.append(clip.waveform)
        pictures.append(clip.frames.images)
    np.save(folder / "sounds.npy", np.stack(sounds))
    np.save(folder / "pictures.npy", np.stack(pictures))
    material = Material(folder)
    _make_corpus(material, _texts(rng, corpus))
    _make_checkpoints(material, small=small)
    return material


def _make_corpus(material: Material, texts: list[str]) -> None:
    lines = ["video_id,clip_id,text,label,mode"]
    clips = material.clips
    for number, text in enumerate(texts):
        there = material.table.parent / "Raw" / f"video{number // 8}" / f"{number % 8}.mp4"
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(clips[number % len(clips)].read_bytes())
        lines.append(f"{there.parent.name},{there.stem},{text},0.5,train")
    material.table.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _texts(rng: np.random.Generator, count: int) -> list[str]:
    """Draw texts whose lengths are spread as those of CMU-MOSEI: 3 to 120 pieces, 25 on average, most of them short."""
    words = WORDS.split()
    lengths = np.clip(rng.lognormal(np.log(20), 0.65, count).astype(int), 1, 118)  # without [CLS] and [SEP]
    return [" ".join(rng.choice(words, length)) for length in lengths]


def _scene(rng: np.random.Generator, length_s: float) -> Iterator[Any]:
    """Paint 25 pictures a second, uint8 [height, width, 3]."""
    background = _texture(rng, HEIGHT + 80, WIDTH + 160, coarse=12)
    head = _texture(rng, HEIGHT, WIDTH, coarse=30) * 0.3 + np.array([150, 115, 95], np.float32)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    grain = [rng.normal(0, 2.5, (HEIGHT, WIDTH, 1)).astype(np.float32) for _ in range(7)]
    for k in range(round(length_s * 25)):
        t = k / 25
        left, top = round(80 + 60 * np.sin(0.5 * t)), round(40 + 20 * np.sin(0.3 * t))
        centre_x, centre_y = WIDTH / 2 + 40 * np.sin(1.1 * t), HEIGHT / 2 + 12 * np.sin(2.3 * t)
        inside = ((x - centre_x) / 85) ** 2 + ((y - centre_y) / 115) ** 2 < 1
        mouth = ((x - centre_x) / 30) ** 2 + ((y - centre_y - 55) / (4 + 10 * abs(np.sin(9 * t)))) ** 2 < 1
        shift = (round(centre_y - HEIGHT / 2), round(centre_x - WIDTH / 2))
        picture = np.where(inside[..., None], np.roll(head, shift, (0, 1)), background[top:, left:][:HEIGHT, :WIDTH])
        picture[mouth] = (60, 20, 25)
        yield np.clip(picture + grain[k % len(grain)], 0, 255).astype(np.uint8)


def _texture(rng: np.random.Generator, height: int, width: int, *, coarse: int) -> Any:
    """Add up noise of several sizes in colour: float32 [height, width, 3]."""
    from PIL import Image

    total = np.full((height, width, 3), 120.0, np.float32)
    for size, strength in ((coarse, 60), (coarse * 4, 25), (coarse * 12, 10)):
        noise = Image.fromarray(rng.integers(0, 255, (size * height // width + 1, size, 3), np.uint8))
        total += strength * (np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC), np.float32) / 128 - 1)
    return total


def _speech(rng: np.random.Generator, length_s: float) -> Any:
    """Sing syllables: harmonics of a wandering pitch, four loud moments a second, a little noise; [2, samples]."""
    t = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    pitch_hz = rng.uniform(100, 200) * (1 + 0.15 * np.sin(2 * np.pi * 0.7 * t + rng.uniform(0, 6)))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
    voice = sum(np.sin(k * phase) / k ** (1 + 0.5 * np.sin(2 * np.pi * 1.3 * t)) for k in range(1, 20))
    loud = np.clip(np.sin(2 * np.pi * 2.1 * t + rng.uniform(0, 6)), 0, None) ** 0.5
    mono = 0.15 * voice * loud + 0.005 * rng.standard_normal(len(t))
    return np.stack([mono, 0.9 * mono]).astype(np.float32)


def _make_checkpoints(material: Material, *, small: bool) -> None:
    import torch
    import transformers
    from PIL import Image

    from trisent.extractors.loading import quiet_transformers, read_state
    from trisent.extractors.resnet import transformers_names
    from trisent.weights import find

    torch.manual_seed(0)
    material.checkpoint("bert").parent.mkdir()
    placed = {} if small else {name: find(name) for name in ("bert-base-uncased", "wav2vec2-base", "resnet50")}
    found: Any = placed.get("bert-base-uncased")
    with quiet_transformers():
        if found:
            material.checkpoint("bert").symlink_to(found.folder)
        else:
            config = transformers.BertConfig(**(SMALL if small else {}))
            transformers.BertModel(config).save_pretrained(material.checkpoint("bert"))
            pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(WORDS.split())]
            pieces += [f"##{number}" for number in range(config.vocab_size - len(pieces))]
            tokenizer = transformers.BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)})
            tokenizer.save_pretrained(material.checkpoint("bert"))
        if found := placed.get("wav2vec2-base"):
            material.checkpoint("wav2vec").symlink_to(found.folder)
        else:
            config = transformers.Wav2Vec2Config(**(SMALL | SMALL_SPEECH if small else {}))
            transformers.Wav2Vec2Model(config).save_pretrained(material.checkpoint("wav2vec"))
            transformers.Wav2Vec2FeatureExtractor().save_pretrained(material.checkpoint("wav2vec"))
        resnet = transformers.ResNetModel(transformers.ResNetConfig(**(SMALL_RESNET if small else {})))
        if found := placed.get("resnet50"):  # torchvision's file: a user would have the names changed once, as here
            resnet.load_state_dict(transformers_names(read_state(found.file)), strict=True)
        resnet.save_pretrained(material.checkpoint("resnet"))
        transformers.ConvNextImageProcessor(
            size={"shortest_edge": 224}, resample=Image.Resampling.BILINEAR, image_mean=MEAN, image_std=STD
        ).save_pretrained(material.checkpoint("resnet"))
    real = [name for name, found in placed.items() if found]
    (material.folder / "weights.txt").write_text(", ".join(real), encoding="utf-8")
