"""Fetch from an exported folder that somebody in the room serves: also what no model hub has, the embedded weights.

HF_ENDPOINT names it. Of the public hubs nothing of the kind is asked.
"""

import logging
import os
from urllib.parse import quote, urlsplit

from trisent.types import OnProgress, no_progress
from trisent.weights.catalog import Entry, File
from trisent.weights.connection import offline
from trisent.weights.download import download
from trisent.weights.find import is_right
from trisent.weights.places import exported_path, landing
from trisent.weights.sources import Patience, SourcesFailedError

logger = logging.getLogger(__name__)

_PATIENCE = Patience(tries=2, connect_tries=1, connect_s=4.0)  # the package index waits behind it
_PUBLIC = ("huggingface.co", "hf-mirror.com")


def room_urls(entry: Entry, file: File) -> list[str]:
    """Return the address of `file` on the server HF_ENDPOINT names; none when that is a public hub, or no address."""
    server = os.environ.get("HF_ENDPOINT", "").strip().rstrip("/")
    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.netloc or (parts.hostname or "").endswith(_PUBLIC):
        return []
    return [f"{server}/{quote(exported_path(entry, file))}"]


def pull_from_room(entry: Entry, on_progress: OnProgress = no_progress) -> bool:
    """Fetch all files of `entry` from the room's server; says whether it has them. What it has not is no error."""
    needed = [f for f in entry.needed if not is_right(landing(entry, f), f)]
    if offline() or not all(room_urls(entry, file) for file in needed):
        return not needed
    total, before = sum(file.bytes for file in needed), 0
    log = logging.getLogger("trisent.weights.sources")
    for file in sorted(needed, key=lambda file: file.bytes):

        def report(what: str, done: int, _: int, before: int = before) -> None:
            on_progress(f"{entry.name}: {what}", before + done, total)

        was_disabled, log.disabled = log.disabled, True  # a mirror that has no embedded weights is nothing to warn of
        try:
            download(
                room_urls(entry, file),
                landing(entry, file),
                bytes=file.bytes,
                sha256=file.sha256,
                on_progress=report,
                patience=_PATIENCE,
            )
        except SourcesFailedError as error:
            logger.info("%s of %s is not served in the room: %s", file.path, entry.name, error.causes)
            return False
        finally:
            log.disabled = was_disabled
        before += file.bytes
    on_progress(entry.name, total, total)
    return True
