"""A process's memory: used again for the next block, and given back once a backlog is read."""

import ctypes
import gc
import platform

# glibc's parameters of mallopt, and what they are set to.
_MALLOC = {"M_MMAP_THRESHOLD": (-3, 32 << 20), "M_TRIM_THRESHOLD": (-1, 64 << 20), "M_TOP_PAD": (-2, 4 << 20)}

_libc = ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def tune() -> None:
    """Set the process up for blocks.

    Few collections of what has no cycles, and memory that is used again: by default glibc gives a block's megabytes
    back to the system, to have them zeroed for the next (a sixth of all time).
    """
    # A block unpacks into thousands of short-lived objects; by default every 700 of them start a collection.
    gc.set_threshold(100_000, 50, 50)
    if _libc is not None:
        for parameter, value in _MALLOC.values():
            _libc.mallopt(parameter, value)


def give_back() -> None:
    """Give the system what is free, wherever it lies; that takes some 10 ms, where it is 100 MiB and more."""
    if _libc is not None:
        _libc.malloc_trim(0)
