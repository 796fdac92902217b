"""Writes rows of columns as keys and JSON values with compiled code, and frames them as records of a batch."""

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from ctypes import c_char_p, c_int64, c_void_p
from typing import Any, NamedTuple, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from tickertape.stream.compiled.library import address_of, library
from tickertape.stream.compiled.texts import Coded, Texts

Bytes: TypeAlias = NDArray[np.uint8]
Ints: TypeAlias = NDArray[np.int64]
Record: TypeAlias = tuple[bytes, bytes]

_INTEGER, _FLOAT, _BOOLEAN, _NULLABLE, _TEXT, _END = range(6)
_KINDS = {np.dtype(np.int64): _INTEGER, np.dtype(np.float64): _FLOAT, np.dtype(np.bool_): _BOOLEAN}
# No number takes more, nor a null or a flag.
_NUMBER_BYTES = 25
# What is written beyond the end of a short part, and read beyond it: as CHUNK in rows.c.
_BEYOND_BYTES = 32
# What a record takes besides its key and value: nine numbers of at most ten bytes, and less.
_FRAME_BYTES = 40


class PackedRecords(Sequence[Record]):
    """The keys and values of n records, in one buffer; a pair is made bytes objects only when it is asked for.

    Parameters
    ----------
    buffer
        Bytes, shape (m,).
    key_at, key_size_bytes, value_at, value_size_bytes
        Where each key and value begins, and its size; shape (n,).
    """

    __slots__ = ("buffer", "key_at", "key_size_bytes", "value_at", "value_size_bytes")

    def __init__(self, buffer: Bytes, key_at: Ints, key_size_bytes: Ints, value_at: Ints, value_size_bytes: Ints):
        self.buffer = buffer
        self.key_at = key_at
        self.key_size_bytes = key_size_bytes
        self.value_at = value_at
        self.value_size_bytes = value_size_bytes

    def __len__(self) -> int:
        return len(self.key_at)

    @overload
    def __getitem__(self, which: int) -> Record: ...
    @overload
    def __getitem__(self, which: "slice | Ints") -> "PackedRecords": ...
    def __getitem__(self, which: "int | slice | Ints") -> "Record | PackedRecords":
        if isinstance(which, slice | np.ndarray):
            return PackedRecords(
                self.buffer,
                self.key_at[which],
                self.key_size_bytes[which],
                self.value_at[which],
                self.value_size_bytes[which],
            )
        return next(iter(self[which : which + 1]))

    def __iter__(self) -> Iterator[Record]:
        columns = (self.key_at, self.key_size_bytes, self.value_at, self.value_size_bytes)
        view = self.buffer.data
        for key_at, key_size, value_at, value_size in zip(*(column.tolist() for column in columns), strict=True):
            yield bytes(view[key_at : key_at + key_size]), bytes(view[value_at : value_at + value_size])

    def framed(self, first: int, room_bytes: int, offset: int, delta_ms: int) -> tuple[Bytes, int]:
        """Return records as a record batch has them, as many as fit into so many bytes, and how many these are.

        Parameters
        ----------
        first
            The first one.
        room_bytes
            The most bytes to return.
        offset
            The first one's place in its batch.
        delta_ms
            How much later they are than the batch's first record.
        """
        sizes = int(self.key_size_bytes[first:].sum() + self.value_size_bytes[first:].sum())
        framed = np.empty(min(room_bytes, sizes + _FRAME_BYTES * (len(self) - first)), np.uint8)
        columns = [
            np.ascontiguousarray(column[first:])
            for column in (self.key_at, self.key_size_bytes, self.value_at, self.value_size_bytes)
        ]
        written = c_int64()
        n = library().tt_frame(
            address_of(self.buffer),
            *(address_of(column) for column in columns),
            len(columns[0]),
            offset,
            delta_ms,
            address_of(framed),
            len(framed),
            ctypes.byref(written),
        )
        return framed[: written.value], n


