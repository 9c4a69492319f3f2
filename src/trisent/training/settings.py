"""All settings of a training: from a TOML file, and from assignments such as train.lr=3e-4.

    [train]
    lr = 3e-4
    schedule = "cosine"

    [model]
    name = "gated"
    hidden = 256

    [cleaning]
    standardise = true

    [finetune]
    method = "lora"

    [data]
    modalities = ["text", "audio"]

What [train], [cleaning] and [finetune] can hold are the fields of `TrainConfig`, `CleaningOptions` and `Finetune`;
[model] holds the name of a fusion model and its settings, [data] which modalities are learned from. Where there is a
[finetune], [train] begins with its recipe and the model is `gated`. Nothing else can be said, so nothing can ask for
the test split.
"""

import inspect
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from trisent.data.cleaning import FINITE, CleaningOptions
from trisent.errors import UsageError
from trisent.fusion.registry import fusion_class
from trisent.i18n import system_reason, t
from trisent.training.config import TrainConfig
from trisent.training.finetune import FUSION, RECIPE, Finetune
from trisent.training.preparing import known_modalities
from trisent.types import Modality

TABLES = ("train", "model", "cleaning", "finetune", "data")
_SIMPLE = (int, float, str, bool)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides a training, save the data."""

    train: TrainConfig
    model: str
    model_config: dict[str, Any]  # JSON values of many shapes
    cleaning: CleaningOptions
    finetune: Finetune | None = None
    modalities: tuple[Modality, ...] | None = None


def read_settings(
    file: Path | None = None,
    *,
    flags: Mapping[str, Any] | None = None,
    assignments: Sequence[str] = (),
    clean: bool = False,
) -> Settings:
    """Put settings together; later ones replace earlier ones: the file, then flags, then assignments.

    Args:
        file: TOML, see above.
        flags: by "table.key", from options of their own; those that are None were not given.
        assignments: "table.key=value", with the value as in TOML; text needs no quotes.
        clean: begin with all of cleaning; otherwise what [cleaning] does not name stays off.

    Raises:
        UsageError: the file cannot be read, a name is unknown, or a value makes no sense.
    """
    tables: dict[str, dict[str, Any]] = {name: {} for name in TABLES}
    if file:
        for table, values in _read(file).items():
            _table(tables, table).update(_mapping(table, values))
    for name, value in (flags or {}).items():
        if value is not None:
            table, _, key = name.partition(".")
            _table(tables, table)[key] = value
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        table, dot, key = name.strip().partition(".")
        if not (equals and dot):
            raise UsageError(t("--set takes TABLE.KEY=VALUE such as train.lr=3e-4, got {got!r}", got=assignment))
        _table(tables, table)[key] = _value(text.strip())
    model = tables["model"]
    name = _checked("model.name", model.pop("name", FUSION if tables["finetune"] else "concat"), str)
    base = CleaningOptions() if clean else FINITE
    finetune = tables["finetune"]
    modalities = _known("data", tables["data"], {"modalities": Any}).get("modalities")
    if modalities is not None and not isinstance(modalities, list):  # as an option or an assignment has them
        modalities = [name.strip() for name in str(modalities).split(",")]
    recipe = RECIPE if finetune else {}
    return Settings(
        train=TrainConfig(**{**recipe, **_known("train", tables["train"], _hints(TrainConfig))}),
        model=name,
        model_config=_known("model", model, _model_hints(name)),
        cleaning=CleaningOptions(**asdict(base) | _known("cleaning", tables["cleaning"], _hints(CleaningOptions))),
        finetune=Finetune(**_known("finetune", finetune, _hints(Finetune))) if finetune else None,
        modalities=None if modalities is None else known_modalities(modalities),
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(t("{path} cannot be read: {reason}", path=file, reason=system_reason(error))) from error
    except ValueError as error:  # TOML and UTF-8
        raise UsageError(t("{path} is not a TOML file: {reason}", path=file, reason=error)) from error


def _value(text: str) -> Any:  # whatever TOML knows
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _table(tables: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    if name not in tables:
        raise UsageError(t("there is no setting {name}; there are {names}", name=name, names=", ".join(TABLES)))
    return tables[name]


def _mapping(table: str, values: Any) -> dict[str, Any]:  # whatever the file holds
    if not isinstance(values, dict):
        raise UsageError(t("{name} must be a table: write [{name}] above its settings", name=table))
    return values


def _hints(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _model_hints(name: str) -> dict[str, Any]:
    """Tell the settings of a fusion model and their types, from the parameters it is made with."""
    kind = fusion_class(name)
    try:
        hints = typing.get_type_hints(kind.__init__)
    except NameError:  # types of other people's models may be known to type checkers alone; the model then checks
        hints = {}
    named = [key for key, p in inspect.signature(kind).parameters.items() if p.kind is not p.VAR_KEYWORD]
    return {key: hints.get(key, Any) for key in named if key != "dims"}  # widths come from the data


def _known(table: str, values: Mapping[str, Any], hints: Mapping[str, Any]) -> dict[str, Any]:
    for key in values:
        if key not in hints:
            message = "there is no setting {name}; {table} has {names}"
            raise UsageError(t(message, name=f"{table}.{key}", table=table, names=", ".join(hints)))
    return {key: _checked(f"{table}.{key}", value, hints[key]) for key, value in values.items()}


def _checked(name: str, value: Any, hint: Any) -> Any:  # values and types of many shapes
    union = typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)
    simple = [kind for kind in union if kind in _SIMPLE]
    if any(kind not in (*_SIMPLE, types.NoneType) for kind in union) or type(value) in simple:
        return value
    if type(value) is int and float in simple:
        return float(value)
    expected = " / ".join(_said(kind) for kind in simple)
    raise UsageError(t("{name} must be {expected}, got {got!r}", name=name, expected=expected, got=value))


def _said(kind: type) -> str:
    if kind is bool:
        return t("true or false")
    if kind is str:
        return t("a text")
    return t("a whole number") if kind is int else t("a number")
