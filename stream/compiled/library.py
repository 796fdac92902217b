"""Loads the compiled hot path, and calls it.

Python's ctypes calls it, so it is a plain C library: one build serves each version of Python, a compiler needs none of
Python's headers, and a build with sanitizers is the same code. The calls are a few for each block, so what ctypes adds
to a call doesn't matter. They keep the GIL: to get it back, a call would have to wait for whatever runs meanwhile.
"""

import ctypes
import os
from ctypes import c_char_p, c_double, c_int64, c_uint64, c_void_p
from functools import cache
from typing import Any

import numpy as np

from tickertape.stream.compiled import build

_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "tt_set_powers": (None, [c_void_p]),
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
    "tt_split": (c_int64, [c_void_p, *[c_int64] * 8, *[c_void_p] * 5]),
}
_LEAST_POWER, _GREATEST_POWER = -342, 308


@cache
def library() -> Any:
    """Return the compiled hot path, or None if it is turned off, was never built, or was built from other sources."""
    if os.environ.get(build.OFF, "0") != "0":
        return None
    path = os.environ.get(build.INSTEAD) or build.library()
    try:
        found = ctypes.PyDLL(str(path))
    except OSError:
        return None
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(found, name)
        function.restype, function.argtypes = result, arguments
    table = np.array([_power(exponent) for exponent in range(_LEAST_POWER, _GREATEST_POWER + 1)], np.uint64)
    found.tt_set_powers(table.ctypes.data)
    return found


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
