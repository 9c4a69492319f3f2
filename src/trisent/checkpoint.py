"""A bundle: a folder with a trained fusion model and all it needs to judge a video.

bundle.json         what this module's `Bundle` holds, and the sha256 of the weights; written last
model.safetensors   the weights
README.md           the model card
cleaning.json       what features go through before the model sees them, when there is anything to do
history.json        how training went, when there was any
text_encoder/       the encoder of its text features, when it learnt along
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from trisent import __version__
from trisent.card import model_card
from trisent.data.cleaning import Cleaning
from trisent.data.provenance import provenance_from_json
from trisent.errors import BundleError, UsageError, one_line
from trisent.evaluation.metrics import Scores
from trisent.files import json_bytes, write_whole
from trisent.fusion.registry import build
from trisent.i18n import system_reason, t
from trisent.types import MODALITIES, Modality, Provenance

FORMAT = 1
TEXT_ENCODER = "text_encoder"
"""Folder of a bundle, and name of the weights in the provenance of its text features, when it has its own encoder."""
_WEIGHTS, _CLEANING = "model.safetensors", "cleaning.json"
_SHIPPED = Path(__file__).parent / "bundles"


@dataclass(frozen=True, slots=True)
class Bundle:
    """What is known of a trained fusion model.

    Attributes:
        model_name, model_config: what `trisent.fusion.registry.build` takes.
        preset: the preset whose extractors made the features, or None when nobody said.
        extractors: provenance of the features, by modality, or None when nobody knows.
        scores: by split, "valid" and "test".
        data: the data set as JSON: its name, rows by split, and whatever its maker tells.
        synthetic: the data were made up; the model must not be believed.
        licence: of the weights, which may follow from that of the data.
        pooled: modalities of which the model was trained on one step an utterance, the average of all.
        cleaning: what features go through before the model sees them; it has a file of its own.
    """

    model_name: str
    model_config: dict[str, Any]  # JSON values of many shapes
    preset: str | None
    extractors: dict[Modality, Provenance] | None
    scores: dict[str, Scores]
    data: dict[str, Any]  # JSON values of many shapes
    synthetic: bool
    licence: str
    seed: int
    trisent_version: str = field(default=__version__)
    format: int = FORMAT
    pooled: tuple[Modality, ...] = ()
    cleaning: Cleaning | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object that `from_json` reads; the cleaning is not in it."""
        values = asdict(replace(self, cleaning=None))
        del values["cleaning"]
        return values | {"scores": {split: s.to_json() for split, s in self.scores.items()}}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Bundle":
        """Rebuild from `to_json`.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: a field is missing, unknown or of the wrong kind.
        """
        extractors = values["extractors"]
        if unknown := set(extractors or ()) - set(MODALITIES):
            raise KeyError(*sorted(unknown))
        read = {
            "scores": {str(split): Scores.from_json(s) for split, s in values["scores"].items()},
            "extractors": extractors and {m: provenance_from_json(extractors[m]) for m in extractors},
            "pooled": tuple(values.get("pooled", ())),
        }
        return cls(**{**values, **read})


def save_bundle(
    folder: Path,
    bundle: Bundle,
    model: nn.Module,
    *,
    parts: Mapping[str, bytes] | None = None,
    extra: Mapping[str, bytes] | None = None,
) -> None:
    """Write a bundle, replacing one that is there.

    All files are complete beside their places before the first is moved, and bundle.json, which names the digest of
    the weights, moves last: a reader meets the old bundle, the new one, or a clear error. Other files are left alone.

    Args:
        folder: made if need be.
        bundle: what bundle.json and the model card say.
        model: the trained model, on any device.
        parts: further files that the bundle cannot do without, such as those of its text encoder: name -> content.
        extra: further files, name -> content, such as history.json; a README.md among them replaces the model card.
    """
    # A clone each: parts of a model may share weights, and safetensors refuses tensors that share memory.
    weights = save(
        {
            name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, tensor in model.state_dict().items()
        }
    )
    named = {_WEIGHTS: weights, **(parts or {})}
    if bundle.cleaning is not None:
        named[_CLEANING] = (json.dumps(bundle.cleaning.to_json(), allow_nan=False) + "\n").encode()
    facts = bundle.to_json() | {"files": {name: hashlib.sha256(content).hexdigest() for name, content in named.items()}}
    document = json_bytes(facts, indent=2) + b"\n"
    card = model_card(bundle.to_json()).encode()
    for name in named:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    write_whole(folder, {**named, "README.md": card, **(extra or {}), "bundle.json": document})


def shipped_bundles() -> tuple[str, ...]:
    """Name the bundles that came with the package."""
    return tuple(sorted(path.parent.name for path in _SHIPPED.glob("*/bundle.json")))


