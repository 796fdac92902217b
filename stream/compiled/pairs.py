"""Rows by keys of two integers, in compiled code where it is built, and otherwise in a dict."""

import secrets
import weakref
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tickertape.stream.compiled.library import address_of, library

_Ints: TypeAlias = NDArray[np.int64]
_NO_ROW = -1


class Pairs(Protocol):
    """Rows by key. The two halves of n keys are two columns, shape (n,)."""

    def find(self, first: _Ints, second: _Ints) -> _Ints:
        """Return the row of each key, -1 for one that isn't there."""

    def add(self, first: _Ints, second: _Ints, fresh: _Ints) -> tuple[_Ints, _Ints]:
        """Return the row of each key, and the places of the new ones among them.

        The new keys get the rows in ``fresh``, shape (n,), in their order.
        """

    def drop(self, first: _Ints, second: _Ints) -> None:
        """Forget keys."""


def pairs() -> Pairs:
    """Return an empty mapping."""
    compiled = library()
    return _CompiledPairs(compiled) if compiled is not None else _DictPairs()


class _DictPairs:
    def __init__(self) -> None:
        self._row: dict[bytes, int] = {}

    def find(self, first: _Ints, second: _Ints) -> _Ints:
        row = self._row
        return np.array([row.get(key, _NO_ROW) for key in _bytes(first, second)], np.int64)

    def add(self, first: _Ints, second: _Ints, fresh: _Ints) -> tuple[_Ints, _Ints]:
        row = self._row
        keys = _bytes(first, second)
        if len(row.keys() & keys) == len(set(keys)):
            return np.array([row[key] for key in keys], np.int64), np.empty(0, np.int64)
        rest = iter(fresh.tolist())
        added = []
        for place, key in enumerate(keys):
            if key not in row:
                row[key] = next(rest)
                added.append(place)
        return np.array([row[key] for key in keys], np.int64), np.array(added, np.int64)

    def drop(self, first: _Ints, second: _Ints) -> None:
        for key in _bytes(first, second):
            self._row.pop(key, None)


def _bytes(first: _Ints, second: _Ints) -> list[bytes]:
    """Return each key as 16 bytes: a dict finds these in half the time of a tuple."""
    found: list[bytes] = np.column_stack((first, second)).view("V16").ravel().tolist()
    return found


class _CompiledPairs:
    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._handle = compiled.tt_pairs_new(secrets.randbits(64))
        if not self._handle:
            raise MemoryError
        weakref.finalize(self, compiled.tt_pairs_free, self._handle)

    def find(self, first: _Ints, second: _Ints) -> _Ints:
        first, second = np.ascontiguousarray(first, np.int64), np.ascontiguousarray(second, np.int64)
        row = np.empty(len(first), np.int64)
        self._compiled.tt_pairs_find(self._handle, address_of(first), address_of(second), len(first), address_of(row))
        return row

    def add(self, first: _Ints, second: _Ints, fresh: _Ints) -> tuple[_Ints, _Ints]:
        first, second = np.ascontiguousarray(first, np.int64), np.ascontiguousarray(second, np.int64)
        fresh = np.ascontiguousarray(fresh, np.int64)
        row, added = np.empty(len(first), np.int64), np.empty(len(first), np.int64)
        count = self._compiled.tt_pairs_add(
            self._handle,
            address_of(first),
            address_of(second),
            len(first),
            address_of(fresh),
            address_of(row),
            address_of(added),
        )
        if count < 0:
            raise MemoryError
        return row, added[:count]

    def drop(self, first: _Ints, second: _Ints) -> None:
        first, second = np.ascontiguousarray(first, np.int64), np.ascontiguousarray(second, np.int64)
        self._compiled.tt_pairs_drop(self._handle, address_of(first), address_of(second), len(first))
