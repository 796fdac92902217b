"""Where a partition is read from, where its log ends, and what is committed for it."""

import logging
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from faust.types import TP
from msgspec import Struct
from msgspec.structs import replace

log = logging.getLogger(__name__)

#: An offset, and the metadata committed with it.
Commit: TypeAlias = tuple[int, str]
Commits: TypeAlias = Mapping[TP, Commit]


class Position(Struct, frozen=True):
    """The log and the commit that decide where a partition is read from.

    Attributes
    ----------
    begin, end
        The log's first offset, and the offset that its next record will have.
    committed
        The group's committed offset; None without a commit.
    metadata
        The commit's metadata.
    partitions
        How many partitions the topic has.
    """

    begin: int
    end: int
    committed: int | None
    metadata: str
    partitions: int

    def valid(self, tp: TP) -> "Position":
        """Return the position, without its commit if that is past the log's end: then the topic was recreated."""
        if self.committed is None or self.committed <= self.end:
            return self
        log.warning(
            "%s, partition %d: the commit is at offset %d, but the log ends at %d: the topic was recreated and is read "
            "from its beginning",
            tp.topic,
            tp.partition,
            self.committed,
            self.end,
        )
        return replace(self, committed=None, metadata="")


class LogEnd(NamedTuple):
    """Where a log ended according to the newest fetch.

    Attributes
    ----------
    offset
        The offset up to which the log can be read: the first open transaction, or the log's end.
    age_seconds
        The age of this information, seconds: a tenth at most, unless the broker is unreachable.
    written
        The offset that the next record gets. While a transaction is open it is past ``offset``; a source with records
        in between isn't idle.
    """

    offset: int
    age_seconds: float
    written: int
