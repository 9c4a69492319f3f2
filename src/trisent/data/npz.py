"""The guide's data set: a folder of train.npz, val.npz and test.npz with one row of features an utterance.

Each file holds `text_features`, `audio_features` and `video_features` [n, width], and `labels` [n]: whole numbers 0..6
(class = round(sentiment) + 3) or sentiment in [-3, 3] as floating point. A modality may be missing from all three.
An optional `features.json` says where the features come from.
"""

import json
import logging
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trisent.config import named_preset
from trisent.data.sample import GUIDE_DIMS, write_sample
from trisent.data.splits import DataSet, Split, provenance_from_json
from trisent.errors import DataError, UsageError
from trisent.i18n import t
from trisent.types import MODALITIES, SENTIMENT_MAX, SENTIMENT_MIN, Floats, Modality

__all__ = ["GUIDE_DIMS", "DataSet", "Split", "read_npz", "settle_preset", "write_sample"]

_log = logging.getLogger(__name__)

# split -> the file names it may have, the guide's first
SPLIT_FILES = {"train": ("train.npz",), "valid": ("val.npz", "valid.npz"), "test": ("test.npz",)}


def read_npz(folder: Path) -> DataSet:
    """Read the guide's folder whole into memory.

    Raises:
        DataError: the folder, a file or an array is missing or is not what the module's docstring describes.
    """
    if not folder.is_dir():
        raise DataError(t("{folder} is not a folder. {expected}", folder=folder, expected=_expected()))
    paths = {split: _find(folder, names) for split, names in SPLIT_FILES.items()}
    splits = {split: _read_split(path) for split, path in paths.items()}
    dims = splits["train"].dims
    for name, split in splits.items():
        if split.dims != dims:
            message = t(
                "{path} has features {got}, {train} has {dims}: splits must have the same modalities and widths. "
                "Extract all three with the same extractors.",
                path=paths[name],
                got=split.dims,
                train=paths["train"].name,
                dims=dims,
            )
            raise DataError(message)
    return replace(
        DataSet(splits["train"], splits["valid"], splits["test"], dims), **_read_facts(folder / "features.json")
    )


def _expected() -> str:
    return t(
        "Expected a folder with train.npz, val.npz and test.npz, each with text_features, audio_features, "
        "video_features [n, width] and labels [n]. To see one: trisent data sample DIR"
    )


def _find(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    found = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) or t("nothing")
    message = t(
        "{folder} has no {name} (found: {found}). {expected}",
        folder=folder,
        name=t(" or ").join(names),
        found=found,
        expected=_expected(),
    )
    raise DataError(message)


def _read_split(path: Path) -> Split:
    arrays = _load(path)
    keys: dict[Modality, str] = {m: f"{m}_features" for m in MODALITIES if f"{m}_features" in arrays}
    if not keys or "labels" not in arrays:
        what = "labels" if keys else "text_features, audio_features, video_features"
        message = t(
            "{path} lacks {what} (found: {found}). {expected}",
            path=path,
            what=what,
            found=", ".join(sorted(arrays)) or t("nothing"),
            expected=_expected(),
        )
        raise DataError(message)
    labels = _sentiment(path, arrays["labels"])
    features: dict[Modality, Floats] = {}
    masks: dict[Modality, NDArray[np.bool_]] = {}
    for m, key in keys.items():
        array = arrays[key]
        if array.ndim != 2 or array.shape[0] != len(labels) or not array.shape[1] or array.dtype.kind not in "fiu":
            message = t(
                "{path}: {key} must hold numbers of shape [{n}, width], a row for each label; "
                "got {dtype} {shape}. {expected}",
                path=path,
                key=key,
                n=len(labels),
                dtype=array.dtype,
                shape=list(array.shape),
                expected=_expected(),
            )
            raise DataError(message)
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf, and is then treated as absent
            values = array.astype(np.float32)
        masks[m] = np.asarray(np.isfinite(values).all(axis=1))
        if absent := int((~masks[m]).sum()):
            _log.warning(
                "%s",
                t("{path}: {absent} of {n} rows of {key} hold NaN or inf; {modality} counts as absent there",
                  path=path, absent=absent, n=len(labels), key=key, modality=m),
            )  # fmt: skip
            values[~masks[m]] = 0.0
        features[m] = values
    return Split(features, masks, labels)


