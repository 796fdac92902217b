"""A block: a run of records of one partition, delivered as one message."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Headers: TypeAlias = tuple[tuple[str, bytes | None], ...]


@dataclass(slots=True, frozen=True)
class Block:
    """Records of one partition, in offset order.

    Attributes
    ----------
    topic, partition
        Where they lie.
    start, end
        The offsets from and up to (not with) which the log was read; those without a value here hold no record for us:
        transaction markers, aborted transactions, compacted records.
    offsets
        Each record's offset, shape (n,).
    values
        Each record's value; None for a null.
    appended_ms
        Each record's timestamp, by the broker's clock where the topic has append times; shape (n,).
    headers
        Those of null values, by their place in ``values``.
    """

    topic: str
    partition: int
    start: int
    end: int
    offsets: Ints
    values: list[bytes | None]
    appended_ms: Ints
    headers: dict[int, Headers] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def empty(self) -> int:
        """How many of its offsets hold no record for us."""
        return self.end - self.start - len(self.values)

    def before(self, offset: int) -> "Block":
        """Return the part below an offset."""
        if self.end <= offset:
            return self
        return self.cut(
            0, int(np.searchsorted(self.offsets, offset)), self.start, min(max(offset, self.start), self.end)
        )

    def since(self, offset: int) -> "Block":
        """Return the part from an offset on."""
        if offset <= self.start:
            return self
        first = int(np.searchsorted(self.offsets, offset))
        return self.cut(first, len(self.values), min(max(offset, self.start), self.end), self.end)

    @staticmethod
    def joined(blocks: Sequence["Block"]) -> "Block":
        """Return blocks of one partition, in the order of their offsets and with nothing to read between, as one."""
        first = blocks[0]
        if len(blocks) == 1:
            return first
        headers: dict[int, Headers] = {}
        values: list[bytes | None] = []
        for block in blocks:
            headers |= {len(values) + at: of for at, of in block.headers.items()}
            values += block.values
        return Block(
            first.topic,
            first.partition,
            first.start,
            blocks[-1].end,
            np.concatenate([block.offsets for block in blocks]),
            values,
            np.concatenate([block.appended_ms for block in blocks]),
            headers,
        )

    def cut(self, first: int, last: int, start: int, end: int) -> "Block":
        """Return the records at places from ``first`` up to ``last``, as read from offset ``start`` up to ``end``."""
        return Block(
            self.topic,
            self.partition,
            start,
            end,
            self.offsets[first:last],
            self.values[first:last],
            self.appended_ms[first:last],
            {at - first: headers for at, headers in self.headers.items() if first <= at < last},
        )
