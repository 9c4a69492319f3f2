"""typer's help for people who do not read English: its own words, and lines that may break between any two characters.

Chinese has no blanks between words; typer cuts off what does not fit before the next blank.
"""

from typing import Any

from rich.columns import Columns
from rich.text import Text
from typer import Context, rich_utils

from trisent.i18n import t

_HELP = "Show this message and exit."


def translate() -> None:
    """Make typer say its own words in the language of the person, and fold lines instead of cutting them."""
    words = {
        "ARGUMENTS_PANEL_TITLE": t("Arguments"),
        "OPTIONS_PANEL_TITLE": t("Options"),
        "COMMANDS_PANEL_TITLE": t("Commands"),
        "DEFAULT_STRING": t("[default: {}]"),
        "REQUIRED_LONG_STRING": t("[required]"),
    }
    for name, word in words.items():
        setattr(rich_utils, name, word)
    formatter: Any = getattr(Context, "formatter_class", None)
    if formatter is not None:
        write_usage = formatter.write_usage

        def usage(self: Any, prog: str, args: str = "", prefix: str | None = None) -> None:
            write_usage(self, prog, args, t("Usage: ") if prefix is None else prefix)

        formatter.write_usage = usage
    of_parameters: Any = getattr(rich_utils, "_get_parameter_help", None)  # typer has no public names for them
    of_commands: Any = getattr(rich_utils, "_make_command_help", None)
    if of_parameters is None or of_commands is None:
        return  # another typer, whose help is cut off where it was

    def parameter_help(*, param: Any, **others: Any) -> Columns:
        if getattr(param, "help", None) == _HELP:
            param.help = t("Show this message and exit.")
        columns: Columns = of_parameters(param=param, **others)
        for part in columns.renderables:
            _fold(part)
        return columns

    rich_utils._get_parameter_help = parameter_help
    rich_utils._make_command_help = lambda **how: _fold(of_commands(**how))


def _fold(text: Any) -> Any:  # whatever rich can show
    if isinstance(text, Text):
        text.overflow = "fold"
    return text
