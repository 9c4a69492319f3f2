"""Weights in a folder that a person placed or trained: used as they are, refused only when they cannot work."""

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trisent.errors import WeightsError
from trisent.i18n import t
from trisent.weights.catalog import Entry, by_digest
from trisent.weights.digests import sha256

logger = logging.getLogger(__name__)

_USUAL_NAMES = ("model.safetensors", "pytorch_model.bin", "model.bin")
# Behind the name of a file that was too large and was cut up; it says which tensor is in which part.
_INDEX = ".index.json"
_PART = re.compile(r"(.+)-\d+-of-\d+(\.\w+)")
_SUFFIXES = (".safetensors", ".bin", ".pth", ".pt", ".hdf5", ".h5")
# What a training run leaves beside its weights.
_NOT_WEIGHTS = ("training_args", "optimizer", "scheduler", "rng_state")
_NEEDS_CONFIG = (".safetensors", ".bin")
_LFS_POINTER = b"version https://git-lfs"


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights that are here: `folder` holds all their files, `file` is the main one with the numbers.

    `digest` is the sha256 of `file`; where the numbers are in several files that no catalog vouches for, of all of
    them (`together`). `pinned` says that the weights are the catalog's bytes.
    """

    name: str
    folder: Path
    file: Path
    digest: str
    pinned: bool
    licence: str


def use_placed(folder: Path, entry: Entry | None) -> Weights:
    """Take the weights of `folder`, which by its name should be `entry`.

    Raises:
        WeightsError: files are missing, or are not weights at all.
    """
    files = weights_files(folder, entry)
    if missing := _missing(folder, files, entry):
        msg = t("{folder} lacks {missing}.", folder=folder, missing=", ".join(missing)) + " "
        if entry is None:
            raise WeightsError(msg + t("Put the missing files there."))
        msg += t(
            "Put the missing files there, or remove the folder and run: trisent weights pull {name}", name=entry.name
        )
        raise WeightsError(msg)
    for file in files:
        _refuse_pointer(file)
    digests = {file.name: sha256(file) for file in files}
    entry = entry or by_digest(digests[files[0].name])
    pinned = entry is not None and set(digests.values()) <= {file.sha256 for file in entry.weights}
    # The text encoder of a bundle learnt with it: that the catalog does not know it goes without saying.
    if not pinned and not is_of_a_bundle(folder):
        logger.warning("the weights in %s are not the catalog's; they are used as they are", folder)
    name = folder.resolve().name if entry is None else entry.name
    licence = entry.licence if entry is not None and pinned else t("unknown")
    digest = digests[files[0].name] if pinned else together(digests)
    return Weights(name, folder, files[0], digest, pinned=pinned, licence=licence)


def is_of_a_bundle(folder: Path) -> bool:
    """Say whether `folder` is part of a trained bundle, which names the digest of each of its files itself."""
    return (folder.parent / "bundle.json").is_file()


def together(digests: Mapping[str, str]) -> str:
    """Make one digest of those of several files, by name; a single one stays what it is."""
    if len(digests) == 1:
        return next(iter(digests.values()))
    return hashlib.sha256("".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()).hexdigest()


def weights_files(folder: Path, entry: Entry | None) -> list[Path]:
    """List the files with the numbers in `folder`, the main one first; empty when there is none.

    The order is transformers' own: it reads model.safetensors when both that and a .bin are there, and of each the
    whole one before the parts. Behind the parts comes the index that puts them together.
    """
    if not folder.is_dir():
        return []
    parts = [file.path for file in entry.weights if not file.instead_of] if entry else []
    if len(parts) > 1:
        return [folder / part for part in parts if (folder / part).is_file()]
    catalogued = [file.path for file in entry.weights] if entry else []
    for name in (_USUAL_NAMES[0], *catalogued, *_USUAL_NAMES):
        if (folder / name).is_file():
            return [folder / name]
        if here := [part for part in _parts(folder / f"{name}{_INDEX}") if part.is_file()]:
            return [*here, folder / f"{name}{_INDEX}"]
    by_suffix = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix in _SUFFIXES and not path.name.startswith((*_NOT_WEIGHTS, ".")) and path.is_file()
    ]
    return sorted(by_suffix, key=lambda path: _SUFFIXES.index(path.suffix))[:1]


def absent_parts(files: list[Path]) -> list[str]:
    """Name what an index among `files` says there is, and is not there."""
    return [part.name for file in files for part in _parts(file) if not part.is_file()]


def _parts(index: Path) -> list[Path]:
    """List the files that an index names; none when it is no index, or is not there."""
    if not index.name.endswith(_INDEX) or not index.is_file():
        return []
    try:
        names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        return [index.parent / name for name in sorted({str(name) for name in names})]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = t("{path}: does not say which file a tensor is in; fetch it again", path=index)
        raise WeightsError(msg) from error


def expected_files(entry: Entry | None) -> list[str]:
    """Name what a folder of `entry` should hold, alternatives in brackets."""
    if entry is None:
        return ["config.json", _either(_USUAL_NAMES[:2])]
    return [_either([file.path for file in entry.choices(needed)]) for needed in entry.needed]


def _missing(folder: Path, files: list[Path], entry: Entry | None) -> list[str]:
    names = {file.path for file in entry.needed} if entry else set()
    missing = []
    parts = [file for file in entry.weights if not file.instead_of] if entry else []
    if entry and len(parts) > 1:
        missing += [part.path for part in parts if folder / part.path not in files]
    elif not files:
        missing.append(_either([f.path for f in entry.choices(parts[0])] if entry else _USUAL_NAMES[:2]))
    missing += absent_parts(files)
    if files and (part := _PART.fullmatch(files[0].name)) and not files[-1].name.endswith(_INDEX):
        missing.append(f"{part[1]}{part[2]}{_INDEX}")
    wants_config = "config.json" in names if entry else not files or files[0].suffix in _NEEDS_CONFIG
    if wants_config and not (folder / "config.json").is_file():
        missing.append("config.json")
    vocabularies = ("tokenizer.json", "vocab.txt")
    if names.issuperset(vocabularies) and not any((folder / name).is_file() for name in vocabularies):
        missing.append(_either(vocabularies))
    return missing


def _either(names: tuple[str, ...] | list[str]) -> str:
    if len(names) == 1:
        return names[0]
    return t("{first} (or {others})", first=names[0], others=", ".join(names[1:]))


def _refuse_pointer(file: Path) -> None:
    with file.open("rb") as stream:
        start = stream.read(len(_LFS_POINTER))
    if start == _LFS_POINTER:
        msg = t(
            "{file} is a git-lfs pointer of {bytes} bytes, not the weights: the repository was cloned without git-lfs. "
            "Run there: git lfs pull",
            file=file,
            bytes=file.stat().st_size,
        )
        raise WeightsError(msg)
