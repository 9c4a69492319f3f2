"""What the parser of the command line complains of, in the person's language: typer speaks English alone."""

import re

from trisent.i18n import t

# As typer, click and pydantic write them, without the last full stop; those that say more stand before the others.
COMPLAINTS = (
    "Missing argument {what}",
    "Missing option {what}",
    "Missing command",
    "No such command {what}",
    "No such option: {what} (Possible options: {others})",
    "No such option: {what}",
    "Option {what} requires an argument",
    "Option {what} does not take a value",
    "Got unexpected extra argument(s) ({what})",
    "Got unexpected extra argument ({what})",
    "Got unexpected extra arguments ({what})",
    "Invalid value for {what}: {reason}",
    "Invalid value: {reason}",
    "{what} is not a valid integer",
    "{what} is not a valid float",
    "Input should be a valid integer, unable to parse string as an integer",
    "Input should be a valid integer, got a number with a fractional part",
    "Input should be a valid number, unable to parse string as a number",
)


def translated(complaint: str) -> str:
    """Say a complaint of the parser in the current language; one that is not known stays as it is.

    >>> translated("Missing argument 'DATA'")
    "Missing argument 'DATA'"
    """
    for template in COMPLAINTS:
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(template))
        if found := re.fullmatch(pattern, complaint, re.DOTALL):
            parts = found.groupdict()
            if "reason" in parts:
                parts["reason"] = translated(parts["reason"])
            return t(template, **parts)
    return complaint
