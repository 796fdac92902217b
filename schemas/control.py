"""The topic ``control``: what a running pipeline is to go by. Of a key the last record holds."""

from typing import Annotated

from msgspec import Meta, Struct

# More than a topic has: past it a count is a mistake, and would hold every result back.
MOST_PARTITIONS = 10_000

Partitions = Annotated[int, Meta(ge=1, le=MOST_PARTITIONS)]


class Step(Struct, frozen=True, array_like=True):
    """From an event time on, so many partitions.

    Attributes
    ----------
    from_ms
        The first event time that it goes for, ms; the border of a slice.
    partitions
        How many the feeds use.
    """

    from_ms: int
    partitions: Partitions


class Schedule(Struct, frozen=True):
    """How many of a topic's partitions our feeds use, by event time; its key is `schedule_key`.

    Attributes
    ----------
    steps
        Rising in both; the first one goes for all that is before it, too.
    """

    steps: tuple[Step, ...]


class Workers(Struct, frozen=True):
    """How many workers each ``tickertape up`` of a group runs; its key is `workers_key`.

    Attributes
    ----------
    workers
        How many.
    paused
        True while none are to run: the shards are being changed.
    """

    workers: Annotated[int, Meta(ge=1)]
    paused: bool = False


class Position(Struct, frozen=True):
    """How far a feed has sent what its source can say again; its key is `position_key`.

    Attributes
    ----------
    at
        In the source's own count; a Jetstream's is microseconds.
    """

    at: Annotated[int, Meta(ge=0)]


def schedule_key(topic: str) -> bytes:
    return f"schedule|{topic}".encode()


def workers_key(group: str) -> bytes:
    return f"workers|{group}".encode()


def position_key(source: str) -> bytes:
    return f"position|{source}".encode()
