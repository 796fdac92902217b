"""The values of records as places in one buffer, so that a block of them is a few arrays."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from tickertape.stream.engine.core.columns import Ints

Bytes: TypeAlias = NDArray[np.uint8]
#: The size of a null.
NULL = -1


class PackedValues(Sequence[bytes | None]):
    """A sequence of n values; each is made a bytes object only when it is asked for.

    Parameters
    ----------
    buffer
        Bytes, shape (m,). Values may lie in it in any order.
    at, size_bytes
        Where each value begins, and its size, or `NULL`; shape (n,).
    """

    __slots__ = ("at", "buffer", "size_bytes")

    def __init__(self, buffer: Bytes, at: Ints, size_bytes: Ints) -> None:
        self.buffer = buffer
        self.at = at
        self.size_bytes = size_bytes

    def __len__(self) -> int:
        return len(self.at)

    @overload
    def __getitem__(self, which: int) -> bytes | None: ...
    @overload
    def __getitem__(self, which: "slice | Ints") -> "PackedValues": ...
    def __getitem__(self, which: "int | slice | Ints") -> "bytes | PackedValues | None":
        if isinstance(which, slice | np.ndarray):
            return PackedValues(self.buffer, self.at[which], self.size_bytes[which])
        first, size_bytes = int(self.at[which]), int(self.size_bytes[which])
        return None if size_bytes == NULL else self.buffer[first : first + size_bytes].tobytes()

    def __iter__(self) -> Iterator[bytes | None]:
        view = self.buffer.data
        for first, size_bytes in zip(self.at.tolist(), self.size_bytes.tolist(), strict=True):
            yield None if size_bytes == NULL else bytes(view[first : first + size_bytes])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # equal to a list

    @staticmethod
    def of(values: "Iterable[bytes | None]") -> "PackedValues":
        """Return values as packed ones."""
        if isinstance(values, PackedValues):
            return values
        found = list(values)
        sizes = np.array([NULL if value is None else len(value) for value in found], np.int64)
        ends = np.cumsum(np.maximum(sizes, 0))
        buffer = np.frombuffer(b"".join([value for value in found if value]), np.uint8)
        return PackedValues(buffer, ends - np.maximum(sizes, 0), sizes)


def joined(parts: Sequence[Sequence[bytes | None]]) -> Sequence[bytes | None]:
    """Return the values of several sequences as one. Where all of them share a buffer, it isn't copied."""
    packed = [part for part in parts if isinstance(part, PackedValues)]
    if len(packed) < len(parts):
        return [value for part in parts for value in part]
    buffers: list[Bytes] = []
    begins: dict[int, int] = {}
    size_bytes = 0
    for part in packed:
        if id(part.buffer) not in begins:
            begins[id(part.buffer)] = size_bytes
            buffers.append(part.buffer)
            size_bytes += len(part.buffer)
    at = [part.at + begins[id(part.buffer)] for part in packed]
    return PackedValues(
        buffers[0] if len(buffers) == 1 else np.concatenate(buffers),
        np.concatenate(at),
        np.concatenate([part.size_bytes for part in packed]),
    )


def sizes_bytes(values: Sequence[Any]) -> Ints:
    """Return the size of each value, shape (n,); that of a null is 0."""
    if isinstance(values, PackedValues):
        return np.maximum(values.size_bytes, 0)
    return np.array([0 if value is None else len(value) for value in values], np.int64)
