"""Splits record batches into places of values with the compiled hot path, without a Python object for a record."""

from typing import Any, NamedTuple

import numpy as np
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.util import decode_varint

from tickertape.schemas import bundle
from tickertape.stream.compiled.library import address_of, library
from tickertape.stream.engine.core.block import Headers
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.values import NULL, Bytes, PackedValues

_HEAD_BYTES = 61
_COUNT = slice(57, 61)
_APPEND_TIME = 1
# A number below it takes a byte.
_ONE_BYTE = 128
_BUNDLE = bundle.HEADER.encode()


class Split(NamedTuple):
    """The n records of a batch: see `tickertape.stream.engine.core.block.Block`."""

    offsets: Ints
    values: PackedValues
    times_ms: Ints
    headers: dict[int, Headers]
    bundles: dict[int, Headers]


class Lenient(bytearray):
    """Bytes that always decode: what isn't UTF-8 is replaced."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return Lenient(found) if isinstance(at, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, errors)


def split(batch: Any, fetched: Bytes, where: slice) -> Split | None:
    """Return a batch's records, or None if nothing is compiled here, or the batch isn't as the protocol says.

    Parameters
    ----------
    batch
        The batch, as aiokafka reads its head.
    fetched
        The bytes that it lies in.
    where
        Its place among them.
    """
    compiled = library()
    if compiled is None:
        return None
    buffer, first, last = fetched, where.start + _HEAD_BYTES, where.stop
    if batch.compression_type != batch.CODEC_NONE:
        compressed: Any = _DefaultRecordBatchPy(fetched[where].data)
        compressed._maybe_uncompress()
        buffer = np.frombuffer(compressed._buffer, np.uint8)
        first, last = 0, len(buffer)
    count = int.from_bytes(fetched[where][_COUNT].tobytes(), "big", signed=True)
    # A record takes seven bytes at least.
    if not 0 <= count <= (last - first) // 7:
        return None
    found, marked = np.empty((5, count), np.int64), np.empty(count, np.bool_)
    at, sizes, offsets, times_ms, headers_at = found
    if not compiled.tt_split(
        buffer.ctypes.data,
        first,
        last,
        count,
        batch.base_offset,
        batch.next_offset - batch.base_offset,
        batch.first_timestamp,
        batch.max_timestamp,
        batch.timestamp_type == _APPEND_TIME,
        *(address_of(column) for column in found),
        _BUNDLE,
        len(_BUNDLE),
        address_of(marked),
    ):
        return None
    headers = {place: _headers(buffer, int(headers_at[place])) for place in np.flatnonzero(sizes == NULL).tolist()}
    bundles = {
        place: _headers(buffer, int(headers_at[place]))
        for place in (np.flatnonzero(marked).tolist() if marked.any() else ())
        if place not in headers
    }
    return Split(offsets, PackedValues(buffer, at, sizes), times_ms, headers, bundles)


def _headers(buffer: Bytes, at: int) -> Headers:
    """Return the headers that begin at a place. They are complete: the record has been split."""
    count, at = _number(buffer, at)
    found = []
    for _ in range(count):
        size, at = _number(buffer, at)
        key = buffer[at : at + size].tobytes().decode(errors="replace")
        size, at = _number(buffer, at + size)
        found.append((key, None if size == NULL else buffer[at : at + size].tobytes()))
        at += max(size, 0)
    return tuple(found)


def _number(buffer: Bytes, at: int) -> tuple[int, int]:
    """Return the number at a place, and the place behind it."""
    if (byte := int(buffer[at])) < _ONE_BYTE:
        return byte >> 1 ^ -(byte & 1), at + 1
    # Beyond ten bytes no number goes on.
    value, size = decode_varint(bytearray(buffer[at : at + 10].tobytes()), 0)
    return value, at + size