def _load(path: Path) -> dict[str, NDArray[Any]]:  # arrays of any dtype until they are checked
    try:
        with path.open("rb") as file:  # opened here, since np.load leaves a torn zip open
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.lib.npyio.NpzFile):
                with archive:
                    return {name: archive[name] for name in archive.files}
        reason = t("it holds a single array")
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "allow_pickle" in reason:
            reason = t("it holds Python objects; save plain arrays of numbers instead, padding what is ragged")
        raise DataError(_not_npz(path, reason)) from error
    raise DataError(_not_npz(path, reason))


def _not_npz(path: Path, reason: str) -> str:
    return t("{path} cannot be read as .npz: {reason}. {expected}", path=path, reason=reason, expected=_expected())


def _sentiment(path: Path, labels: NDArray[Any]) -> Floats:
    """Turn labels of either kind into sentiment."""
    if labels.ndim != 1 or not len(labels) or labels.dtype.kind not in "fiu":
        message = t(
            "{path}: labels must hold numbers of shape [n], n at least 1; got {dtype} {shape}. {expected}",
            path=path,
            dtype=labels.dtype,
            shape=list(labels.shape),
            expected=_expected(),
        )
        raise DataError(message)
    classes = labels.dtype.kind in "iu"
    low, high = (0, 6) if classes else (SENTIMENT_MIN, SENTIMENT_MAX)
    wrong = ~((labels >= low) & (labels <= high))  # this way round, NaN is wrong too
    if wrong.any():
        message = t(
            "{path}: {count} of {n} labels are outside what is allowed: {values}. "
            "Whole-number labels must be classes 0..6 (round(sentiment) + 3), "
            "floating-point labels sentiment in [-3, 3]; these are {dtype}.",
            path=path,
            count=int(wrong.sum()),
            n=len(labels),
            values=", ".join(str(v) for v in np.unique(labels[wrong])[:8]),
            dtype=labels.dtype,
        )
        raise DataError(message)
    sentiment: Floats = labels.astype(np.float32) - (SENTIMENT_MAX if classes else 0)
    return sentiment.astype(np.float32)


def _read_facts(path: Path) -> dict[str, Any]:  # keyword arguments of DataSet
    if not path.is_file():
        return {}
    try:
        facts: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        extractors = dict(facts.get("extractors") or {})
        provenance = {m: provenance_from_json(extractors.pop(m)) for m in MODALITIES if m in extractors}
        if extractors:
            raise KeyError(*extractors)
        synthetic, preset = bool(facts.get("synthetic", False)), facts.get("preset")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = t(
            "{path} cannot be read ({kind}: {reason}). Expected a JSON object with synthetic, preset, extractors; "
            "correct it, or delete it: it is optional.",
            path=path,
            kind=type(error).__name__,
            reason=error,
        )
        raise DataError(message) from error
    return {"provenance": provenance or None, "synthetic": synthetic, "preset": preset}


def settle_preset(data: DataSet, asked: str | None) -> str | None:
    """Decide which preset's extractors made the features: what is asked for, what the data say, or what widths tell.

    Raises:
        UsageError: no preset has that name, or the data say otherwise.
    """
    if asked is not None:
        named_preset(asked)
    if asked and data.preset and asked != data.preset:
        message = t(
            "--preset {asked} contradicts features.json, which says {found}. "
            "Leave --preset out, or correct features.json.",
            asked=asked,
            found=data.preset,
        )
        raise UsageError(message)
    if asked or data.preset:
        return asked or data.preset
    if data.dims == GUIDE_DIMS:
        _log.info(
            "%s", t("nothing says which extractors made these features; their widths are those of preset pretrained")
        )
        return "pretrained"
    return None
