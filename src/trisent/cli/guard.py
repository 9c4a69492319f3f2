"""What stands between an error and the person: one line on stderr, an exit code, a traceback only when asked for."""

import io
import logging
import sys
from collections.abc import Callable

from trisent.cli.parser_words import translated
from trisent.errors import TrisentError
from trisent.i18n import system_reason, t
from trisent.memory import keep_memory

INTERRUPTED = 130  # the exit code after Ctrl-C


def guarded(work: Callable[[], int | None], *, verbose: bool = False) -> int:
    """Do `work` with trisent's log on stderr; turn what goes wrong into one line there.

    Returns:
        What `work` returned (None is 0), the code of a TrisentError, 2 for wrong use, 130 after Ctrl-C, else 1.
    """
    keep_memory()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console that cannot show Chinese must not end the run
            stream.reconfigure(errors="replace")
    log, handler = logging.getLogger("trisent"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.addFilter(_said_once())
    log.setLevel(logging.DEBUG if verbose else logging.WARNING)
    log.addHandler(handler)
    try:
        return work() or 0
    except KeyboardInterrupt:
        return _fail(t("stopped; the same command goes on after what is finished"), INTERRUPTED)
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        sys.stderr.close()
        return 0
    except Exception as error:
        if verbose:
            log.exception("%s", type(error).__name__)
        return _explain(error)
    finally:
        log.removeHandler(handler)


def _said_once() -> Callable[[logging.LogRecord], bool]:
    """Let each warning through once: weights are looked at by the plan, by the run and by each extractor."""
    said = set[str]()

    def is_new(record: logging.LogRecord) -> bool:
        message = record.getMessage()
        new = record.levelno < logging.WARNING or message not in said
        said.add(message)
        return new

    return is_new


def _explain(error: Exception) -> int:
    """Say what an error means to the person."""
    if isinstance(error, TrisentError):
        return _fail(t("error: {reason}", reason=error), error.exit_code)
    if (usage := _usage_message(error)) == "":  # no words: typer has shown the help instead
        return 2
    if usage is not None:
        return _fail(t("error: {reason} (see: {command} --help)", reason=usage, command=_command(error)), 2)
    if isinstance(error, ModuleNotFoundError):
        return _fail(
            t(
                "error: the Python package {name} is missing. In trisent's folder: pip install -c constraints.txt -e .",
                name=error.name,
            ),
            1,
        )
    if isinstance(error, OSError):
        reason = system_reason(error)
        reason = f"{error.filename}: {reason}" if error.filename else reason
        return _fail(t("error: {reason}", reason=reason), 1)
    message = "error: trisent has a fault: {kind}: {reason}. Run it again with -v and report what it prints"
    return _fail(t(message, kind=type(error).__name__, reason=error), 1)


def _usage_message(error: Exception) -> str | None:
    """Return what the command line's parser complains of; None for any other error."""
    # typer brings its own copy of click, whose exceptions have no public name to import.
    if not any(kind.__name__ == "ClickException" for kind in type(error).__mro__):
        return None
    said = getattr(error, "format_message", error.__str__)  # names the option; the message alone does not
    return translated(str(said()).strip().rstrip("."))


def _command(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return str(context.command_path) if context is not None else "trisent"


def _fail(message: str, exit_code: int) -> int:
    sys.stderr.write(" ".join(message.split()) + "\n")
    return exit_code
