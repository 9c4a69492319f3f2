"""The exceptions of trisent: one tree, one base class to catch.

    TrisentError                something that could not be done; exit code 1
    ├── MediaError              a file could not be decoded
    ├── WeightsError            weights are missing, wrong, or could not be fetched
    ├── DataError               a data set is missing something or holds nonsense
    ├── TrainingError           training came to nothing
    ├── BundleError             a bundle is broken or does not fit the request
    └── UsageError              the request itself makes no sense; exit code 2

Every message says what, where, expected, got, and the next command.
"""


class TrisentError(Exception):
    """Base of every error that trisent raises on purpose."""

    exit_code = 1


class MediaError(TrisentError):
    """A video or sound file could not be read."""


class WeightsError(TrisentError):
    """Pretrained weights are missing, wrong, or could not be fetched."""


class DataError(TrisentError):
    """A data set is missing, incomplete or inconsistent."""


class TrainingError(TrisentError):
    """Training came to nothing: its loss or its judgements are no longer numbers."""


class BundleError(TrisentError):
    """A bundle is missing, broken, or does not fit what was asked."""


class UsageError(TrisentError):
    """The request contradicts itself or names something unknown."""

    exit_code = 2


def one_line(error: BaseException, *, limit: int = 300) -> str:
    """Say what went wrong in one line of at most `limit` characters; an error without words by its name."""
    return " ".join(str(error).split())[:limit] or type(error).__name__
