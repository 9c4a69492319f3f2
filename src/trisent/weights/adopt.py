"""Take in weights that came by hand: from a stick, a browser, an archive. Right files are copied to where find() looks.

Nothing a person has is moved, changed or deleted; nothing is unpickled. What a file is, recognise.py says.
"""

import zipfile
import zlib
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from trisent.errors import WeightsError
from trisent.i18n import t
from trisent.types import OnProgress, no_progress
from trisent.weights.catalog import Entry, File, entries
from trisent.weights.find import find_cached, is_right
from trisent.weights.gather import gather, settle
from trisent.weights.members import Refused, members
from trisent.weights.placed import use_placed, weights_files
from trisent.weights.places import landing, models_folders
from trisent.weights.recognise import Item, Recognised, plain_name, recognise
from trisent.weights.store import store

# Of these it is said what they are, also when they lie among other files in a folder or an archive.
_WEIGHTS_SUFFIXES = (".safetensors", ".bin", ".pth", ".pt", ".hdf5", ".h5", ".zip", ".whl")


@dataclass(frozen=True, slots=True)
class Adopted:
    """What became of one file: its `kind` ("right", "truncated" …), what it is in words, and where it landed."""

    source: str
    kind: str
    what: str
    landed: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Adoption:
    """What became of all files. `complete` names the weights that can be used now, `missing` what the others lack."""

    files: tuple[Adopted, ...]
    complete: tuple[str, ...]
    missing: dict[str, tuple[str, ...]]
    all_adopted: bool


def adopt(paths: Iterable[str | Path], *, on_progress: OnProgress = no_progress) -> Adoption:
    """Take in files, folders and zip archives (wheels, too), recognised by their bytes whatever their names.

    In folders and archives, files that are none of the catalog's business are passed over.

    Args:
        on_progress: called with a file's name, bytes so far, bytes in all, while it is copied.

    Raises:
        WeightsError: a disk has no room.
    """
    with ExitStack() as archives:
        run = _Run(on_progress, archives)
        for path in paths:
            run.take(Path(path).expanduser())
        run.place_shared()
    for entry in run.touched.values():
        if not is_complete(entry):
            gather(entry)  # what is missing may lie in another place already
    complete = tuple(name for name, entry in run.touched.items() if is_complete(entry))
    missing = {name: _lacks(entry) for name, entry in run.touched.items() if name not in complete}
    return Adoption(tuple(run.files), complete, missing, all_adopted=run.good)


def is_complete(entry: Entry) -> bool:
    """Say whether the catalog's bytes of `entry` are here and would be used."""
    for folder in (models / entry.name for models in models_folders()):
        if weights_files(folder, entry):
            try:
                return use_placed(folder, entry).pinned
            except WeightsError:
                return False
    try:
        return find_cached(entry) is not None
    except WeightsError:
        return False


@dataclass(slots=True)
class _Run:
    on_progress: OnProgress
    archives: ExitStack
    files: list[Adopted] = field(default_factory=list)
    touched: dict[str, Entry] = field(default_factory=dict)
    seen: set[Path] = field(default_factory=set)
    shared: list[tuple[Item, Recognised]] = field(default_factory=list)
    good: bool = True

    def place_shared(self) -> None:
        """Place the files of several models, such as a vocabulary, with those that have their weights here or in hand.

        At the end, when it is known which these are: the stick with MiniLM does not begin a BERT.
        """
        for item, recognised in self.shared:
            begun = [(e, f) for e, f in recognised.matches if e.name in self.touched or _has_weights(e)]
            self._place(item, recognised.what, begun or list(recognised.matches))

    def take(self, path: Path) -> None:
        if path.is_file():
            self._file(path, asked_for=True)
            return
        if not path.is_dir():
            self._say(str(path), "absent", t("no such file or folder"))
            return
        found = 0
        for file in sorted(p for p in path.rglob("*") if p.is_file() and not p.name.endswith((".lock", ".part"))):
            found += self._file(file, asked_for=False)
        if not found and not any(file.source.startswith(str(path)) for file in self.files):
            self._say(str(path), "unknown", t("holds no file of the catalog"))

    def _file(self, path: Path, *, asked_for: bool) -> int:
        """Take a file or an archive; returns how many right files that were."""
        if path.resolve() in self.seen:  # the cache of the hub shows one blob under several names
            return 0
        self.seen.add(path.resolve())
        try:
            item = Item.of_file(path)
            recognised = recognise(item)
            if recognised.kind == "archive":
                return self._archive(path, asked_for=asked_for)
            return self._one(item, recognised, asked_for=asked_for)
        except OSError as error:
            self._say(str(path), "unreadable", t("cannot be read ({why})", why=error))
            return 0

    def _archive(self, path: Path, *, asked_for: bool) -> int:
        right = 0
        for item in members(path, self.archives):
            try:
                if isinstance(item, Refused):
                    self._say(item.label, "refused", item.why)
                else:
                    right += self._one(item, recognise(item), asked_for=False)
            except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError) as error:
                self._say(item.label, "damaged", t("cannot be unpacked ({why})", why=error))
        if not right and asked_for:
            self._say(str(path), "unknown", t("holds no file of the catalog"))
        return right

    def _one(self, item: Item, recognised: Recognised, *, asked_for: bool) -> int:
        if recognised.kind != "right":
            if not asked_for and not _is_worth_a_word(item, recognised):
                return 0
            fine = not asked_for and recognised.kind == "unknown"
            self._say(item.label, recognised.kind, recognised.what, fine=fine)
            return 0
        if len({entry.name for entry, _ in recognised.matches}) > 1:
            self.shared.append((item, recognised))
        else:
            self._place(item, recognised.what, list(recognised.matches))
        return 1

    def _place(self, item: Item, what: str, matches: list[tuple[Entry, File]]) -> None:
        landed: list[Path] = []
        for entry, file in matches:
            self.touched[entry.name] = entry
            destination = landing(entry, file)
            if is_complete(entry) or is_right(destination, file):
                continue
            store(item.open, destination, file, on_progress=self.on_progress)
            settle(entry, file)
            landed.append(destination)
        self._say(item.label, "right", what, landed=tuple(landed), fine=True)

    def _say(self, source: str, kind: str, what: str, *, landed: tuple[Path, ...] = (), fine: bool = False) -> None:
        self.files.append(Adopted(source, kind, what, landed))
        self.good = self.good and fine


def _is_worth_a_word(item: Item, recognised: Recognised) -> bool:
    """Say whether something in a folder or an archive could have been meant; a README or an empty file is not."""
    name = plain_name(item).lower()
    names = {file.path for entry in entries() for file in entry.files}
    return name.endswith(_WEIGHTS_SUFFIXES) or (recognised.kind != "unknown" and name in names)


def _has_weights(entry: Entry) -> bool:
    return any(is_right(landing(entry, file), file) for file in entry.weights)


def _lacks(entry: Entry) -> tuple[str, ...]:
    return tuple(
        needed.path
        for needed in entry.needed
        if not any(is_right(landing(entry, choice), choice) for choice in entry.choices(needed))
    )
