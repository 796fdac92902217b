"""A block: a run of records of one partition, delivered as one message."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.values import joined

Headers: TypeAlias = tuple[tuple[str, bytes | None], ...]


@dataclass(slots=True, frozen=True)
class Block:
    """Records of one partition, in offset order.

    Attributes
    ----------
    topic, partition
        The partition that they were read from.
    start, end
        The offsets that were read: from ``start`` up to, but not including, ``end``. Some of them have no record:
        transaction markers, aborted transactions, compacted records.
    offsets
        Each record's offset, shape (n,).
    values
        Each record's value; None for a null. It is a list, or a `tickertape.stream.engine.core.values.PackedValues`.
    appended_ms
        Each record's timestamp, ms, shape (n,). It is by the broker's clock if the topic has append times.
    headers
        The headers of records with a null value, by index in ``values``.
    """

    topic: str
    partition: int
    start: int
    end: int
    offsets: Ints
    values: Sequence[bytes | None]
    appended_ms: Ints
    headers: dict[int, Headers] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def empty(self) -> int:
        """The number of offsets in the block without a record."""
        return self.end - self.start - len(self.values)

    def before(self, offset: int) -> "Block":
        """Return the part of the block below an offset."""
        if self.end <= offset:
            return self
        return self.cut(
            0, int(np.searchsorted(self.offsets, offset)), self.start, min(max(offset, self.start), self.end)
        )

    def since(self, offset: int) -> "Block":
        """Return the part of the block from an offset on."""
        if offset <= self.start:
            return self
        first = int(np.searchsorted(self.offsets, offset))
        return self.cut(first, len(self.values), min(max(offset, self.start), self.end), self.end)

    @staticmethod
    def joined(blocks: Sequence["Block"]) -> "Block":
        """Join blocks of one partition. They are in offset order and have no unread offsets between them."""
        first = blocks[0]
        if len(blocks) == 1:
            return first
        headers: dict[int, Headers] = {}
        n = 0
        for block in blocks:
            headers |= {n + at: of for at, of in block.headers.items()}
            n += len(block)
        return Block(
            first.topic,
            first.partition,
            first.start,
            blocks[-1].end,
            np.concatenate([block.offsets for block in blocks]),
            joined([block.values for block in blocks]),
            np.concatenate([block.appended_ms for block in blocks]),
            headers,
        )

    def cut(self, first: int, last: int, start: int, end: int) -> "Block":
        """Return the records from index ``first`` up to ``last``, as a block of offsets ``start`` up to ``end``."""
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
