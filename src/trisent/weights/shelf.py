"""What an exported folder answers to a path, in the words of the model hub. Only files of its SHA256SUMS exist here.

No socket: the server is served.py. A path is looked up in a table and never joined to a folder, so it cannot lead out.
"""

import hashlib
import html
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from trisent.errors import WeightsError
from trisent.i18n import t
from trisent.weights.catalog import known
from trisent.weights.digests import sha256
from trisent.weights.export import README, SUMS, sums

_IN_REPO = re.compile(r"([\w.-]+/[\w.-]+)/resolve/([0-9a-f]{40})/(.+)", re.ASCII)
_RESOLVE = re.compile(r"/([\w.-]+(?:/[\w.-]+)?)/resolve/([^/]+)/(.+)", re.ASCII)
_API = re.compile(r"/api/models/([\w.-]+(?:/[\w.-]+)??)(?:/(revision|tree)/([^/]+))?/?", re.ASCII)
_LARGE_FILES = (".safetensors", ".bin", ".pth", ".pt", ".h5", ".hdf5", ".onnx", ".msgpack")
_LARGE_FROM_BYTES = 10 << 20


@dataclass(frozen=True, slots=True)
class Shelved:
    """A file on the shelf. The hub keeps large ones apart and names them by sha256, the others by git's blob id."""

    path: Path
    size: int
    sha256: str
    git_id: str
    large: bool

    @property
    def etag(self) -> str:
        """What the hub's ETag says."""
        return self.sha256 if self.large else self.git_id


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, headers, and a body: bytes, or a file that may be asked for in ranges."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    file: Shelved | None = None


