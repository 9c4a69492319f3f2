"""Memory that a process has given back, kept at hand."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # glibc, malloc/malloc.h
_NEVER = 2**31 - 1


def keep_memory() -> None:
    """Keep memory once had, for the next tensor, rather than give it back to the system; for processes of our own.

    glibc returns every block of more than 32 MB as soon as it is free, and the next one costs a page fault per 4 KB.
    Networks make and drop such blocks all the time: an epoch of `ef_lstm` on batches of 256 takes a third less time
    without that, pictures in ResNet-50 a quarter (benchmarks/train.py, benchmarks/extract.py). The peak stays what it
    was. Elsewhere than with glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _NEVER)
