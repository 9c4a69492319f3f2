"""What one job gives, in memory and as bytes; and features of many utterances laid end to end, as files hold them.

The bytes are a safetensors file: for each modality `values` [rows, dim], `offsets` [utterances + 1], `times` [rows]
and `mask` [rows], where utterance k owns the rows offsets[k] to offsets[k + 1]. Equal content gives equal bytes.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from trisent.errors import DataError
from trisent.i18n import t
from trisent.types import MODALITIES, Features, Floats, Modality

FORMAT = 1
Dtype = Literal["fp16", "fp32"]
DTYPES: dict[Dtype, type[np.floating[Any]]] = {"fp16": np.float16, "fp32": np.float32}
FIELDS = ("values", "offsets", "times", "mask")
Arrays = dict[str, NDArray[Any]]  # of the four fields, each with its own dtype

# safetensors writes metadata in an order that differs from run to run, so everything is under one key.
_METADATA = "trisent"


@dataclass(frozen=True, slots=True)
class Failure:
    """A line of the ledger: what could not be extracted, and why in one line.

    `id` is the utterance, or the source's id when its utterances are not known; `modality` is None when all failed.
    """

    id: str
    path: str
    modality: Modality | None
    reason: str


@dataclass(frozen=True, slots=True)
class Part:
    """What one job gives: features by modality and utterance, in the job's order, what failed, and where each ends.

    `ends` holds the utterances that did not fail, in seconds: an utterance may have been said to end with its file. Of
    a text without a file the end is infinite.
    """

    features: Mapping[Modality, Mapping[str, Features]]
    failures: tuple[Failure, ...] = ()
    ends: Mapping[str, float] = field(default_factory=dict)


def pack(part: Part, *, dtype: Dtype = "fp16") -> bytes:
    """Turn a part into bytes.

    Raises:
        DataError: some features cannot be stored as they are.
    """
    arrays: Arrays = {}
    ids: dict[str, list[str]] = {}
    for modality in MODALITIES:
        if modality in part.features:
            ids[modality] = list(part.features[modality])
            joined = join(ids[modality], part.features[modality].values(), modality=modality, dtype=dtype)
            arrays |= {f"{modality}.{field}": array for field, array in joined.items()}
    failures = [asdict(f) for f in part.failures]
    ends = {i: None if math.isinf(end) else end for i, end in part.ends.items()}
    return to_bytes(arrays, {"format": FORMAT, "ids": ids, "failures": failures, "ends": ends})


def unpack(content: bytes, *, where: str | Path = "part") -> Part:
    """Turn the bytes of `pack` back into a part.

    Args:
        content: what `pack` gave.
        where: names the part in an error.

    Raises:
        DataError: the bytes are damaged, or no part of this format.
    """
    try:
        arrays = load(content)
        facts = read_metadata(json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"])
        features: dict[Modality, dict[str, Features]] = {}
        for modality in MODALITIES:
            if modality in facts["ids"]:
                ids = facts["ids"][modality]
                mine = {field: arrays[f"{modality}.{field}"] for field in FIELDS}
                check_layout(mine["offsets"], len(ids), shapes={f: a.shape for f, a in mine.items()})
                features[modality] = dict(zip(ids, _split(mine), strict=True))
        failures = tuple(Failure(**failure) for failure in facts["failures"])
        ends = {str(i): math.inf if end is None else float(end) for i, end in facts["ends"].items()}
        return Part(features, failures, ends)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise damaged(where, error) from error


def _split(arrays: Arrays) -> list[Features]:
    offsets, values = arrays["offsets"], arrays["values"].astype(np.float32)
    return [Features(values[a:b], arrays["times"][a:b], arrays["mask"][a:b]) for a, b in pairwise(offsets)]


def join(ids: Sequence[str], features: Iterable[Features], *, modality: Modality, dtype: Dtype) -> Arrays:
    """Lay the features of utterances end to end: `values`, `offsets`, `times` and `mask`.

    Raises:
        DataError: an utterance comes twice, or its features cannot be stored, or are of another width than the first.
    """
    if len(set(ids)) < len(ids):
        twice = next(i for k, i in enumerate(ids) if i in ids[:k])
        raise DataError(t("{utterance} comes twice among the {modality} features. Utterances need ids of their own.",
                          utterance=twice, modality=modality))  # fmt: skip
    values: list[NDArray[Any]] = []
    times: list[Floats] = []
    masks: list[NDArray[np.bool_]] = []
    for utterance, one in zip(ids, features, strict=True):
        check_storable(one, dtype, utterance=utterance, modality=modality)
        if values and one.values.shape[1] != values[0].shape[1]:
            raise _unstorable(utterance, modality, t("they have width {got}, those before them {expected}",
                                                     got=one.values.shape[1], expected=values[0].shape[1]))  # fmt: skip
        values.append(one.values.astype(DTYPES[dtype]))
        times.append(np.where(np.isnan(one.times), np.float32(np.nan), one.times))  # NaN has many bit patterns
        masks.append(one.mask)
    return {
        "values": np.concatenate(values) if values else np.empty((0, 0), DTYPES[dtype]),
        "offsets": np.cumsum([0, *(len(v) for v in values)], dtype=np.int64),
        "times": np.concatenate([np.empty(0, np.float32), *times], dtype=np.float32),
        "mask": np.concatenate([np.empty(0, np.bool_), *masks]),
    }


def check_storable(features: Features, dtype: Dtype, *, utterance: str, modality: Modality) -> None:
    """Refuse features that a store cannot hold as they are; masked steps are held to the same rules.

    Times may be NaN, where nobody knows when a word was said.

    Raises:
        DataError: values are not finite, or beyond what `dtype` holds; or shapes or kinds do not fit together.
    """
    values, steps = features.values, len(features.values)
    if values.ndim != 2 or values.dtype.kind != "f" or features.mask.dtype != np.bool_:
        reason = t("they are {dtype} {shape} with a mask of {mask}, expected floats [steps, dim] and booleans",
                   dtype=values.dtype, shape=list(values.shape), mask=features.mask.dtype)  # fmt: skip
        raise _unstorable(utterance, modality, reason)
    if features.times.shape != (steps,) or features.mask.shape != (steps,):
        reason = t("{steps} steps have times {times} and mask {mask}",
                   steps=steps, times=list(features.times.shape), mask=list(features.mask.shape))  # fmt: skip
        raise _unstorable(utterance, modality, reason)
    most = float(np.finfo(DTYPES[dtype]).max)
    with np.errstate(invalid="ignore"):
        low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
    if not (-most <= low and high <= most):  # this way round, NaN is refused too
        if np.isfinite(values).all():
            reason = t("they reach {value:.6g}, {dtype} holds at most {most:.6g}",
                       value=max(-low, high), dtype=dtype, most=most)  # fmt: skip
        else:
            reason = t("{count} of {n} values are NaN or inf", count=int((~np.isfinite(values)).sum()), n=values.size)
        raise _unstorable(utterance, modality, reason)
    if np.isinf(features.times).any():
        raise _unstorable(utterance, modality, t("some times are infinite"))


def _unstorable(utterance: str, modality: Modality, reason: str) -> DataError:
    return DataError(
        t("the {modality} features of {utterance} cannot be stored: {reason}",
          modality=modality, utterance=utterance, reason=reason)
    )  # fmt: skip


def to_bytes(arrays: Arrays, facts: Mapping[str, Any]) -> bytes:
    """Write a safetensors file into memory, with `facts` (JSON values) as its metadata."""
    return save(arrays, metadata={_METADATA: json.dumps(facts, sort_keys=True, allow_nan=False)})


def read_metadata(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return the facts that `to_bytes` put into a file.

    Raises:
        KeyError, TypeError, ValueError: the file is not ours, or of another format.
    """
    facts: dict[str, Any] = json.loads(metadata[_METADATA])
    if facts["format"] != FORMAT:
        raise ValueError(t("format {got}, this trisent reads format {expected}", got=facts["format"], expected=FORMAT))
    return facts


def check_layout(offsets: NDArray[Any], utterances: int, *, shapes: Mapping[str, Sequence[int]]) -> None:
    """Hold offsets against the number of utterances and the shapes of the arrays they divide.

    Raises:
        ValueError: they contradict each other.
    """
    rows, *width = shapes["values"]
    fit = len(width) == 1 and tuple(shapes["times"]) == tuple(shapes["mask"]) == (rows,)
    if offsets.dtype != np.int64 or offsets.shape != (utterances + 1,):
        fit = False
    if not fit or offsets[0] != 0 or offsets[-1] != rows or (np.diff(offsets) < 0).any():
        raise ValueError(t("its offsets do not divide its rows among its {n} utterances", n=utterances))


def damaged(where: str | Path, reason: object) -> DataError:
    """Make the error for a file of a feature store that is missing, damaged, or not ours."""
    name = type(reason).__name__ if isinstance(reason, Exception) and not str(reason) else str(reason)
    return DataError(
        t("{where} is damaged, missing, or not of a feature store ({reason}). Expected what trisent extract writes: "
          "run the same trisent extract command again, it rebuilds what is damaged.",
          where=where, reason=" ".join(name.split()))
    )  # fmt: skip
