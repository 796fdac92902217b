"""A result as it is held in memory: its own JSON, and what orders it among others."""

from typing import NamedTuple

from msgspec import Struct

# What the objects around a result's JSON take: itself, three numbers, its place in two tables, and the JSON's own head.
HELD_BYTES = 330


class Series(NamedTuple):
    """What the results of consecutive windows have in common.

    Attributes
    ----------
    symbol, source, resolution
        As in the results; the source may be ``all``.
    kind
        As in `tickertape.stream.engine.core.results.Output`; for a signal, its rule.
    """

    symbol: str
    source: str
    resolution: str
    kind: str


class Held(Struct, frozen=True, gc=False):
    """The newest record of a result.

    Attributes
    ----------
    series, start_ms
        Which result it is: its series, and the start of its window.
    final, revision
        As in the record.
    corrected
        True if a final record came before it.
    value
        The record's JSON: an object, in UTF-8, on one line.
    partition, offset
        The record's place on its topic.
    appended_ms
        When the broker appended the record, by its clock.
    """

    series: Series
    start_ms: int
    final: bool
    revision: int
    corrected: bool
    value: bytes
    partition: int
    offset: int
    appended_ms: int

    @property
    def size_bytes(self) -> int:
        """What it takes in memory, about."""
        return HELD_BYTES + len(self.value)

    @property
    def json(self) -> bytes:
        """The result as a reader gets it: a corrected one says so in a field ``corrected``."""
        return self.value[:-1] + b',"corrected":true}' if self.corrected else self.value
