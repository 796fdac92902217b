"""What is known of one shard, as a snapshot has it."""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as data_field
from hashlib import blake2b
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct, field

from tickertape.stream.engine.core.lanes import UNSET
from tickertape.stream.engine.define.recipes import Windowing
from tickertape.stream.engine.frames.upserts import SliceKey

# Another one where the same columns come to mean something else.
_FORMAT = 2
_NONE = -1

# Sketches, which have no one length, are a list.
Packed: TypeAlias = dict[str, bytes | list[bytes]]


class Rows(Struct, frozen=True, array_like=True):
    """Open windows and the slices that aren't folded yet; places are indices of ``windows``, -1 for none.

    Attributes
    ----------
    names
        What the codes of symbols, sources and resolutions index.
    windows, slices
        Little-endian columns of one length each, or lists of sketches.
    """

    names: list[str]
    windows: Packed
    slices: Packed


class Frontiers(Struct, frozen=True, array_like=True):
    """What `Finality` has made of the frames up to an offset; a snapshot has it.

    Attributes
    ----------
    final_ms, fold_ms
        See `Finality`.
    partitions, sources
        Those known.
    lane_ms
        Each lane's frontier, by partition and source.
    stamp
        By partition: the highest ``upto``.
    idle
        By partition: which sources are idle, and whether all are that it has no lane of.
    ended
        By partition: which sources have ended.
    here, evicted_ms
        By partition where lanes have made room for others: which sources have a lane, and how far all the others are
        closed.
    forgotten_ms
        How far sources were closed that have been forgotten.
    """

    final_ms: dict[str, int]
    fold_ms: dict[str, int]
    partitions: int
    sources: set[str]
    lane_ms: dict[tuple[int, str], int]
    stamp: dict[int, int]
    idle: dict[int, tuple[set[str], bool]]
    ended: dict[int, set[str]] = field(default_factory=dict)
    here: dict[int, set[str]] = field(default_factory=dict)
    evicted_ms: dict[int, int] = field(default_factory=dict)
    forgotten_ms: int = UNSET


class Kept(Struct, frozen=True, array_like=True):
    """What follows the windows of one shard; a snapshot has it.

    Attributes
    ----------
    series
        Symbol, source, resolution, and how many windows are kept.
    starts
        When these begin, ms, as little-endian int64.
    columns
        Of these, little-endian.
    anew
        Whether it began in the midst, for what was before is lost.
    """

    series: list[tuple[str, str, str, int]]
    starts: bytes
    columns: dict[str, bytes]
    anew: bool


@dataclass(slots=True)
class FilledSeries:
    """The windows of one symbol: up to where they are published, and the ends and values of those with events.

    Of windows that no correction can reach any more only the newest is kept.
    """

    cursor_ms: int
    real: list[tuple[int, tuple[Any, ...]]]


@dataclass(slots=True)
class FilledGroup:
    """The series, by symbol, of one shard, source and resolution; all of them are published up to the cursor."""

    width_ms: int
    cursor_ms: int = -UNSET
    series: dict[str, FilledSeries] = data_field(default_factory=dict)


class Carried(Struct, frozen=True, array_like=True):
    """What `Filler` knows of one shard; a snapshot has it.

    Attributes
    ----------
    groups
        By source and resolution.
    newest
        By source and symbol: start and offset of the newest slice that is folded.
    """

    groups: dict[tuple[str, str], FilledGroup]
    newest: dict[tuple[str, str], tuple[int, int]]


class State(Struct, frozen=True, array_like=True):
    """What windows of one topic know of one shard.

    Attributes
    ----------
    rows
        See `Rows`.
    frontiers
        See `Frontiers`.
    incomplete
        By input partition, where records are missing.
    past_horizon
        How many events results hold of slices that they were closed without.
    carried
        See `Carried`; None where nothing is filled.
    derived
        See `Kept`; by form. What has no form here any more, or another, begins anew.
    """

    rows: Rows
    frontiers: Frontiers
    incomplete: dict[int, tuple[int, int]]
    past_horizon: dict[SliceKey, int]
    carried: Carried | None
    derived: dict[str, Kept]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[State]).decode


def to_bytes(states: list[State]) -> bytes:
    return _encode(states)


def from_bytes(data: bytes) -> list[State]:
    """Read what `to_bytes` wrote.

    Raises
    ------
    msgspec.MsgspecError
        It isn't that.
    """
    return _decode(data)


def fingerprint(windowings: Sequence[Windowing], epoch: str, *, fill: bool) -> str:
    """Return what tells states of one form from those of another: what is computed, and in which columns."""
    form = [
        (
            one.slicing.topic.name,
            one.sink.name,
            list(one.resolutions.items()),
            sorted(one.fill.items()) if fill else [],
            [
                [(name, dtype.str) for name, (dtype, _) in aggregate.schema.items()]
                for aggregate in (one.slicing.aggregate, one.aggregate)
            ],
        )
        for one in windowings
    ]
    return blake2b(msgspec.json.encode((_FORMAT, epoch, form)), digest_size=8).hexdigest()
