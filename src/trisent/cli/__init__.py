"""The command line: one file a verb, the only place that prints.

trisent demo | predict | train | score | compare | weights … | data …
"""

import itertools
import sys
from collections.abc import Sequence

from trisent.i18n import LANGUAGES, detect_language, set_language


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `trisent ARGUMENTS` and return the exit code: 0 good, 1 failed, 2 wrong use, 130 after Ctrl-C."""
    words = _in_front(sys.argv[1:] if arguments is None else arguments)
    # Before anything else is imported: help texts are translated where they are written down.
    set_language(language := _language(words))
    from trisent.cli.guard import INTERRUPTED, guarded

    def work() -> int:
        from trisent.cli.app import app

        if language != "en" and ({"-h", "--help"}.intersection(words) or len(words) < 4):  # of groups, no words either
            from trisent.cli.help import translate

            translate()
        exit_code = int(app(words, prog_name="trisent", standalone_mode=False) or 0)
        if exit_code == INTERRUPTED:  # typer makes a number of Ctrl-C, without a word to the person
            raise KeyboardInterrupt
        return exit_code

    return guarded(work, verbose="-v" in words or "--verbose" in words)


def _in_front(words: Sequence[str]) -> list[str]:
    """Put --lang and -v before the verb, where typer looks for them: people write them at the end, too.

    >>> _in_front(["score", "a.csv", "--lang", "zh", "-v"])
    ['--lang', 'zh', '-v', 'score', 'a.csv']
    """
    front: list[str] = []
    others: list[str] = []
    left = iter(words)
    for word in left:
        if word == "--":  # what follows are names
            others += [word, *left]
        elif word == "--lang":
            front += [word, *itertools.islice(left, 1)]
        else:
            (front if word in ("-v", "--verbose") or word.startswith("--lang=") else others).append(word)
    return front + others


def _language(words: Sequence[str]) -> str:
    """Find --lang among the words, wherever it stands; a wrong one is refused later, with the usage."""
    for i, word in enumerate(words):
        value = (
            word.partition("=")[2]
            if word.startswith("--lang=")
            else words[i + 1]
            if word == "--lang" and i + 1 < len(words)
            else None
        )
        if value in LANGUAGES:
            return value
    return detect_language()
