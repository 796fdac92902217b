"""Loads the compiled hot path, and calls it.

Python's ctypes calls it, so it is a plain C library: one build serves each version of Python, a compiler needs none of
Python's headers, and a build with sanitizers is the same code. The calls are a few for each block, so what ctypes adds
to a call doesn't matter. They keep the GIL: to get it back, a call would have to wait for whatever runs meanwhile.
"""

import ctypes
import os
import struct
from ctypes import addressof, c_char, c_char_p, c_double, c_int64, c_uint64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tickertape.stream.compiled import build

_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "tt_set_powers": (None, [c_void_p]),
    "tt_set_tens": (None, [c_void_p]),
    "tt_names_new": (c_void_p, [c_uint64]),
    "tt_names_free": (None, [c_void_p]),
    "tt_names_clear": (None, [c_void_p]),
    "tt_names_add": (c_int64, [c_void_p, c_char_p, c_int64]),
    "tt_plan_new": (c_void_p, []),
    "tt_plan_free": (None, [c_void_p]),
    "tt_plan_field": (
        c_int64,
        [c_void_p, c_char_p, *[c_int64] * 6, c_double, c_double, *[c_int64] * 4, c_void_p],
    ),
    "tt_plan_choice": (c_int64, [c_void_p, c_char_p, c_int64]),
    "tt_scan": (c_int64, [c_void_p, c_void_p, c_int64, c_void_p, c_void_p, c_int64, c_void_p, c_void_p, c_void_p]),
    "tt_unbundle": (c_int64, [c_void_p, c_void_p, c_int64, c_int64, c_void_p, c_void_p, c_int64]),
    "tt_fold": (c_uint64, [c_void_p, c_int64, c_void_p, c_void_p, c_int64, c_void_p, c_int64]),
    "tt_rise": (c_int64, [c_void_p, c_int64, c_void_p, c_void_p, c_int64, c_void_p]),
    "tt_pairs_new": (c_void_p, [c_uint64]),
    "tt_pairs_free": (None, [c_void_p]),
    "tt_pairs_find": (None, [c_void_p, c_void_p, c_void_p, c_int64, c_void_p]),
    "tt_pairs_add": (c_int64, [c_void_p, c_void_p, c_void_p, c_int64, c_void_p, c_void_p, c_void_p]),
    "tt_pairs_drop": (None, [c_void_p, c_void_p, c_void_p, c_int64]),
    "tt_split": (c_int64, [c_void_p, *[c_int64] * 8, *[c_void_p] * 5, c_char_p, c_int64, c_void_p]),
    "tt_write_rows": (None, [c_void_p, *[c_int64] * 3, c_void_p, c_void_p]),
    "tt_frame": (c_int64, [*[c_void_p] * 5, *[c_int64] * 3, c_void_p, c_int64, c_void_p]),
}
_LEAST_POWER, _GREATEST_POWER = -342, 308
_LEAST_TEN, _GREATEST_TEN = -292, 324
_ELF_HEADER = 64


@cache
def library() -> Any:
    """Return the compiled hot path, or None where NumPy does its work."""
    return _load()[0]


def why_numpy() -> str:
    """Return why NumPy does the work, in a few words, or nothing where the compiled hot path does it."""
    return _load()[1]


def path_taken() -> str:
    """Return which of the two paths is on, and if it is NumPy's, why: ``compiled``, or ``NumPy only: …``."""
    return f"NumPy only: {why}" if (why := why_numpy()) else "compiled"


def address_of(array: Any) -> int:
    """Return where an array's items begin, in a fifth of the time that ``array.ctypes.data`` takes.

    An address doesn't keep its array: hold it until the call is over.
    """
    try:
        return addressof(c_char.from_buffer(array))
    except (TypeError, ValueError, BufferError):  # one that is empty, not for writing, or not in one piece
        return int(array.ctypes.data)


def _load() -> tuple[Any, str]:
    """Return the library, or None and why."""
    if os.environ.get(build.OFF, "0") not in ("", "0"):
        return None, f"{build.OFF} is set"
    named = os.environ.get(build.INSTEAD)
    path = Path(named).absolute() if named else build.library()
    if not path.exists():
        return None, f"{build.INSTEAD} names no file" if named else "not built; see CONTRIBUTING.md"
    try:
        if _is_cut_off(path.read_bytes()):
            return None, f"{path.name} is damaged"
        found = ctypes.PyDLL(str(path))
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(found, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        return None, f"{path.name} can't be loaded: {error}"
    # Held until the call is over: an address doesn't keep its array.
    table, of_ten = powers(), tens()
    found.tt_set_powers(table.ctypes.data)
    found.tt_set_tens(of_ten.ctypes.data)
    return found, ""


def powers() -> NDArray[np.uint64]:
    """Return the powers of five that decimals are computed with, as `tt_set_powers` takes them."""
    return np.array([_power(exponent) for exponent in range(_LEAST_POWER, _GREATEST_POWER + 1)], np.uint64)


def tens() -> NDArray[np.uint64]:
    """Return the powers of ten that the shortest decimals are computed with, as `tt_set_tens` takes them."""
    return np.array([_ten_to(exponent) for exponent in range(_LEAST_TEN, _GREATEST_TEN + 1)], np.uint64)


def _is_cut_off(file: bytes) -> bool:
    """Return whether an ELF file ends before its segments do: to load it would end the process, with no error raised.

    The loader itself looks at all else.
    """
    if len(file) < _ELF_HEADER or not file.startswith(b"\x7fELF\2\1"):  # of 64 bits, little-endian
        return False
    (at,), (each, count) = struct.unpack_from("<Q", file, 32), struct.unpack_from("<HH", file, 54)
    if at + each * count > len(file):
        return True
    segments = (struct.unpack_from("<8xQ16xQ", file, at + each * i) for i in range(count))
    return any(begin + size > len(file) for begin, size in segments)


def _power(exponent: int) -> tuple[int, int]:
    """Return the first 128 bits of 5^exponent, in two halves: cut off, or rounded up from 5^-27 to 5^-1."""
    if exponent >= 0:
        bits = 5**exponent << 128
    else:
        divisor = 5**-exponent
        bits = (1 << 255 + divisor.bit_length()) // divisor
    first = bits >> bits.bit_length() - 128
    if -27 <= exponent < 0:
        first += 1
    return first >> 64, first & (1 << 64) - 1


def _ten_to(exponent: int) -> tuple[int, int]:
    """Return the first 128 bits of 10^exponent, in two halves; one more than what is cut off."""
    shift = (exponent * 1741647 >> 19) - 127
    if exponent >= 0:
        first = 10**exponent >> shift if shift >= 0 else 10**exponent << -shift
    else:
        first = (1 << -shift) // 10**-exponent
    return first + 1 >> 64, first + 1 & (1 << 64) - 1
