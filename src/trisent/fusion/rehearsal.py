"""Try out on made-up utterances whether a fusion model keeps its promises, before hours of training rest on them.

A bundle rebuilds a model from its `config`: one that forgets a setting would only be found out when training is over.
"""

import json
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import nn

from trisent.errors import TrisentError, UsageError, one_line
from trisent.fusion.batch import Batch, Output
from trisent.fusion.registry import build
from trisent.i18n import t
from trisent.seeding import seeded
from trisent.types import CLASS_NAMES, Modality

_UTTERANCES, _STEPS = 3, 2


def rehearse(name: str, model: nn.Module, dims: Mapping[Modality, int]) -> None:
    """Rebuild a model from its config, and let the copy judge and learn from a few utterances, one of them incomplete.

    Args:
        name: of the model in the registry.
        model: just built; it is not touched.
        dims: width of each modality's features.

    Raises:
        UsageError: it does not keep a promise; the message says which.
    """
    with seeded(0):
        try:
            config = json.loads(json.dumps(model.config, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise _broken(name, t("its config must hold JSON values ({reason})", reason=one_line(error))) from error
        copy = build(name, config)
        try:
            copy.load_state_dict(model.state_dict(), strict=True)
        except Exception as error:  # whatever goes wrong in other people's code
            told = t("its config does not rebuild it: a setting is not in it ({reason})", reason=one_line(error))
            raise _broken(name, told) from error
        try:
            wrong = _try_out(copy, dims)
        except TrisentError:
            raise
        except Exception as error:
            raise _broken(name, f"{type(error).__name__}: {one_line(error)}") from error
    if wrong:
        raise _broken(name, wrong)


def _try_out(model: nn.Module, dims: Mapping[Modality, int]) -> str:
    """Say what is wrong with what a model says and learns; "" if nothing is."""
    n = _UTTERANCES
    values = {m: torch.randn(n, _STEPS, dim) for m, dim in dims.items()}
    masks = {m: torch.ones(n, _STEPS, dtype=torch.bool) for m in dims}
    masks[next(iter(dims))][0] = False  # an absent modality
    batch = Batch(values, masks, torch.linspace(-2, 2, n))
    for training in (False, True):
        output = model.train(training)(batch)
        if not isinstance(output, Output):
            return t("forward must return an Output, got {got}", got=type(output).__name__)
        shapes = list(output.sentiment.shape), list(output.class_logits.shape)
        if shapes != ([n], [n, len(CLASS_NAMES)]):
            message = "for {n} utterances, sentiment must be [{n}] and class_logits [{n}, 7], got {got}"
            return t(message, n=n, got=" / ".join(map(str, shapes)))
        if not (output.sentiment.isfinite().all() and output.class_logits.isfinite().all()):
            return t("an utterance that lacks a modality must be judged, too, by finite numbers")
    loss = cast(Any, model).loss(output, batch)  # a FusionModel: nn.Module types it as a tensor
    if not (isinstance(loss, torch.Tensor) and loss.ndim == 0 and loss.requires_grad):
        return t("loss must be a single number that depends on the weights")
    return ""


def _broken(name: str, what: str) -> UsageError:
    return UsageError(t("the fusion model {name} cannot be trained: {what}", name=name, what=what))
