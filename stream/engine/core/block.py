"""A block: a run of records of one partition, delivered as one message."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from tickertape.stream.bundles.unpacking import events_in
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.values import joined

Headers: TypeAlias = tuple[tuple[str, bytes | None], ...]


@dataclass(slots=True, frozen=True)
class Block:
    """Records of one partition, in offset order.

    Once its bundles are taken apart, each event of a bundle has a place of its own, with the record's offset: see
    `tickertape.stream.engine.slices.unbundling`.

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
    bundles
        The headers of records that say that they are bundles, by index in ``values``.
    index
        If the bundles are taken apart: each event's index in its bundle, -1 for other records; shape (n,).
    """

    topic: str
    partition: int
    start: int
    end: int
    offsets: Ints
    values: Sequence[bytes | None]
    appended_ms: Ints
    headers: dict[int, Headers] = field(default_factory=dict)
    bundles: dict[int, Headers] = field(default_factory=dict)
    index: Ints | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def empty(self) -> int:
        """The number of offsets in the block without a record."""
        return self.end - self.start - len(self.values)

    @property
    def events(self) -> int:
        """How many records there are, where each event of a bundle counts as one."""
        return len(self.values) + sum(events_in(headers) - 1 for headers in self.bundles.values())

    def index_of(self, at: int) -> int | None:
        """Return the index in its bundle of the event at a place, or None if no bundle is taken apart there."""
        return None if self.index is None or self.index[at] < 0 else int(self.index[at])

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
        headers, bundles = dict[int, Headers](), dict[int, Headers]()
        n = 0
        for block in blocks:
            headers |= {n + at: of for at, of in block.headers.items()}
            bundles |= {n + at: of for at, of in block.bundles.items()}
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
            bundles,
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
            {at - first: headers for at, headers in self.bundles.items() if first <= at < last},
        )
