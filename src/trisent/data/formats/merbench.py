"""The folders of MERBench (cmumosei-process and its like): labels in one file, features in one file a clip.

    label.npz                   train_corpus, val_corpus, test_corpus (or test1_ … test3_, or whole_corpus alone):
                                a pickled dictionary, clip -> {"emo": class, "val": sentiment}
    features/{name}-{UTT,FRA}/  {clip}.npy, [dim] or [steps, dim]; or {clip}/ with one .npy a frame
    transcription*.csv          name, then english or chinese: the first is what is said, the other its translation

The name of a folder of features is that of the encoder, which tells its modality. A clip is "video_number".
"""

import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from trisent.data.dataset import SENTIMENT, Dataset, Sequences
from trisent.data.formats.pickled import check_widths, numbers, piece, unique
from trisent.data.padding import Piece, end_to_end
from trisent.data.safe_pickle import load
from trisent.errors import DataError
from trisent.evaluation.classes import SIMS_SCALE
from trisent.features.tables import read_table
from trisent.i18n import system_reason, t
from trisent.types import MODALITIES, SENTIMENT_MAX, SENTIMENT_MIN, Floats, Modality

LABELS = "label.npz"
TRANSCRIPTS = ("transcription-engchi-polish.csv", "transcription-engchi.csv", "transcription.csv")
_SPLITS = {"train": "train", "val": "valid", "test": "test", "test1": "test", "test2": "test", "test3": "test"}
_CORPUS = "_corpus.npy"
_MOST_BYTES = 1 << 30  # of one member of label.npz, unpacked; MOSEI's has 1.3 million
# what the encoders of MERBench's toolkit are called
_ENCODERS: dict[Modality, str] = {
    "audio": r"wav2vec|hubert|wavlm|whisper|data2vec-audio|is(09|10|13)|egemaps|vggish|opensmile|clap|imagebind-audio",
    "video": r"clip-vit|videomae|data2vec-vision|eva0|manet|emonet|resnet|senet|msceleb|imagenet|dino|openface|faces",
    "text": r"bert|xlnet|electra|t5|gpt|llama|bloom|opt|falcon|chatglm|moss|vicuna|alpaca"
    r"|baichuan|stablelm|mpnet|taiyi",
}


