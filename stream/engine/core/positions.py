"""Where a partition is read from, where its log ends, and what is committed of it."""

import logging
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from faust.types import TP
from msgspec import Struct
from msgspec.structs import replace

log = logging.getLogger(__name__)

#: An offset, and the metadata that go with it.
Commit: TypeAlias = tuple[int, str]
Commits: TypeAlias = Mapping[TP, Commit]


class Position(Struct, frozen=True):
    """Where a partition is to be read from.

    Attributes
    ----------
    begin, end
        The log's first offset, and the one that its next record will have.
    committed
        The group's committed offset, or None.
    metadata
        The commit's.
    partitions
        How many partitions the topic has.
    """

    begin: int
    end: int
    committed: int | None
    metadata: str
    partitions: int

    def valid(self, tp: TP) -> "Position":
        """Return it without a commit that speaks of another log: one past the end, so the topic was created anew."""
        if self.committed is None or self.committed <= self.end:
            return self
        log.warning(
            "%s, partition %d: the commit is at offset %d and the log ends at %d: the topic was created anew, "
            "it is read from its beginning",
            tp.topic,
            tp.partition,
            self.committed,
            self.end,
        )
        return replace(self, committed=None, metadata="")


class LogEnd(NamedTuple):
    """Where a log ended when the broker last said.

    Attributes
    ----------
    offset
        The one up to which it can be read: to the first transaction that is open.
    age_seconds
        How long ago it said so: a tenth of a second at most, unless it is away.
    written
        The one that its next record gets; past ``offset`` while a transaction is open. Who has written behind it isn't
        silent.
    """

    offset: int
    age_seconds: float
    written: int
