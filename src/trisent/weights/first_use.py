"""Remember what an unpinned hub repository delivered at first, and refuse other bytes under the same name later.

Trust on first use: nobody has proven these digests, so the first download is believed, said aloud, and written down in
`first_use.json` of trisent's home. The catalog's digests need none of this.
"""

import json
import logging
import os
from pathlib import Path

from trisent.config import home
from trisent.errors import WeightsError
from trisent.i18n import t
from trisent.weights.catalog import Entry, listed

logger = logging.getLogger(__name__)


def lock_file() -> Path:
    """Return the file that remembers first uses; it need not exist."""
    return home() / "first_use.json"


def remembered(repo: str, path: str) -> str | None:
    """Return the digest of a file of a hub repository: proven by the catalog, else of its first use; None for neither.

    A digest is a sha256, or for a small file git's 40-digit blob id, which is all the hub lists.
    """
    entry = listed(repo)
    proven = {file.path: file.sha256 for file in entry.files} if entry is not None else {}
    return proven.get(path) or _read().get(repo, {}).get(path)


def remember(repo: str, path: str, sha256: str) -> None:
    """Write down the digest of a file's first download; a later one does not replace it."""
    remember_all(repo, {path: sha256})


def remember_all(repo: str, digests: dict[str, str]) -> None:
    """Write down the digests (path -> digest) of a repository's files, those not yet known."""
    table = _read()
    new = {path: digest for path, digest in digests.items() if remembered(repo, path) is None}
    if not new:
        return
    table[repo] = {**table.get(repo, {}), **new}
    beside = lock_file().with_name(f"first_use.json.{os.getpid()}.part")
    beside.parent.mkdir(parents=True, exist_ok=True)
    beside.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    beside.replace(lock_file())
    logger.warning(
        "%s",
        t(
            "{repo}: nobody has proven its bytes; {count} digests of this first download are written down in {file}",
            repo=repo,
            count=len(new),
            file=lock_file(),
        ),
    )


def refuse_other_bytes(entry: Entry) -> None:
    """Compare what a hub lists for `entry` now with what is remembered.

    Raises:
        WeightsError: a file has another digest than at first use.
    """
    for file in entry.files:
        expected = remembered(entry.repo, file.path)
        # Of one file the hub may list a sha256 on one day and a blob id on another: only like compares with like.
        if expected is None or len(expected) != len(file.sha256) or expected == file.sha256:
            continue
        msg = t(
            "{repo}: the hub lists {path} with digest {found}, but {expected} was used first. If the authors have "
            "changed it on purpose, remove {repo} from {lock} and run: trisent weights pull {repo}",
            repo=entry.repo,
            path=file.path,
            found=file.sha256,
            expected=expected,
            lock=lock_file(),
        )
        raise WeightsError(msg)


def _read() -> dict[str, dict[str, str]]:
    try:
        table = json.loads(lock_file().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        # To go on would trust anew what was to be compared.
        msg = t("{file} cannot be read ({why}). Mend or remove it.", file=lock_file(), why=error)
        raise WeightsError(msg) from error
    return table if isinstance(table, dict) else {}