def recognises(path: Path) -> bool:
    """Say whether it is a folder with MERBench's label.npz."""
    try:
        with zipfile.ZipFile(path / LABELS) as archive:
            return any(name.endswith(_CORPUS) for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def read(path: Path) -> Dataset:
    """Read a folder of MERBench.

    Raises:
        UnsafePickleError: the labels hold more than plain data.
        DataError: labels or features are damaged, or there are several features of one modality.
    """
    corpora = _read_labels(path / LABELS)
    clips = [(split, str(name), label) for split, corpus in corpora for name, label in corpus.items()]
    if not clips:
        raise DataError(t("{path} has no utterances", path=path / LABELS))
    names = [name for _, name, _ in clips]
    ids, notes = unique(names)
    values = numbers(path / LABELS, [_value(label) for *_, label in clips], "val")
    texts, more = _read_texts(path, names)
    if bare := [str(name) for _, name, label in clips if not isinstance(label, dict)]:
        message = "{count} of {n} labels are not written as {expected} and count as unknown, first that of {first}"
        more += (t(message, count=len(bare), n=len(clips), expected='{"emo": …, "val": …}', first=bare[0]),)
    features: dict[Modality, Sequences] = {}
    for modality, folder in _feature_folders(path).items():
        features[modality], missing = _read_features(folder, names)
        if missing:
            message = "{modality}: {count} of {n} clips have no file in {folder}, first {first}"
            more += (t(message, modality=modality, count=len(missing), n=len(names), folder=folder.name,
                       first=missing[0]),)  # fmt: skip
    classes = {str(label.get("emo")) for *_, label in clips if isinstance(label, dict)}
    if len(classes) > 1:
        more += (t("classes of emotion (emo) are not kept: {classes}", classes=", ".join(sorted(classes)[:8])),)
    return Dataset(
        name=path.resolve().name,
        format="merbench",
        ids=ids,
        splits=tuple(split for split, *_ in clips),
        labels={SENTIMENT: values},
        features=features,
        texts=texts,
        videos=tuple(name.rpartition("_")[0] for name in names),
        scale=_scale(path, values),
        notes=(*notes, *more),
    )


def _read_labels(path: Path) -> list[tuple[str, dict[object, object]]]:
    """Read the dictionaries of label.npz: numpy would unpickle them, so their bytes are taken out of it here."""
    found = []
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if not member.filename.endswith(_CORPUS):
                    continue
                if member.file_size > _MOST_BYTES:
                    message = "{path}: {member} has {size} bytes, more than the {most} allowed"
                    raise DataError(t(message, path=path, member=member.filename, size=member.file_size,
                                      most=_MOST_BYTES))  # fmt: skip
                found.append((_split_of(member.filename), _corpus(path, member.filename, archive.read(member))))
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise DataError(t("{path} cannot be read: {reason}", path=path, reason=system_reason(error))) from error
    return found


def _split_of(member: str) -> str:
    return _SPLITS.get(member.removesuffix(_CORPUS), "")


def _corpus(path: Path, member: str, content: bytes) -> dict[object, object]:
    # An .npy file: magic, version, length of the header, header, and for objects a pickle of the array.
    size, begin = (2, 10) if content[6:7] == b"\x01" else (4, 12)
    begin += int.from_bytes(content[8 : 8 + size], "little")
    if not content.startswith(b"\x93NUMPY") or begin >= len(content):
        raise DataError(t("{path}: {member} is no .npy file", path=path, member=member))
    value = load(content[begin:], name=f"{path}, {member}")
    if isinstance(value, np.ndarray) and value.dtype == object and value.size == 1:
        value = value.reshape(-1)[0]
    if not isinstance(value, dict):
        message = "{path}: {member} must hold a dictionary clip -> label, got {kind}"
        raise DataError(t(message, path=path, member=member, kind=type(value).__name__))
    return value


def _value(label: object) -> object:
    value = label.get("val") if isinstance(label, dict) else None
    return None if isinstance(value, str) and not value.strip() else value


def _scale(path: Path, values: Floats) -> tuple[float, float]:
    """CH-SIMS goes from -1 to 1."""
    sims = "sims" in path.resolve().name.lower() and not (np.abs(values) > 1).any()
    return SIMS_SCALE if sims else (SENTIMENT_MIN, SENTIMENT_MAX)


def _read_texts(path: Path, names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    file = next((path / name for name in TRANSCRIPTS if (path / name).is_file()), None)
    if file is None:
        return (), ()
    table = read_table(file, {"name": ("name",), "english": ("english",), "chinese": ("chinese",)}, required=("name",))
    with file.open(encoding="utf-8-sig", errors="replace") as lines:
        header = re.findall(r"english|chinese", lines.readline().lower())
    if not header:
        return (), (t("{path} has neither english nor chinese", path=file.name),)
    said = {line.cells["name"]: line.cells.get(header[0], "") for line in table.lines}
    return tuple(said.get(name, "") for name in names), (
        t("texts are the column {column} of {path}", column=header[0], path=file.name),
    )


def _feature_folders(path: Path) -> Mapping[Modality, Path]:
    root = path / "features"
    if not root.is_dir():
        return {}
    found: dict[Modality, list[Path]] = {modality: [] for modality in MODALITIES}
    for folder in sorted(p for p in root.iterdir() if p.is_dir()):
        # "data2vec-audio" names no text encoder and "roberta" no video one: the first modality that fits has it
        modality = next((m for m, names in _ENCODERS.items() if re.search(names, folder.name.lower())), None)
        if modality is None:
            message = "{folder}: its name tells no encoder of MERBench. Rename it, or move it away."
            raise DataError(t(message, folder=folder))
        found[modality].append(folder)
    for modality, folders in found.items():
        if len(folders) > 1:
            message = "{root} has several features of {modality}: {names}. Leave one; in a copy of it, links will do."
            names = ", ".join(folder.name for folder in folders[:8])
            raise DataError(t(message, root=root, modality=modality, names=names))
    return {modality: folders[0] for modality, folders in found.items() if folders}


def _read_features(folder: Path, names: Sequence[str]) -> tuple[Sequences, list[str]]:
    pieces = [_read_clip(folder, name) for name in names]
    there = [p for p in pieces if p is not None]
    if not there:
        raise DataError(t("{folder} has no file for any clip of {labels}", folder=folder, labels=LABELS))
    check_widths(folder, there, folder.name)
    missing = [name for name, p in zip(names, pieces, strict=True) if p is None]
    empty = np.zeros((0, there[0].shape[1]), there[0].dtype)
    return end_to_end([empty if p is None else p for p in pieces]), missing


def _read_clip(folder: Path, name: str) -> Piece | None:
    """Read [steps, dim] of one clip: mapped, since a data set of frames may be larger than the memory."""
    if "/" in name or "\\" in name or name in (".", ".."):
        raise DataError(t("{folder}: the clip {name} would lie elsewhere", folder=folder, name=name))
    file = folder / f"{name}.npy"
    try:
        if file.is_file():
            return _squeezed(file, np.load(file, mmap_mode="r", allow_pickle=False))
        frames = sorted((folder / name).glob("*.npy")) if (folder / name).is_dir() else []
        rows = [_squeezed(frame, np.load(frame, allow_pickle=False)) for frame in frames]
        return np.concatenate(rows) if rows else None
    except (OSError, ValueError, EOFError) as error:
        raise DataError(t("{path} cannot be read: {reason}", path=file, reason=system_reason(error))) from error


def _squeezed(file: Path, values: Piece) -> Piece:
    """Drop axes of one, as MERBench does, but keep a single step of a single number apart from no step."""
    while values.ndim > 2 and 1 in values.shape:
        values = values.squeeze(axis=values.shape.index(1))
    return piece(file, values, file.name)
