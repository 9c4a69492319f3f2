"""The language trisent speaks to people: English, or Chinese from a table.

English templates are the keys, so the code reads as what it says; `locale/zh.json` holds the Chinese.
The language is process-wide because it belongs to the person at the terminal, not to a call.
"""

import json
import locale
import os
from functools import cache
from pathlib import Path

LANGUAGES = ("en", "zh")

_language = "en"


def set_language(language: str) -> None:
    """Speak `language` ("en" or "zh") from now on.

    Raises:
        ValueError: the language is neither.
    """
    global _language
    if language not in LANGUAGES:
        msg = f"language must be one of {', '.join(LANGUAGES)}, got {language!r}"
        raise ValueError(msg)
    _language = language


def get_language() -> str:
    """Name the language spoken now."""
    return _language


def detect_language() -> str:
    """Guess the person's language: TRISENT_LANG, then the locale; English unless it says Chinese."""
    wanted = os.environ.get("TRISENT_LANG")
    if wanted in LANGUAGES:
        return wanted
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(variable):
            return "zh" if value.lower().startswith("zh") else "en"
    # Windows sets none of these variables; there the locale module knows.
    return "zh" if (locale.getlocale()[0] or "").lower().startswith(("zh", "chinese")) else "en"


@cache
def chinese() -> dict[str, str]:
    """Return the table English template -> Chinese template."""
    table = json.loads((Path(__file__).parent / "locale" / "zh.json").read_text(encoding="utf-8"))
    return {str(english): str(translation) for english, translation in table.items()}


def t(template: str, /, **values: object) -> str:
    """Say `template` in the current language, with `{name}` filled from `values`.

    >>> t("{n} faces", n=3)
    '3 faces'
    """
    if _language == "zh":
        template = chinese().get(template, template)
    return template.format(**values) if values else template


def system_reason(error: Exception) -> str:
    """Say in a few words, in the current language, what the system, or FFmpeg, said of a file.

    >>> system_reason(FileNotFoundError(2, "No such file or directory", "a.csv"))
    'No such file or directory'
    """
    said = getattr(error, "strerror", None)
    return t(said) if said else str(error)
