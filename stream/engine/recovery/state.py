"""The state of one shard, as a snapshot holds it."""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as data_field
from hashlib import blake2b
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct, field

from tickertape.schemas.frame import NEVER_MS
from tickertape.stream.engine.define.recipes import Windowing
from tickertape.stream.engine.frames.upserts import SliceKey

# Raise it when the meaning of a column changes, but not its name.
_FORMAT = 3
# Those of earlier versions, whose states can be restored too. In format 2 no window is joint.
_EARLIER_FORMATS = (2,)

# Sketches have no fixed length, so a column of them is a list.
Packed: TypeAlias = dict[str, bytes | list[bytes]]

# How many of a slice's events are in the results of its source, and in those of all sources; None: they are still open.
# One number, of earlier versions, is for both.
Included: TypeAlias = int | tuple[int | None, int | None]


class Rows(Struct, frozen=True, array_like=True):
    """Open windows, and the slices that aren't folded yet. Places are indices of ``windows``, -1 for none.

    Attributes
    ----------
    names
        The names that the codes of symbols, sources and resolutions index.
    windows, slices
        Columns by name, all of one length: little-endian bytes, or a list of sketches.
    """

    names: list[str]
    windows: Packed
    slices: Packed


class Frontiers(Struct, frozen=True, array_like=True):
    """The state of `Finality` after the frames up to an offset.

    Attributes
    ----------
    final_ms, fold_ms
        See `Finality`.
    partitions, sources
        The number of partitions, and the sources, that are known.
    lane_ms
        Each lane's frontier, by partition and source.
    stamp
        By partition: the highest ``upto`` of its frames.
    idle
        By partition: the idle sources, and whether all sources without a lane in it are idle.
    ended
        By partition: the sources that have ended.
    here, evicted_ms
        By partition that has evicted lanes: the sources with a lane, and the time up to which all others are closed.
    forgotten_ms
        The greatest time up to which a forgotten source was closed.
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
    forgotten_ms: int = NEVER_MS


class Kept(Struct, frozen=True, array_like=True):
    """The windows and states that one derived recipe keeps of one shard.

    Attributes
    ----------
    series
        Symbol, source, resolution, and the number of windows kept.
    starts
        The starts of these windows, ms, as little-endian int64.
    columns
        The columns of these windows, little-endian.
    anew
        Whether the recipe began without its past, because that was lost.
    rows
        The index of each window in the columns, little-endian int32; windows may share one. If it is empty, each window
        has its own, in their order.
    """

    series: list[tuple[str, str, str, int]]
    starts: bytes
    columns: dict[str, bytes]
    anew: bool
    rows: bytes = b""


@dataclass(slots=True)
class FilledSeries:
    """The windows of one symbol: up to when they are published, and (end, values) of the windows with events.

    Of the windows that can't be corrected any more, only the newest is kept.
    """

    cursor_ms: int
    real: list[tuple[int, tuple[Any, ...]]]


@dataclass(slots=True)
class FilledGroup:
    """The series, by symbol, of one shard, source and resolution. All of them are published up to the cursor."""

    width_ms: int
    cursor_ms: int = -NEVER_MS
    series: dict[str, FilledSeries] = data_field(default_factory=dict)


class Carried(Struct, frozen=True, array_like=True):
    """The state of `Filler` for one shard.

    Attributes
    ----------
    groups
        By source and resolution.
    newest
        By source and symbol: start, ms, and offset of the newest folded slice.
    """

    groups: dict[tuple[str, str], FilledGroup]
    newest: dict[tuple[str, str], tuple[int, int]]


class State(Struct, frozen=True, array_like=True):
    """The state of the windows of one input topic in one shard.

    Attributes
    ----------
    rows
        See `Rows`.
    frontiers
        See `Frontiers`.
    incomplete
        By input partition: ``(from, to)`` ms where records are missing.
    past_horizon
        By slice that was closed while its lane was open: see `Included`.
    carried
        See `Carried`; None if nothing is filled.
    derived
        See `Kept`; by a recipe's form. A recipe whose form isn't here begins anew.
    """

    rows: Rows
    frontiers: Frontiers
    incomplete: dict[int, tuple[int, int]]
    past_horizon: dict[SliceKey, Included]
    carried: Carried | None
    derived: dict[str, Kept]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[State]).decode


def to_bytes(states: list[State]) -> bytes:
    return _encode(states)


def from_bytes(data: bytes) -> list[State]:
    """Decode what `to_bytes` encoded.

    Raises
    ------
    msgspec.MsgspecError
        The bytes are no states.
    """
    return _decode(data)


def fingerprint(windowings: Sequence[Windowing], epoch: str, *, fill: bool) -> str:
    """Return a digest of what is computed, and in which columns. States are written with it."""
    return _fingerprint(_FORMAT, windowings, epoch, fill=fill)


def earlier_fingerprints(windowings: Sequence[Windowing], epoch: str, *, fill: bool) -> list[str]:
    """Return the digests of earlier versions' states that can be restored. States with any other can't be."""
    return [_fingerprint(form, windowings, epoch, fill=fill) for form in _EARLIER_FORMATS]


def _fingerprint(form: int, windowings: Sequence[Windowing], epoch: str, *, fill: bool) -> str:
    columns = [
        (
            one.slicing.topic.name,
            one.sink.name,
            list(one.resolutions.items()),
            sorted(one.fill.items()) if fill else [],
            [
                [(name, dtype.str) for name, (dtype, _) in aggregate.schema.items() if name not in aggregate.optional]
                for aggregate in (one.slicing.aggregate, one.aggregate)
            ],
        )
        for one in windowings
    ]
    return blake2b(msgspec.json.encode((form, epoch, columns)), digest_size=8).hexdigest()
