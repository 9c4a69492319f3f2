"""Load a transformers encoder, or plain tensors, from a folder: strictly, offline, and picking layers."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from trisent.errors import WeightsError, one_line
from trisent.extractors.backend import transformers
from trisent.extractors.declared import read_json, refuse_mark
from trisent.i18n import t
from trisent.weights import Weights

Encoder = Any  # a transformers PreTrainedModel; transformers ships no types
"""A network with its `config`, in evaluation mode."""


def load_encoder(
    model_class: Any, weights: Weights, *, model_types: Sequence[str], optional: Sequence[str] = ()
) -> Encoder:
    """Load `model_class.from_pretrained` from the folder of `weights`, in float32 and evaluation mode.

    A tensor that the file lacks would be left random, and every feature be noise: that is an error here.

    Args:
        model_class: a transformers model class.
        weights: where.
        model_types: what config.json may say.
        optional: prefixes of tensors the encoder has but its features do not need.

    Raises:
        WeightsError: another architecture, an unreadable file, or tensors missing.
    """
    found, expected = read_json(weights, "config.json").get("model_type"), ", ".join(model_types)
    if found not in model_types:
        message = "{folder}: expected a {expected} model, config.json says {found!r}; name a {expected} checkpoint"
        raise WeightsError(t(message, folder=weights.folder, expected=expected, found=found))
    try:
        with quiet_transformers():
            model, info = model_class.from_pretrained(
                str(weights.folder),
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are refused below, where it can be said which
                use_safetensors=_safe(weights.file),
            )
    except Exception as error:  # for bad files it raises OSError, ValueError, RuntimeError, UnpicklingError, ...
        message = "{file}: cannot be loaded as {expected} ({reason}); check it with: trisent weights verify {name}"
        raise WeightsError(
            t(message, file=weights.file, expected=found, reason=one_line(error), name=weights.name)
        ) from error
    if mismatched := sorted(info["mismatched_keys"]):
        message = (
            "{file}: {n} tensors have other sizes than config.json says (first: {first} is {found}, expected "
            "{expected}); the two files are of different models"
        )
        first, there, wanted = mismatched[0]
        told = {"first": first, "found": list(there), "expected": list(wanted)}
        raise WeightsError(t(message, file=weights.file, n=len(mismatched), **told))
    missing = [k for k in info["missing_keys"] if not k.startswith(tuple(optional))]
    if missing:
        message = "{file}: lacks {n} tensors of a {expected} model (first: {first}); it is another model or damaged"
        raise WeightsError(t(message, file=weights.file, n=len(missing), expected=found, first=sorted(missing)[0]))
    return model.float().eval()


def load_preprocessing(
    preprocessing_class: Any, weights: Weights, *, files: Sequence[str], accepted: Callable[[Any], object]
) -> Any:  # Any: of transformers
    """Load what stands before the encoder, a tokenizer or a feature extractor, from the folder of `weights`.

    Args:
        preprocessing_class: a transformers class.
        weights: where.
        files: the files it may be made from.
        accepted: tries it out; what it raises is said of the files.

    Raises:
        WeightsError: the files are missing or broken.
    """
    for name in files:
        refuse_mark(weights.folder / name)
    try:
        with quiet_transformers():
            made = preprocessing_class.from_pretrained(str(weights.folder), local_files_only=True)
        accepted(made)
        return made
    except Exception as error:  # OSError, ValueError, TypeError, and plain Exception from the tokenizers library
        message = "{folder}: {files} missing or broken ({reason}); copy the file from the page of the model"
        there = [name for name in files if (weights.folder / name).is_file()] or files
        told = {"files": ", ".join(there), "reason": one_line(error)}
        raise WeightsError(t(message, folder=weights.folder, **told)) from error


def _safe(file: Path) -> bool:
    return file.suffix == ".safetensors"


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' progress bars and load reports off the terminal; what matters is checked by the caller."""
    log = transformers().utils.logging
    verbosity, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        if bars:
            log.enable_progress_bar()


Layers = Sequence[int] | str
"""Numbers of encoder layers, "last" or "all"."""


def chosen_layers(layers: Layers, count: int) -> tuple[int, ...]:
    """Turn layer numbers into 0..count: 0 is the embedding, `count` the last layer, -1 also the last.

    >>> chosen_layers("all", 2), chosen_layers((3, -1), 12)
    ((0, 1, 2), (3, 12))

    Raises:
        ValueError: a layer the encoder does not have.
    """
    if isinstance(layers, str):
        layers = {"last": (-1,), "all": tuple(range(count + 1))}.get(layers, ())
    chosen = tuple(layer if layer >= 0 else count + 1 + layer for layer in layers)
    if not chosen or not all(0 <= layer <= count for layer in chosen):
        msg = f"layers must be between {-count - 1} and {count}, got {tuple(layers)}"
        raise ValueError(msg)
    return chosen


def drop_above(layers: Any, top: int) -> bool:
    """Take out the layers above number `top` of a ModuleList that nobody asked for; say whether there were any.

    A norm behind the last layer must then go too, or it would be applied to layer `top`.
    """
    dropped = top < len(layers)
    del layers[top:]
    return dropped


def read_state(file: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint by name, from safetensors or from torch's format; nothing in it is run.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        state = load_file(file) if _safe(file) else torch.load(file, map_location="cpu", weights_only=True)
        return {str(name): tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}
    except Exception as error:  # safetensors and pickle raise their own, many, exceptions
        raise WeightsError(t("{file}: cannot be read ({reason})", file=file, reason=one_line(error))) from error
