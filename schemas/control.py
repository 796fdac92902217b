"""The records of the topic ``control``: settings that a running pipeline follows. The last record of a key is valid."""

from typing import Annotated

from msgspec import Meta, Struct

# No topic has more partitions. A higher count is a mistake, and would delay every result.
MOST_PARTITIONS = 10_000

Partitions = Annotated[int, Meta(ge=1, le=MOST_PARTITIONS)]


class Step(Struct, frozen=True, array_like=True):
    """The number of partitions that feeds use from an event time on.

    Attributes
    ----------
    from_ms
        The first event time for which the step is valid, ms; the start of a slice.
    partitions
        The number of partitions that feeds use.
    """

    from_ms: int
    partitions: Partitions


class Schedule(Struct, frozen=True):
    """The number of a topic's partitions that our feeds use, by event time. The record's key is `schedule_key`.

    Attributes
    ----------
    steps
        Both fields rise from step to step. The first step is also valid for all earlier event times.
    """

    steps: tuple[Step, ...]


class Workers(Struct, frozen=True):
    """The number of workers that each ``tickertape up`` of a group runs. The record's key is `workers_key`.

    Attributes
    ----------
    workers
        The number of workers.
    paused
        True while no worker may run because the number of shards is being changed.
    """

    workers: Annotated[int, Meta(ge=1)]
    paused: bool = False


class Position(Struct, frozen=True):
    """The position from which a feed resumes a source that can repeat its events. The record's key is `position_key`.

    Attributes
    ----------
    at
        The position in the source's own unit; for a Jetstream, microseconds.
    """

    at: Annotated[int, Meta(ge=0)]


class Complete(Struct, frozen=True):
    """Up to where the trades of a source's symbols were acknowledged. The record's key is `complete_key`.

    Attributes
    ----------
    symbols
        By symbol: the number of the last trade before which none is missing but those that were given up, and its event
        time, ms.
    """

    symbols: dict[str, tuple[int, int]]


class Past(Struct, frozen=True):
    """How far `tickertape backfill` has sent a source's past trades. The record's key is `past_key`.

    Attributes
    ----------
    from_ms
        The event time at which they begin, ms; 0: that of the first trade of files.
    symbols
        The symbols, sorted.
    complete
        As in `Complete`, as of the offsets.
    offsets
        By partition of the topic ``trades``: what it has from here on isn't in ``complete`` yet.
    """

    from_ms: int
    symbols: list[str]
    complete: dict[str, tuple[int, int]]
    offsets: list[int]


def schedule_key(topic: str) -> bytes:
    return f"schedule|{topic}".encode()


def workers_key(group: str) -> bytes:
    return f"workers|{group}".encode()


def position_key(source: str) -> bytes:
    return f"position|{source}".encode()


def past_key(source: str) -> bytes:
    return f"past|{source}".encode()


def complete_key(source: str, part: int) -> bytes:
    """Return the key of a part of a source's symbols: a record of all of them could be too long."""
    return f"complete|{source}|{part}".encode()
