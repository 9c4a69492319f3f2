"""Folders of media: what is in them, in an order that people and every run agree on."""

import re
import stat
from pathlib import Path

from trisent.features.part import Failure
from trisent.i18n import system_reason, t

_VIDEO = """
.mp4 .mov .m4v .mkv .webm .avi .flv .f4v .wmv .asf .mpg .mpeg .m2v .ts .mts .m2ts .vob .ogv .3gp .3g2 .rm .rmvb .mxf .dv
"""
_SOUND = ".wav .mp3 .m4a .aac .flac .ogg .oga .opus .wma .aif .aiff .amr .caf .ac3 .mka .w64 .au"
_KNOWN = f"{_VIDEO} {_SOUND}".split()
# What lies beside videos. Any other suffix is tried, and fails in the ledger if it is no media.
_BESIDE = """
.jpg .jpeg .png .gif .bmp .webp .tif .tiff .svg .heic .psd .ico
.txt .md .rst .csv .tsv .json .jsonl .ndjson .xml .yaml .yml .toml .ini .cfg .conf .log .html .htm .css .js
.pdf .doc .docx .xls .xlsx .ppt .pptx .odt .ods .rtf .tex .bib
.srt .vtt .ass .ssa .sub .idx .lrc .sbv .textgrid .eaf
.py .ipynb .sh .bat .ps1 .m .r .c .h .cpp .java .pyc .so .dll .exe
.pkl .pickle .npy .npz .pt .pth .ckpt .safetensors .bin .onnx .h5 .hdf5 .csd .mat .parquet .arrow .feather .db .sqlite
.zip .tar .gz .bz2 .xz .7z .rar .zst .tgz .part .tmp .crdownload .download .aria2 .torrent
.sha256 .md5 .sha1 .lnk .url .bak .swp .lock
"""
_OTHER = {"", *_BESIDE.split()}


def by_nature(path: Path) -> tuple[tuple[tuple[int, int, str], ...], ...]:
    """Order paths as people do: folder by folder, 2 before 10, whatever their case.

    >>> [p.name for p in sorted(map(Path, ["clip10", "Clip2", "clip1"]), key=by_nature)]
    ['clip1', 'Clip2', 'clip10']
    """
    return (*(_natural(part.casefold()) for part in path.parts), *(((0, 0, part),) for part in path.parts))


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in re.split(r"(\d+)", name) if p)


def is_media(path: Path) -> bool:
    """Say whether a file is to be tried as video or sound, by its name."""
    return not path.name.startswith(".") and path.suffix.lower() not in _OTHER


def media_rank(path: Path) -> tuple[int, str]:
    """Order files of one name: known videos before known sound before what is tried."""
    suffix = path.suffix.lower()
    return (_KNOWN.index(suffix) if suffix in _KNOWN else len(_KNOWN), path.name)


def media_below(folder: Path) -> tuple[list[Path], list[Failure]]:
    """Find every media file below a folder, and what could not be looked into.

    Links are followed, each folder is visited once; hidden files and known other suffixes are passed over.
    """
    found: list[Path] = []
    failures: list[Failure] = []
    visited: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            state = here.stat()
            if (state.st_dev, state.st_ino) in visited:
                continue
            visited.add((state.st_dev, state.st_ino))
            inside = sorted((p for p in here.iterdir() if not p.name.startswith(".")), key=by_nature)
            folders = [p for p in inside if p.is_dir()]
        except OSError as error:
            failures.append(Failure(str(here), str(here), None, system_reason(error)))
            continue
        # The first folder in this order is looked into first, so a folder reached twice is always found the same way.
        waiting += reversed(folders)
        found += [p for p in inside if is_media(p) and p not in folders]
    return sorted(found, key=by_nature), failures


def fault_of(path: Path) -> str:
    """Say why `path` is no file that can be opened; "" when it is one."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return system_reason(error)
    return "" if stat.S_ISREG(mode) else t("is no file")