@dataclass(slots=True)
class Shelf:
    """The files of an exported folder that are there and right; `broken` names the others."""

    folder: Path
    files: dict[str, Shelved] = field(default_factory=dict)
    repos: dict[str, dict[str, dict[str, Shelved]]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path) -> "Shelf":
        """Read a folder, and hash what it holds.

        Raises:
            WeightsError: the folder is none that export made, or nothing in it is right.
        """
        root = folder.resolve()
        shelf = cls(root)
        for name, digest in sums(root).items():
            shelf._add(name, digest)
        if not shelf.files:
            raise WeightsError(t("nothing in {folder} is what its {sums} says", folder=folder, sums=SUMS))
        return shelf

    def answer(self, path: str) -> Answer:
        """Answer the path of a request, as it stands in the request."""
        path = unquote(path.partition("?")[0].partition("#")[0])
        if match := _API.fullmatch(path):
            return self._about(*match.groups(default=""))
        if match := _RESOLVE.fullmatch(path):
            return self._resolve(*match.groups())
        name = path.removeprefix("/")
        if name in self.files:
            return Answer(200, {"ETag": f'"{self.files[name].sha256}"'}, file=self.files[name])
        if name in (README, SUMS) and (self.folder / name).is_file():
            return Answer(200, {"Content-Type": "text/plain; charset=utf-8"}, (self.folder / name).read_bytes())
        return self._listing(name.rstrip("/"))

    def _add(self, name: str, digest: str) -> None:
        path = (self.folder / name).resolve()
        try:
            inside = path.is_relative_to(self.folder) and path.is_file()
            if not inside or sha256(path) != digest:  # a link must not lead out, and rot must not spread
                self.broken.append(name)
                return
            size = path.stat().st_size
            large = name.endswith(_LARGE_FILES) or size >= _LARGE_FROM_BYTES
            content = _pointer(digest, size) if large else path.read_bytes()
        except (OSError, ValueError):  # ValueError: a name no file can have
            self.broken.append(name)
            return
        git_id = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        self.files[name] = Shelved(path, size, digest, git_id, large)
        if match := _IN_REPO.fullmatch(name):
            repo, commit, file = match.groups()
            self.repos.setdefault(repo, {}).setdefault(commit, {})[file] = self.files[name]

    def _commit(self, repo: str, revision: str) -> str:
        """Return the commit that `revision` means; "" when it is not on the shelf. `main` is the catalog's if there."""
        commits = self.repos[repo]
        if revision in commits:
            return revision
        entry = known(repo)
        pinned = entry.revision if entry is not None else ""
        return (pinned if pinned in commits else max(commits)) if revision == "main" else ""

    def _about(self, repo: str, what: str, revision: str) -> Answer:
        if elsewhere := self._unknown(repo, "/api/models/", f"/{what}/{quote(revision)}" if what else ""):
            return elsewhere
        if not (commit := self._commit(repo, revision or "main")):
            return _not_found(
                "RevisionNotFound", t("no revision {revision} of {repo} here", revision=revision, repo=repo)
            )
        files = sorted(self.repos[repo][commit].items())
        if what == "tree":
            return _json([_row(path, file) for path, file in files])
        siblings = [{"rfilename": path} for path, _ in files]
        about = {"id": repo, "modelId": repo, "sha": commit, "private": False, "gated": False, "disabled": False}
        return _json({"_id": "0", **about, "tags": [], "downloads": 0, "likes": 0, "siblings": siblings})

    def _resolve(self, repo: str, revision: str, path: str) -> Answer:
        if elsewhere := self._unknown(repo, "/", f"/resolve/{quote(revision)}/{quote(path)}"):
            return elsewhere
        if not (commit := self._commit(repo, revision)):
            return _not_found(
                "RevisionNotFound", t("no revision {revision} of {repo} here", revision=revision, repo=repo)
            )
        file = self.repos[repo][commit].get(path)
        if file is None:
            missing = _not_found("EntryNotFound", t("no {path} of {repo} here", path=path, repo=repo))
            return Answer(404, {**missing.headers, "X-Repo-Commit": commit}, missing.body)
        headers = {"X-Repo-Commit": commit, "ETag": f'"{file.etag}"'}
        if file.large:
            headers |= {"X-Linked-Size": str(file.size), "X-Linked-ETag": f'"{file.sha256}"'}
        return Answer(200, headers, file=file)

    def _unknown(self, repo: str, before: str, after: str) -> Answer | None:
        """Answer for a repository that is not here: by its full name if only the organisation was left out."""
        if repo in self.repos:
            return None
        full = [one for one in self.repos if one.partition("/")[2] == repo]
        if len(full) == 1:
            return Answer(307, {"Location": f"{before}{full[0]}{after}"})
        return _not_found("RepoNotFound", t("no repository {repo} here", repo=repo))

    def _listing(self, folder: str) -> Answer:
        start = f"{folder}/" if folder else ""
        inside = [name.removeprefix(start) for name in self.files if name.startswith(start)]
        if not inside:
            return _not_found("EntryNotFound", t("nothing here under this name"))
        names = {name.partition("/")[0] + ("/" if "/" in name else "") for name in inside}
        names |= set() if folder else {README, SUMS}
        links = "\n".join(f'<li><a href="/{quote(start + name)}">{html.escape(name)}</a>' for name in sorted(names))
        page = f"<!doctype html><meta charset=utf-8><title>trisent</title><ul>\n{links}\n</ul>\n"
        return Answer(200, {"Content-Type": "text/html; charset=utf-8"}, page.encode())


def _pointer(digest: str, size: int) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {size}\n".encode()


def _row(path: str, file: Shelved) -> dict[str, Any]:
    row: dict[str, Any] = {"type": "file", "path": path, "size": file.size, "oid": file.git_id}
    if file.large:
        pointer_size = len(_pointer(file.sha256, file.size))
        row["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": pointer_size}
    return row


def _json(document: object) -> Answer:
    return Answer(200, {"Content-Type": "application/json"}, json.dumps(document).encode())


def _not_found(code: str, message: str) -> Answer:
    # Headers are ASCII; the message in the person's language is in the body.
    headers = {"X-Error-Code": code, "X-Error-Message": code, "Content-Type": "application/json"}
    return Answer(404, headers, json.dumps({"error": message}).encode())
