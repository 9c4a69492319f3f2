"""Copy weights of this machine into a folder for a stick or a class-room: the hub's own URL layout, and SHA256SUMS.

Any web server can give such a folder to trisent; `serve` gives it to the hub library, too.
"""

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trisent.errors import UsageError, WeightsError
from trisent.files import write_whole
from trisent.i18n import t
from trisent.types import OnProgress, no_progress
from trisent.weights.catalog import Entry, File, by_digest, entries, hub_id, known
from trisent.weights.digests import sha256
from trisent.weights.find import find, is_hub_id, is_right
from trisent.weights.gather import locate
from trisent.weights.places import exported_path
from trisent.weights.store import opener, store

SUMS = "SHA256SUMS"
README = "README.txt"

_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


@dataclass(frozen=True, slots=True)
class Exported:
    """What an exported folder holds now, and how many bytes this run copied."""

    folder: Path
    names: tuple[str, ...]
    files: tuple[str, ...]
    bytes: int
    copied_bytes: int


def export(
    folder: str | Path,
    names: Iterable[str] = (),
    *,
    preset: str | None = None,
    on_progress: OnProgress = no_progress,
) -> Exported:
    """Copy the named weights, and those of a preset, into `folder`; each file is proven while it is copied.

    What an earlier export put there stays, and what is right already is not copied again. When something fails, what
    this run has written is taken away again.

    Args:
        on_progress: called with a file's name, bytes so far, bytes in all, while it is copied.

    Raises:
        WeightsError: weights are not on this machine, or a file of another content is in the way.
        UsageError: nothing was named.
    """
    wanted = list(dict.fromkeys([*names, *(e.name for e in entries(preset) if preset)]))
    if not wanted:
        raise UsageError(t("say which weights to export: names, or a preset"))
    target = Path(folder).expanduser()
    plan = [row for name in wanted for row in _files_of(name)]
    return _copy_all(target, tuple(wanted), plan, on_progress)


def sums(folder: Path) -> dict[str, str]:
    """Read SHA256SUMS of an exported folder: path -> sha256, for paths that stay inside.

    Raises:
        WeightsError: there is none.
    """
    try:
        text = (folder / SUMS).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError) as error:
        msg = t(
            "{folder} holds no {sums}, so it was not exported (or not to its end). Run: "
            "trisent weights export {folder} NAME",
            folder=folder,
            sums=SUMS,
        )
        raise WeightsError(msg) from error
    found = {match[2]: match[1] for line in text.splitlines() if (match := _LINE.fullmatch(line))}
    return {path: digest for path, digest in found.items() if _stays_inside(path)}


def _stays_inside(path: str) -> bool:
    return not path.startswith("/") and ".." not in path.split("/") and "\\" not in path and ":" not in path


def _files_of(name: str) -> list[tuple[str, Path, File]]:
    """List what belongs to `name`: the path in the exported folder, the path here, and what it must be."""
    entry = known(name) or _entry_of_snapshot(hub_id(name))
    rows: list[tuple[str, Path, File]] = []
    for needed in entry.needed:
        for choice in entry.choices(needed):
            if (path := locate(entry, choice)) is not None:
                rows.append((exported_path(entry, choice), path, choice))
                break
        else:
            msg = t("{name} is not complete on this machine: {file} is missing. Run: trisent weights pull {name}",
                    name=entry.name, file=needed.path)  # fmt: skip
            raise WeightsError(msg)
    return rows


def _entry_of_snapshot(name: str) -> Entry:
    """Make an entry of a hub repository in the cache that the catalog does not pin, by the bytes it has here."""
    found = find(name) if is_hub_id(name) else None
    if found is None or found.folder.parent.name != "snapshots":
        msg = t("{name} is not in the Hugging Face cache of this machine. Run: trisent weights pull {name}", name=name)
        raise WeightsError(msg)
    paths = sorted(p for p in found.folder.rglob("*") if p.is_file() and not p.name.startswith("."))
    files = tuple(
        File(path.relative_to(found.folder).as_posix(), path.stat().st_size, sha256(path), role="config")
        for path in paths
    )
    return Entry(name, None, found.licence, "", files, repo=name, revision=found.folder.name)


def _copy_all(
    target: Path, names: tuple[str, ...], plan: list[tuple[str, Path, File]], on_progress: OnProgress
) -> Exported:
    missing = [(path, source, file) for path, source, file in plan if not is_right(target / path, file)]
    for path, _, _ in missing:
        if (target / path).exists():
            msg = t("{path} is in the way: it has other bytes than the weights. Remove it, or export elsewhere.",
                    path=target / path)  # fmt: skip
            raise WeightsError(msg)
    needed = sum(file.bytes for _, _, file in missing)
    existing = next(folder for folder in (target.absolute(), *target.absolute().parents) if folder.is_dir())
    if (free := shutil.disk_usage(existing).free) < needed:
        msg = t("the export needs {needed} MB in {folder}, {free} MB are free",
                needed=-(-needed // 10**6), folder=target, free=free // 10**6)  # fmt: skip
        raise WeightsError(msg)
    written: list[Path] = []
    try:
        for path, source, file in missing:
            store(opener(source), target / path, file, on_progress=on_progress)
            written.append(target / path)
        table = {**_earlier(target), **{path: _sha256(target / path, file) for path, _, file in plan}}
        write_whole(target, {README: _readme(table).encode(), SUMS: _lines(table).encode()})
    except BaseException:
        for copy in written:
            copy.unlink(missing_ok=True)
            _remove_empty(copy.parent, target)
        raise
    total = sum((target / path).stat().st_size for path in table)
    return Exported(target, names, tuple(table), total, needed)


def _sha256(path: Path, file: File) -> str:
    return file.sha256 if len(file.sha256) == 64 else sha256(path)


def _earlier(target: Path) -> dict[str, str]:
    if not (target / SUMS).is_file():
        return {}
    return {path: digest for path, digest in sums(target).items() if (target / path).is_file()}


def _lines(table: dict[str, str]) -> str:
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(table.items()))


def _readme(table: dict[str, str]) -> str:
    template = (Path(__file__).parent / "export_readme.txt").read_text(encoding="utf-8")
    folders = sorted({path.rpartition("/")[0].partition("/resolve/")[0] for path in table})
    names = dict.fromkeys(_name(path, digest) for path, digest in sorted(table.items()))
    return template.format(folders="\n".join(f"    {folder}/" for folder in folders), names=" ".join(names))


def _name(path: str, digest: str) -> str:
    """Return the name by which the weights are pulled that a file of the folder belongs to."""
    if path.startswith("packages/"):
        return path.split("/")[1]
    repo = path.partition("/resolve/")[0]
    entry = known(repo) or by_digest(digest)
    return repo if entry is None else entry.name


def _remove_empty(folder: Path, stop: Path) -> None:
    while folder != stop and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
