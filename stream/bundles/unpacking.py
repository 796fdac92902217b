"""Unpacks bundles to columns, without an object for an event. All of a bundle is checked before any of it is read."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tickertape.schemas.bundle import (
    MOST_BYTES,
    VERSION,
    Bundle,
    Bundled,
    Column,
    Decimals,
    Floats,
    Integers,
    Texts,
    Values,
    from_headers,
)

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: Every integer up to this one and each of these powers of ten is a double, so one operation with both rounds once.
EXACT_DIGITS = 2**53
TENS = [float(f"1e{places}") for places in range(23)]
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_decode = msgspec.msgpack.Decoder(Bundle).decode
_json = msgspec.json.Encoder().encode


class BadBundle(ValueError):  # noqa: N818 - the name says what is wrong
    """A record says that it is a bundle, and can't be unpacked. Its text is the reason in the dead letter."""


def header_of(headers: Sequence[tuple[str, bytes | None]]) -> Bundled | None:
    """Return the header of a bundle, or None if the record isn't one.

    Raises
    ------
    BadBundle
        It can't be read, or the layout is of another version.
    """
    try:
        found = from_headers(headers)
    except _UNREADABLE as error:
        raise BadBundle(f"the header of a bundle can't be read: {error}") from None
    if found is not None and found.version != VERSION:
        raise BadBundle(f"a bundle of version {found.version}, and this reader knows version {VERSION}")
    return found


def events_in(headers: Sequence[tuple[str, bytes | None]]) -> int:
    """Return how many events a record has by its headers: one, unless they say that it is a bundle."""
    try:
        found = header_of(headers)
    except BadBundle:
        return 1
    return 1 if found is None else found.events


class Unpacked:
    """A bundle of n events.

    Parameters
    ----------
    value
        The record's value.
    n
        The number of events that its header says.

    Attributes
    ----------
    columns
        By field: its column.
    given
        For fields that are null in some events: where they aren't, shape (n,).

    Raises
    ------
    BadBundle
        It isn't a bundle of n events.
    """

    def __init__(self, value: bytes, n: int) -> None:
        if len(value) > MOST_BYTES:
            raise BadBundle(f"a bundle of {len(value)} bytes, and the most is {MOST_BYTES}")
        try:
            bundle = _decode(value)
        except _UNREADABLE as error:
            raise BadBundle(f"not a bundle: {error}") from None
        self._n = n
        self.columns = bundle.columns
        self._arrays: dict[str, NDArray[Any]] = {}
        for name, column in bundle.columns.items():
            self._check(name, column)
        self.given: dict[str, Bools] = {}
        for name, bits in bundle.given.items():
            if name not in bundle.columns or len(bits) != (n + 7) // 8:
                raise BadBundle(f"{name}: where it is given isn't said for {n} events")
            self.given[name] = np.unpackbits(np.frombuffer(bits, np.uint8), count=n, bitorder="little").view(np.bool_)

    def __len__(self) -> int:
        return self._n

    def _check(self, name: str, column: Column) -> None:
        n = self._n
        match column:
            case Integers():
                fits = _fits(column, n)
            case Decimals():
                fits = _fits(column.mantissas, n)
            case Floats():
                fits = len(column.data) == 8 * n
            case Texts():
                fits = _fits(column.indices, n)
                if fits:
                    indices = self._arrays[name] = _integers(column.indices, n)
                    fits = int(indices.min()) >= 0 and int(indices.max()) < len(column.texts)
            case Values():
                fits = column.lines.count(b"\n") == n - 1
        if not fits:
            raise BadBundle(f"{name}: not a column of {n} events")

    def array(self, name: str) -> NDArray[Any]:
        """Return a column's numbers, float64 or int64, or the indices of its texts; shape (n,).

        Raises
        ------
        TypeError
            It holds other values.
        """
        found = self._arrays.get(name)
        if found is None:
            found = self._arrays[name] = self._array(self.columns[name])
        return found

    def _array(self, column: Column) -> NDArray[Any]:
        match column:
            case Integers():
                return _integers(column, self._n)
            case Decimals():
                return _decimals(_integers(column.mantissas, self._n), column.exponent)
            case Floats():
                return np.frombuffer(column.data, "<f8")
        raise TypeError("these values are no numbers")

    def json(self, at: int) -> bytes:
        """Return an event as JSON."""
        event: dict[str, Any] = {}
        for name, column in self.columns.items():
            if name in self.given and not self.given[name][at]:
                event[name] = None
            elif isinstance(column, Values):
                event[name] = msgspec.Raw(self._lines[name][at])
            else:
                value = self.array(name)[at].item()
                event[name] = column.texts[value] if isinstance(column, Texts) else value
        return _json(event)

    @cached_property
    def texts(self) -> list[bytes]:
        """All events as JSON: for many of them this is ten times as fast as one by one."""
        fields = []
        for name, column in self.columns.items():
            values: list[Any]
            match column:
                case Values():
                    values = list(map(msgspec.Raw, self._lines[name]))
                case Texts():
                    values = [column.texts[index] for index in self.array(name).tolist()]
                case _:
                    values = self.array(name).tolist()
            if name in self.given:
                values = [
                    value if there else None for value, there in zip(values, self.given[name].tolist(), strict=True)
                ]
            fields.append(values)
        names = list(self.columns)
        if not names:
            return [b"{}"] * self._n
        return [_json(dict(zip(names, event, strict=True))) for event in zip(*fields, strict=True)]

    @cached_property
    def _lines(self) -> dict[str, list[bytes]]:
        return {name: column.lines.split(b"\n") for name, column in self.columns.items() if isinstance(column, Values)}


def _fits(column: Integers, n: int) -> bool:
    """Return whether a column has n integers."""
    size_bytes = len(column.data)
    return not size_bytes or size_bytes in (n, 2 * n, 4 * n, 8 * n)


def _integers(column: Integers, n: int) -> Ints:
    width = len(column.data) // n
    if not width:
        return np.full(n, column.base)
    if column.steps:
        found = np.cumsum(np.frombuffer(column.data, f"<i{width}"), dtype=np.int64)
        found += np.int64(column.base)
        return found
    numbers = np.frombuffer(column.data, f"<u{width}").astype(np.int64)
    numbers += np.int64(column.base)
    return numbers


def _decimals(mantissas: Ints, exponent: int) -> NDArray[np.float64]:
    small = abs(exponent) < len(TENS)
    if small and int(mantissas.min()) >= -EXACT_DIGITS and int(mantissas.max()) <= EXACT_DIGITS:
        ten = TENS[abs(exponent)]
        return np.asarray(mantissas / ten if exponent < 0 else mantissas * ten, np.float64)
    return np.array([float(f"{mantissa}e{exponent}") for mantissa in mantissas.tolist()])