class _Part(ctypes.Structure):
    _fields_ = (
        ("before", c_char_p),
        ("before_size", c_int64),
        ("kind", c_int64),
        ("column", c_void_p),
        ("texts", c_void_p),
        ("text_at", c_void_p),
    )


class Field(NamedTuple):
    """A part of a key or a value.

    Attributes
    ----------
    before
        What comes before it.
    name
        Its column.
    texts
        The bytes of its texts; None for a column of numbers or flags. Fields of several writers may share them.
    nullable
        Whether a negative integer stands for null.
    """

    before: bytes
    name: str
    texts: Texts | None = None
    nullable: bool = False


class RowWriter:
    """Writes a record for each row of columns.

    Parameters
    ----------
    key, value
        The fields of each, and what comes after them.
    """

    def __init__(self, key: tuple[Sequence[Field], bytes], value: tuple[Sequence[Field], bytes]) -> None:
        (in_key, ends_key), (in_value, ends_value) = key, value
        end = Field(ends_key, ""), Field(ends_value, "")
        fields = [*in_key, end[0], *in_value, end[1]]
        # All that doesn't depend on the rows; it is copied for each call.
        self._parts = (_Part * len(fields))()
        self._numbers: list[tuple[int, Field]] = []
        self._texts: list[tuple[int, Field, Texts]] = []
        for at, (part, field) in enumerate(zip(self._parts, fields, strict=True)):
            part.before, part.before_size, part.kind = field.before + bytes(_BEYOND_BYTES), len(field.before), _END
            if field.texts is not None:
                part.kind = _TEXT
                self._texts.append((at, field, field.texts))
            elif field.name:
                self._numbers.append((at, field))
        self._room_bytes = sum(len(field.before) for field in fields) + _NUMBER_BYTES * len(self._numbers)

    def rows(self, columns: Mapping[str, NDArray[Any] | Coded]) -> "Rows | None":
        """Return n rows, to be written; None if nothing is compiled here, or a column is of another type.

        Parameters
        ----------
        columns
            Numbers and flags, shape (n,); n texts.
        """
        if library() is None:
            return None
        parts = type(self._parts).from_buffer_copy(self._parts)
        held: list[Any] = [self._parts]
        for at, field in self._numbers:
            given = columns[field.name]
            kind = _KINDS.get(given.dtype) if isinstance(given, np.ndarray) and given.ndim == 1 else None
            if kind is None:
                return None
            part, column = parts[at], np.ascontiguousarray(given)
            part.kind = _NULLABLE if kind == _INTEGER and field.nullable else kind
            part.column = address_of(column)
            held.append(column)
        room_bytes = self._room_bytes
        for at, field, texts in self._texts:
            given = columns[field.name]
            if not isinstance(given, Coded):
                return None
            part, numbers = parts[at], texts.numbers(given)
            part.column, part.texts, part.text_at = address_of(numbers), texts.address, texts.at_address
            held += [numbers, texts.buffer, texts.at]
            room_bytes += texts.longest_bytes
        return Rows(parts, held, room_bytes)


class Rows:
    """Rows of columns. They are written piece by piece, so that not all of them are in memory as texts at once."""

    def __init__(self, parts: "ctypes.Array[_Part]", held: list[Any], room_bytes: int) -> None:
        self._parts = parts
        # What the parts point to.
        self._held = held
        self._room_bytes = room_bytes

    def write(self, first: int, n: int) -> PackedRecords:
        """Return the records of n rows from the first one on."""
        buffer, at = np.empty(n * self._room_bytes + _BEYOND_BYTES, np.uint8), np.empty(2 * n + 1, np.int64)
        library().tt_write_rows(self._parts, len(self._parts), first, n, address_of(buffer), address_of(at))
        sizes = np.diff(at)
        return PackedRecords(buffer, at[:-1:2], sizes[::2], at[1::2], sizes[1::2])
