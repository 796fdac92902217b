"""What travels in the model. Times are small integers; a slice is ten of them, a window one slice or three."""

from collections import Counter
from dataclasses import dataclass, field

SLICE, RESOLUTIONS = 10, (1, 3)
SKEW, IDLE = 5, 20
NEVER, EVER = float("-inf"), float("inf")
SHARDS, ALL = 2, "all"

Time = float
Interval = tuple[Time, Time]


@dataclass(frozen=True, slots=True)
class Event:
    source: str
    time: int
    received: int
    symbol: str  # "" is a post that names none
    id: int
    value: float


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """All of the source's before `time` is sent; `partitions` is in the log, so that every reader knows it in time.

    With `end` nothing of the source follows, until it speaks again.
    """

    source: str
    time: int
    partitions: int
    end: bool = False


@dataclass(frozen=True, slots=True)
class Poison:
    """Bytes that nobody can decode."""


@dataclass(frozen=True, slots=True)
class Empty:
    """An offset with no record: a marker, an aborted transaction, a compacted record."""


Record = Event | Heartbeat | Poison | Empty


@dataclass
class Log:
    """One input partition; retention moves `begin`."""

    begin: int = 0
    records: list[Record] = field(default_factory=list)

    @property
    def end(self) -> int:
        return len(self.records)


@dataclass(frozen=True, slots=True)
class Row:
    """A cumulative upsert: what the slice holds of the log below the frame's `upto`."""

    source: str
    symbol: str
    slice: int
    count: int
    total: float


@dataclass(frozen=True, slots=True)
class Frame:
    partition: int
    upto: int  # the stamp of every row
    partitions: int
    rest: bool  # sources that have no lane here are idle
    lost: Interval | None  # retention took records of slices that end in here
    lanes: dict[str, tuple[Time, bool]]  # by source: frontier, idle
    rows: list[Row]
    tallies: Counter[str]
    ended: frozenset[str] = frozenset()  # lanes
    evicted: Time = NEVER  # the greatest frontier of lanes that made room: a lane that is new begins there


@dataclass(frozen=True)
class SliceCommit:
    """A partition's whole durable state: where to read from, and what was known at `upto`."""

    offset: int
    upto: int
    start: int
    lanes: dict[str, tuple[Time, Time]] = field(default_factory=dict)  # by source: watermark, frontier
    tallies: Counter[str] = field(default_factory=Counter)
    partitions: int = 0
    ended: frozenset[str] = frozenset()
    evicted: Time = NEVER
    since: dict[str, int] = field(default_factory=dict)  # by source: from which offset on there was room


@dataclass(frozen=True)
class WindowCommit:
    """A shard's. `views` names who may speak: what is known only from frames before `offset` must be here."""

    offset: int = 0
    upto: int = 0
    partitions: int = 0
    views: dict[str, tuple[Time, Time]] = field(default_factory=dict)  # by source and `all`: final, fold frontier
    lost: frozenset[Interval] = frozenset()
    forgotten: Time = NEVER  # how far sources were folded that are not here any more


Key = tuple[str, str, int, int]  # symbol, source or `all`, resolution, number of the window


@dataclass(frozen=True, slots=True)
class Result:
    count: int  # the revision
    total: float
    final: bool
    incomplete: bool


def slice_of(time: Time) -> int:
    return int(time // SLICE)


def end_of(slice_: int, resolution: int = 1) -> int:
    return (slice_ + 1) * SLICE * resolution


def shard_of(symbol: str) -> int:
    return ord(symbol) % SHARDS
