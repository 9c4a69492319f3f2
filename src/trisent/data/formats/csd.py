"""A folder of CMU's computational sequences (.csd), as CMU-MOSEI and CMU-MOSI are given out.

One file holds the labels ("All Labels", "Opinion Segment Labels"), which make the utterances; others, told by their
names, hold text (glove_vectors), sound (COVAREP, OpenSMILE), pictures (FACET, OpenFace) and words (TimestampedWords),
video by video. Ids stay as CMU's SDK makes them: "video[k]" is row k of the labels of a video.
"""

from contextlib import ExitStack
from pathlib import Path

import numpy as np

from trisent.data.csd.assembly import Align, assemble, broken_note
from trisent.data.csd.files import Csd
from trisent.data.csd.folds import splits_of
from trisent.data.csd.own import KEY, restored
from trisent.data.csd.roles import assign
from trisent.data.csd.utterances import LABELS, read_utterances
from trisent.data.csd.writing import write_csd
from trisent.data.dataset import Dataset
from trisent.errors import DataError
from trisent.i18n import t
from trisent.types import MODALITIES

__all__ = ["read", "recognises", "write"]


def recognises(path: Path) -> bool:
    """Say whether it is a .csd file, or a folder with some; whether they can be read, reading says."""
    return bool(_files(path))


def read(path: Path, *, align: Align = "words") -> Dataset:
    """Read a folder of .csd files as utterances, a video at a time.

    A video that some file does not have is kept, and its utterances have no steps of that modality.

    Args:
        path: the folder; or one file, which is then read alone.
        align: "words" averages sound and pictures over each word of the text's sequence, or of the words; without
            either, and with "segments", rows are kept as they are. "pooled" averages everything over the utterance.

    Raises:
        DataError: there are no labels, or a file is damaged or no computational sequence.
    """
    files = _files(path)
    if not files:
        message = "{path} has no .csd files. Expected a folder with labels, text, audio and video as .csd"
        raise DataError(t(message, path=path))
    with ExitStack() as stack:
        sequences = [stack.enter_context(Csd(file)) for file in files]
        roles, left_out = assign(sequences)
        if "labels" not in roles:
            there = ", ".join(f"{csd.path.name} ({csd.root})" for csd in sequences)
            message = (
                "{path} has no labels (found: {found}). Put the .csd of the labels, such as CMU_MOSEI_Labels.csd, "
                "into the same folder"
            )
            raise DataError(t(message, path=path, found=there))
        labels = roles["labels"]
        utterances = read_utterances(labels)
        own = labels.metadata.get(KEY)
        modalities = {m: roles[m] for m in MODALITIES if m in roles}
        assembled = assemble(modalities, roles.get("words"), utterances, align=align, from_start=own is not None)
        notes = [*left_out, *(note for csd in sequences for note in csd.notes)]
    splits, where_from = splits_of(utterances.videos, utterances.ids)
    notes += [*broken_note(labels.path.name, utterances.spans), *assembled.notes]
    dataset = Dataset(
        name=path.resolve().name if path.is_dir() else path.stem,
        format="csd",
        ids=utterances.ids,
        splits=splits,
        labels={name: np.ascontiguousarray(column) for name, column in zip(LABELS, utterances.labels.T, strict=False)},
        features=assembled.features,
        texts=assembled.texts,
        videos=utterances.videos,
        spans=utterances.spans.astype(np.float32),
        notes=(*notes, *(() if own else where_from)),
    )
    return restored(dataset, own) if own else dataset


def write(dataset: Dataset, path: Path) -> tuple[str, ...]:
    """Write a folder of .csd files that CMU's SDK reads as aligned; returns what was lost, a sentence each.

    Raises:
        DataError: there are no utterances, or other .csd files lie in the folder.
    """
    return write_csd(dataset, path)


def _files(path: Path) -> list[Path]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [file for file in files if file.suffix.lower() == ".csd" and file.is_file()]