def find_bundle(where: str | Path) -> Path:
    """Return the folder of a bundle: a `Path` is that folder; a `str` may also name a shipped bundle, such as
    "embedded", which wins over a folder of that name (write "./embedded" for the folder).
    """
    if isinstance(where, str) and where in shipped_bundles():
        return _SHIPPED / where
    return Path(where)


def own_text_encoder(where: str | Path, bundle: Bundle) -> Path | None:
    """Return the folder of the bundle's own text encoder; None when its text features are those of other weights."""
    folder = find_bundle(where) / TEXT_ENCODER
    provenance = (bundle.extractors or {}).get("text")
    return folder if provenance is not None and provenance.weights == TEXT_ENCODER and folder.is_dir() else None


def load_bundle(where: str | Path) -> tuple[Bundle, nn.Module]:
    """Read a bundle; the model comes back on the CPU in eval mode.

    Raises:
        BundleError: the bundle is missing, damaged, of a later format, or does not fit together.
    """
    folder = find_bundle(where)
    for name in ("bundle.json", _WEIGHTS):
        if not (folder / name).is_file():
            if seeds := sorted(path.parent.name for path in folder.glob("seed-*/bundle.json")):
                message = "{folder} holds a run for each of {n} seeds; name one of them: {example}"
                raise BundleError(t(message, folder=folder, n=len(seeds), example=folder / seeds[0]))
            message = t(
                "{folder} is not a bundle: {name} is missing. Expected the folder that training wrote (bundle.json and "
                "model.safetensors), or one of: {names}. To make one: trisent train",
                folder=folder,
                name=name,
                names=", ".join(shipped_bundles()) or t("(none shipped)"),
            )
            raise BundleError(message)
    bundle, digests = _read_json(folder / "bundle.json")
    weights = _read_file(folder / _WEIGHTS, digests[_WEIGHTS])
    for name, digest in digests.items():
        if name.startswith(f"{TEXT_ENCODER}/"):
            _check_file(folder / name, digest)
    if _CLEANING in digests:
        bundle = replace(bundle, cleaning=_read_cleaning(folder / _CLEANING, digests[_CLEANING]))
    try:
        model = build(bundle.model_name, bundle.model_config)
        model.load_state_dict(load(weights), strict=True)
    except (SafetensorError, RuntimeError, TypeError, ValueError, UsageError) as error:
        message = t(
            "{folder} does not fit together: {name!r} cannot be rebuilt ({reason}). "
            "Train again with this trisent, {version}.",
            folder=folder,
            name=bundle.model_name,
            reason=one_line(error),
            version=__version__,
        )
        raise BundleError(message) from error
    return bundle, model.eval()


def _read_file(path: Path, digest: str) -> bytes:
    content = path.read_bytes() if path.is_file() else b""
    _compare(path, got=hashlib.sha256(content).hexdigest(), digest=digest)
    return content


def _check_file(path: Path, digest: str) -> None:
    """Compare a file that may be large, without holding it."""
    got = hashlib.sha256()
    if path.is_file():
        with path.open("rb") as file:
            got = hashlib.file_digest(file, hashlib.sha256)
    _compare(path, got=got.hexdigest(), digest=digest)


def _compare(path: Path, *, got: str, digest: str) -> None:
    if got != digest:
        message = t(
            "{path} is damaged or belongs to another bundle: sha256 {got}, bundle.json says {expected}. "
            "Copy the whole folder again, or train again into it.",
            path=path,
            got=got,
            expected=digest,
        )
        raise BundleError(message)


def _read_cleaning(path: Path, digest: str) -> Cleaning:
    try:
        return Cleaning.from_json(json.loads(_read_file(path, digest)))
    except (ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
        raise BundleError(_unreadable(path, error)) from error


def _read_json(path: Path) -> tuple[Bundle, dict[str, str]]:
    """Return the bundle and the sha256 that its other files must have."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if (found := values.get("format")) != FORMAT:
            message = t(
                "{path} has format {found}, trisent {version} reads format {expected}. Upgrade: pip install -U trisent",
                path=path,
                found=found,
                version=__version__,
                expected=FORMAT,
            )
            raise BundleError(message)
        digests = {str(name): str(digest) for name, digest in values.pop("files").items()}
        if _WEIGHTS not in digests:
            raise KeyError(_WEIGHTS)
        return Bundle.from_json(values), digests
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(_unreadable(path, error)) from error


def _unreadable(path: Path, error: Exception) -> str:
    return t(
        "{path} cannot be read ({kind}: {reason}). Copy the whole folder again, or train again into it.",
        path=path,
        kind=type(error).__name__,
        reason=system_reason(error),
    )
