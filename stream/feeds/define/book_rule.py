"""How the order books of one source are kept."""

from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import Struct

from tickertape.stream.feeds.define.change import Level

#: How a snapshot is had: by subscribing to the stream again, or by a request over REST.
Way = Literal["subscribe", "fetch"]


class BookRule(Struct, frozen=True, kw_only=True):
    """How the order books of one source are kept: how a lost change shows, and how a snapshot is had.

    Attributes
    ----------
    ways
        The ways to a snapshot. If the first one brings none, the next is tried. If the first is ``fetch``, the stream
        itself has no snapshots.
    is_numbered
        True if changes have numbers: each must begin where the one before it ended. Where it begins is its
        ``previous``, or one less than its ``first``. False: changes have no numbers, or say nothing by them.
    restarts_at
        A change with this number is a snapshot, whatever it says of itself. None if there is no such number.
    may_fall
        True if numbers may go on from a lower one. A change says so by a ``last`` below its ``previous``.
    depth
        The most levels a side that the source keeps up to date. After each change the rest is cut off. None: all.
    snapshot_levels
        The most levels a side in a snapshot. Behind a side with so many there may be more, which are unknown. None:
        snapshots have all levels that there are, or that the source tells of.
    checksum
        Returns the checksum of a book from its best levels: bids from high to low, asks from low to high. A change
        without a checksum, or with a checksum of zero, isn't checked. None: the source has none.
    checksum_levels
        How many levels a side the checksum is of.
    """

    ways: tuple[Way, ...]
    is_numbered: bool = False
    restarts_at: int | None = None
    may_fall: bool = False
    depth: int | None = None
    snapshot_levels: int | None = None
    checksum: Callable[[Sequence[Level], Sequence[Level]], int] | None = None
    checksum_levels: int = 0
