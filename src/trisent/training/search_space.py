"""Which settings a search tries, and within which limits: training's own, and what the fusion model's types tell."""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from trisent.errors import TrisentError
from trisent.fusion.encoders import ENCODERS
from trisent.fusion.outputs import HEADS
from trisent.fusion.registry import fusion_class
from trisent.i18n import t

Space = Mapping[str, Any]  # "train.lr" -> a distribution of optuna; its types are not imported before they are used

_WIDTHS = ("hidden", "fused", "memory")
_WORDS = {"encoder": ENCODERS, "head": tuple(HEADS)}
_LEFT_ALONE = ("warmup",)  # settings of time, which follow from the data


def optuna() -> Any:  # the module, imported when a search begins
    """Return optuna, which talks to nobody but its caller.

    Raises:
        TrisentError: it is not installed.
    """
    try:
        package = importlib.import_module("optuna")
    except ImportError as error:
        message = "the search needs the package optuna, which is not here ({reason}). Run: pip install 'trisent[tune]'"
        raise TrisentError(t(message, reason=error)) from error
    package.logging.set_verbosity(package.logging.ERROR)
    return package


def search_space(model: str) -> Space:
    """Name the settings of a fusion model that are searched, "train.…" and "model.…", with their ranges.

    Widths are a quarter, half, once and twice the default, so that heads divide them; counts reach from half to twice
    the default; shares from 0 to 0.6; other numbers from a tenth to ten times, by their logarithm.

    Raises:
        UsageError: no model has that name.
        TrisentError: optuna is not installed.
    """
    d = optuna().distributions
    space = {
        "train.lr": d.FloatDistribution(1e-5, 1e-2, log=True),
        "train.weight_decay": d.FloatDistribution(1e-5, 1e-1, log=True),
        "train.batch_size": d.CategoricalDistribution((16, 32, 64, 128)),
    }
    for parameter in inspect.signature(fusion_class(model)).parameters.values():
        found = None if parameter.name in _LEFT_ALONE else _range(parameter.name, parameter.default, d)
        if found is not None:
            space[f"model.{parameter.name}"] = found
    return space


def _range(name: str, default: object, distributions: Any) -> Any:
    """Give a setting the range that its name or its default asks for; None where neither says anything."""
    d = distributions
    match default:
        case bool():
            return d.CategoricalDistribution((False, True))
        case str() if name in _WORDS:
            return d.CategoricalDistribution(_WORDS[name])
        case int() if name in _WIDTHS:
            return d.CategoricalDistribution(tuple(max(4, 2**k * default // 4) for k in range(4)))
        case int() if name == "heads":
            return d.CategoricalDistribution((1, 2, 4, 8))
        case int() if name == "kernel":
            return d.CategoricalDistribution((1, 3, 5))
        case int():
            return d.IntDistribution(max(1, default // 2), 2 * default)
        case float() if "dropout" in name:
            return d.FloatDistribution(0.0, 0.6)
        case float() if default > 0:
            return d.FloatDistribution(default / 10, default * 10, log=True)
    return None


def settings_of(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Divide settings by what they are of.

    >>> settings_of({"train.lr": 0.1, "model.hidden": 8})
    {'train': {'lr': 0.1}, 'model': {'hidden': 8}}
    """
    tables: dict[str, dict[str, Any]] = {"train": {}, "model": {}}
    for name, value in found.items():
        table, _, setting = name.partition(".")
        tables[table][setting] = value
    return tables
