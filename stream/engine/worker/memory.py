"""Tune glibc's malloc: keep freed memory for the next block, and return it to the system after a backlog."""

import ctypes
import gc
import platform

# The parameters of glibc's mallopt, and their values. What is larger than a block or a fetch, such as a snapshot, is
# returned at once.
_MALLOC = {"M_MMAP_THRESHOLD": (-3, 8 << 20), "M_TRIM_THRESHOLD": (-1, 64 << 20), "M_TOP_PAD": (-2, 4 << 20)}

_libc = ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def tune() -> None:
    """Set up the process for work on blocks: fewer garbage collections, and memory that is reused.

    By default glibc returns a block's megabytes to the system, which zeroes them for the next block. That takes a sixth
    of all time.
    """
    # A block unpacks into thousands of short-lived objects without cycles. By default every 700 start a collection.
    gc.set_threshold(100_000, 50, 50)
    if _libc is not None:
        for parameter, value in _MALLOC.values():
            _libc.mallopt(parameter, value)


def give_back() -> None:
    """Return all free memory to the system. For 100 MiB or more, this takes some 10 ms."""
    if _libc is not None:
        _libc.malloc_trim(0)
