"""What is sent and stored in the model. Times are small integers; a slice is 10 wide, a window one slice or three."""

from collections import Counter
from dataclasses import dataclass, field

SLICE, RESOLUTIONS = 10, (1, 3)
SKEW, IDLE = 5, 20
NEVER, EVER = float("-inf"), float("inf")
SHARDS, ALL = 2, "all"

Time = float
Interval = tuple[Time, Time]
Steps = tuple[tuple[Time, int], ...]  # (from this event time on, number of partitions)


@dataclass(frozen=True, slots=True)
class Event:
    source: str
    time: int
    received: int
    symbol: str  # "" stands for a post that names no symbol
    id: int
    value: float


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Reports that all of the source's events before `time` are sent, and how many partitions there are.

    The number is in the log, so every reader knows it in time. With `end`, nothing of the source follows for now.
    `keyed` promises, for event times from each step on, that a symbol's events are in the partition that `home` gives
    for the step's number; the symbols in `spread` are left out. A source without it promises nothing.
    """

    source: str
    time: int
    partitions: int
    end: bool = False
    keyed: Steps = ()
    spread: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Poison:
    """Bytes that can't be decoded."""


@dataclass(frozen=True, slots=True)
class Empty:
    """An offset without a record: a transaction marker, an aborted transaction, a compacted record."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Many events in one record. A broken one can't be unpacked, and none of its events counts."""

    events: tuple[Event, ...]
    broken: bool = False


Part = Event | Heartbeat | Poison | Empty
Record = Part | Bundle
Position = tuple[int, int]  # an offset, and the index of an event in the bundle there; 0 for any other record


@dataclass
class Log:
    """The log of one input partition. Retention moves `begin`."""

    begin: int = 0
    records: list[Record] = field(default_factory=list)

    @property
    def end(self) -> int:
        return len(self.records)


def parts(record: Record) -> tuple[Part, ...]:
    """Return the events of a bundle, or the record itself; a broken bundle is as any bytes that can't be decoded."""
    if not isinstance(record, Bundle):
        return (record,)
    return (Poison(),) if record.broken else record.events


def bundles(record: Record) -> dict[str, int]:
    """Return what a record adds to the tallies beside what becomes of its parts."""
    if isinstance(record, Bundle) and not record.broken:
        return {"bundles": 1, "bundled": len(record.events)}
    return {}


def offsets(tallies: Counter[str]) -> int:
    """Return how many offsets tallies account for."""
    return tallies.total() - 2 * tallies["bundled"]


@dataclass(frozen=True, slots=True)
class Row:
    """A cumulative upsert: the slice's content from the log below the frame's `upto`.

    `shown` has the views (its source, `all`) whose result with this content the fast lane has published.
    """

    source: str
    symbol: str
    slice: int
    count: int
    total: float
    shown: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Frame:
    partition: int
    upto: int  # the stamp of every row
    partitions: int
    rest: bool  # whether sources without a lane in the partition are idle
    lost: Interval | None  # retention deleted records of slices that end in this interval
    lanes: dict[str, tuple[Time, bool]]  # by source: frontier, idle
    rows: list[Row]
    tallies: Counter[str]
    ended: frozenset[str] = frozenset()  # the sources whose lanes have ended
    evicted: Time = NEVER  # the greatest frontier of evicted lanes, where a new lane begins


#: A record of a shard's log: what one worker sends at once, a frame for each of its partitions.
Sent = tuple[Frame, ...]


@dataclass(frozen=True)
class SliceCommit:
    """The whole durable state of a partition: the offset to read from, and the state at `upto`."""

    offset: int
    upto: int
    start: int
    lanes: dict[str, tuple[Time, Time]] = field(default_factory=dict)  # by source: watermark, frontier
    tallies: Counter[str] = field(default_factory=Counter)
    partitions: int = 0
    ended: frozenset[str] = frozenset()
    evicted: Time = NEVER
    since: dict[str, Position] = field(default_factory=dict)  # by source: where its lane was created
    lost: Interval | None = None


@dataclass(frozen=True)
class WindowCommit:
    """The durable state of a shard. It names all sources, because frames before `offset` aren't read again."""

    offset: int = 0
    upto: int = 0
    partitions: int = 0
    views: dict[str, tuple[Time, Time]] = field(default_factory=dict)  # by source and `all`: final, fold frontier
    lost: frozenset[Interval] = frozenset()
    forgotten: Time = NEVER  # how far forgotten sources were folded


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


def home(symbol: str, partitions: int) -> int:
    """Return the partition of the events of a symbol that isn't spread."""
    return ord(symbol) % partitions


def shard_of(symbol: str) -> int:
    return ord(symbol) % SHARDS
