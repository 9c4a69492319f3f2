"""Settings that come from outside: the folders trisent uses, and named presets of extractors."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trisent.errors import UsageError
from trisent.i18n import t
from trisent.types import Modality


def home() -> Path:
    """Return trisent's cache folder: TRISENT_HOME, else the platform's user cache. It need not exist yet."""
    if value := os.environ.get("TRISENT_HOME"):
        return Path(value).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("trisent", appauthor=False))


def checkout() -> Path | None:
    """Return the root of the source checkout this package runs from; None for an installed wheel."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() and (root / "src" / "trisent").is_dir() else None


@dataclass(frozen=True, slots=True)
class Preset:
    """A named trio of extractors, each (name in the registry, name in the catalog, further options)."""

    name: str
    extractors: dict[Modality, tuple[str, str, dict[str, Any]]]


PRESETS = {
    "embedded": Preset(
        "embedded",
        {
            "text": ("bert", "minilm-l6", {"layers": (3, 6)}),
            "audio": ("whisper", "whisper-tiny-en", {"layers": (2, 3)}),
            "video": ("face", "efficientnet-lite0", {}),
        },
    ),
    "pretrained": Preset(
        "pretrained",
        {
            "text": ("bert", "bert-base-uncased", {}),
            "audio": ("wav2vec", "wav2vec2-base", {}),
            "video": ("resnet", "resnet50", {}),
        },
    ),
}


def named_preset(name: str) -> Preset:
    """Return the preset `name`.

    Raises:
        UsageError: no preset has that name.
    """
    if name not in PRESETS:
        raise UsageError(t("no preset is called {name!r}; there are: {names}", name=name, names=", ".join(PRESETS)))
    return PRESETS[name]
