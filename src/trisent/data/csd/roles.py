"""Which computational sequence is text, sound, pictures, words or labels, told by names."""

import re
from collections.abc import Sequence
from typing import Literal

from trisent.data.csd.files import Csd
from trisent.i18n import t

Role = Literal["text", "audio", "video", "words", "labels"]

# What names hold, in small letters and digits only; of two sequences in one role, the earlier word wins.
_SIGNS: tuple[tuple[Role, tuple[str, ...]], ...] = (
    ("labels", ("label",)),
    ("audio", ("covarep", "opensmile", "wav2vec", "hubert", "wavlm", "whisper", "mfcc", "acoustic", "audio")),
    ("video", ("facet42", "facet", "openface2", "openface", "resnet", "visual", "vision", "video", "face")),
    ("text", ("glove", "wordvector", "word2vec", "bert", "language", "text", "embedding")),
)


def assign(sequences: Sequence[Csd]) -> tuple[dict[Role, Csd], tuple[str, ...]]:
    """Choose a sequence for each role.

    A sequence's own name counts first, then its file's, then its description. Phones are in no role.

    Returns:
        The sequences by role; which were left out and why, a sentence each.
    """
    ranked = sorted(((_rank(csd), csd) for csd in sequences), key=lambda pair: (pair[0][1:], pair[1].path.name))
    chosen: dict[Role, Csd] = {}
    notes = []
    for (role, *_), csd in ranked:
        if role is None:
            message = (
                "{file} ({name}) is left out: nothing says if it is text, audio or video. Put the word in its name."
            )
            notes.append(t(message, file=csd.path.name, name=csd.root))
        elif role in chosen:
            message = "{file} ({name}) is left out: {other} is taken for {role}. To use it, leave the other out."
            notes.append(t(message, file=csd.path.name, name=csd.root, other=chosen[role].path.name, role=role))
        else:
            chosen[role] = csd
    return chosen, tuple(notes)


def _rank(csd: Csd) -> tuple[Role | None, int, int, str]:
    """Give the role, and what decides between two of one role: the smaller is taken."""
    description = str(csd.metadata.get("computational sequence description", ""))
    names = [re.sub("[^a-z0-9]", "", name.lower()) for name in (csd.root, csd.path.stem, description)]
    tie = (len(csd.root), csd.root)
    if csd.words:
        return (None if any("phon" in name for name in names[:2]) else "words", 0, *tie)
    for name in names:
        for role, signs in _SIGNS:
            for place, sign in enumerate(signs):
                if sign in name:
                    # Seven columns are sentiment and emotions; one is sentiment alone.
                    return role, -csd.width if role == "labels" else place, *tie
    return None, 0, *tie
