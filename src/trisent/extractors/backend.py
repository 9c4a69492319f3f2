"""Import transformers, whatever torchvision lies beside it.

transformers imports torchvision whenever it is installed, even for BERT. On CPU-only torch the torchvision of the
package index cannot be imported, and takes every model of transformers with it.
"""

import importlib
import importlib.metadata
import importlib.util
import logging
import sys
from functools import cache
from typing import Any

from trisent.errors import TrisentError
from trisent.i18n import t

logger = logging.getLogger(__name__)

_ASKS_FOR_TORCHVISION = (
    "is_torchvision_available",
    "is_torchvision_v2_available",
    "is_torchvision_greater_or_equal",
    "is_timm_available",
)


@cache
def transformers() -> Any:  # Any: transformers ships no types
    """Return the transformers package; a torchvision that cannot be imported is hidden from it.

    Raises:
        TrisentError: it cannot be hidden, and breaks transformers.
    """
    reason = _torchvision_fault()
    if not reason:
        return importlib.import_module("transformers")
    version = _version("torchvision")
    sys.modules["torchvision"] = None  # type: ignore[assignment]  # how Python spells "not installed"
    try:
        package = importlib.import_module("transformers")
        for name in _ASKS_FOR_TORCHVISION:  # whoever imported transformers before us has made it remember the answer
            getattr(getattr(package.utils.import_utils, name, None), "cache_clear", int)()
        importlib.import_module("transformers.image_utils")  # the first to ask for torchvision
    except Exception as error:
        message = (
            "torchvision {version} is installed but cannot be imported ({reason}), which breaks transformers. trisent "
            "does not need it. Run: pip uninstall torchvision, or install the build that fits torch {torch}"
        )
        raise TrisentError(t(message, version=version, reason=reason, torch=_version("torch"))) from error
    finally:
        del sys.modules["torchvision"]  # transformers remembers the answer; others may see the true error
    message = (
        "torchvision {version} is installed but cannot be imported ({reason}); going on without it. "
        "To get rid of it: pip uninstall torchvision"
    )
    logger.warning("%s", t(message, version=version, reason=reason))
    return package


def _torchvision_fault() -> str:
    """Say in one line why an installed torchvision cannot be imported; "" when it can, or there is none."""
    if importlib.util.find_spec("torchvision") is None:
        return ""
    try:
        for name in ("torchvision", "torchvision.io", "torchvision.transforms"):  # what transformers takes from it
            importlib.import_module(name)
    except Exception as error:  # RuntimeError, OSError, ImportError, AttributeError: seen for wrong builds
        for half in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
            del sys.modules[half]
        return " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return ""


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return t("unknown")
