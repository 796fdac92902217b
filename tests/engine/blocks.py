"""A log written by hand, and what its slices hold once published.

Times are ms after an hour, `HOUR_MS`, so that slices and windows begin at round numbers.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta, Struct

from tickertape.schemas.checkpoint import SliceCheckpoint
from tickertape.schemas.fields import Id, Name, Positive, TimeMs
from tickertape.schemas.frame import Frame, Tallies
from tickertape.schemas.heartbeat import Heartbeat, Keyed, to_headers
from tickertape.schemas.topics import TRADES
from tickertape.stream.engine.core.block import Block, Headers
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import FLOAT, INT, Aggregate, Extreme, Sum
from tickertape.stream.engine.define.recipes import Slicing
from tickertape.stream.engine.slices.slicer import Refused, Slicer

HOUR_MS = 472_222 * 3_600_000
EPOCH = "1000-5000"
_json = msgspec.json.Encoder().encode


class Tick(Struct, kw_only=True, omit_defaults=True):
    symbol: Name
    source: Name
    id: Id
    time_ms: TimeMs
    value: Positive
    received_ms: Annotated[int, Meta(ge=0)] = 0


class Ticks(Aggregate):
    """Small, but of each kind of reducer one: a float sum tells in which order it was folded."""

    reducers = (
        Extreme(("last_ms", "max", INT), ("last_id", "max", INT), carries={"last": FLOAT}),
        Sum("total"),
        Sum("count", INT),
        Extreme(("least_id", "min", INT)),
        Extreme(("greatest_id", "max", INT)),
    )

    def lift(self, events: Columns) -> Columns:
        value, number = events["value"], events["id"]
        return {
            **dict.fromkeys(("last_id", "least_id", "greatest_id"), number),
            "last_ms": events["time_ms"],
            "last": value,
            "total": value,
            "count": np.ones(len(value), np.int64),
        }


class SliceKey(NamedTuple):
    source: str
    symbol: str
    slice_ms: int


class Slice(NamedTuple):
    """What `Ticks` holds, as Python numbers."""

    last_ms: int
    last_id: int
    last: float
    total: float
    count: int
    least_id: int
    greatest_id: int


def values(ticks: list[Tick]) -> Columns:
    return {"value": np.array([tick.value for tick in ticks], np.float64)}


TICKS = Slicing(topic=TRADES, record=Tick, columns=values, aggregate=Ticks(), lateness_ms=2000)


class Log:
    """One input partition; each method appends."""

    def __init__(self, partition: int = 0) -> None:
        self.partition = partition
        self.end = 0
        self._offsets: list[int] = []
        self._values: list[bytes | None] = []
        self._appended_ms: list[int] = []
        self._headers: dict[int, Headers] = {}

    def raw(self, value: bytes | None, headers: Headers = (), *, appended: int = 0) -> "Log":
        if value is None:
            self._headers[len(self._values)] = headers
        self._offsets.append(self.end)
        self._values.append(value)
        self._appended_ms.append(HOUR_MS + appended)
        self.end += 1
        return self

    def tick(
        self,
        at: int,
        id: int = 1,  # noqa: A002 - it is the record's field
        value: float = 1.0,
        *,
        source: str = "s",
        symbol: str = "A",
        received: int | None = None,
        appended: int | None = None,
        **more: Any,
    ) -> "Log":
        """Append a tick received and appended when it happened; ``received=0`` is one that doesn't say."""
        received_ms = HOUR_MS + at if received is None else received and HOUR_MS + received
        tick = Tick(symbol=symbol, source=source, id=id, time_ms=HOUR_MS + at, value=value, received_ms=received_ms)
        text = _json(msgspec.to_builtins(tick) | more) if more else _json(tick)
        return self.raw(text, appended=at if appended is None else appended)

    def beat(
        self,
        at: int,
        source: str = "s",
        *,
        partitions: int = 0,
        appended: int | None = None,
        end: bool = False,
        keyed: Sequence[tuple[int, int]] = (),
        spread: Sequence[str] = (),
    ) -> "Log":
        """Append a heartbeat, by default when it speaks of; ``keyed`` has (ms after `HOUR_MS`, partitions)."""
        steps = tuple(Keyed(HOUR_MS + from_ms, count) for from_ms, count in keyed)
        headers = tuple(to_headers(Heartbeat(source, HOUR_MS + at, partitions, end, steps, tuple(spread))))
        return self.raw(None, headers, appended=at if appended is None else appended)

    def hole(self, offsets: int = 1) -> "Log":
        """Append offsets without a record, as compaction and transactions leave them."""
        self.end += offsets
        return self

    def block(self, start: int = 0, end: int | None = None) -> Block:
        return (
            Block(
                TRADES.name,
                self.partition,
                0,
                self.end,
                np.array(self._offsets, np.int64),
                list(self._values),
                np.array(self._appended_ms, np.int64),
                dict(self._headers),
            )
            .since(start)
            .before(self.end if end is None else end)
        )

    def blocks(self, cuts: Iterable[int] = (), start: int = 0) -> Iterator[Block]:
        """Yield what lies from an offset on, cut at some others."""
        inner = sorted({cut for cut in cuts if start < cut < self.end})
        for since, until in pairwise([start, *inner, self.end]):
            yield self.block(since, until)


def slicer(
    log: Log | None = None,
    *,
    partitions: int = 1,
    lateness_ms: int = 2000,
    checkpoint: SliceCheckpoint | None = None,
    committed: int | None = None,
    begin: int = 0,
    now: int = 0,
    most_partitions: int = 10_000,
    most_sources: int = 64,
) -> Slicer:
    return Slicer(
        TICKS,
        log.partition if log else 0,
        partitions,
        slice_ms=1000,
        skew_ms=5000,
        lateness_ms=lateness_ms,
        most_partitions=most_partitions,
        epoch=EPOCH,
        most_sources=most_sources,
        checkpoint=checkpoint,
        committed=committed,
        begin=begin,
        now_ms=HOUR_MS + now,
    )


def tallied(tallies: Tallies) -> dict[str, int]:
    """Return the tallies that aren't zero."""
    return {name: n for name, n in msgspec.structs.asdict(tallies).items() if n}


def unpacked(frame: Frame) -> dict[SliceKey, Slice]:
    """Read a frame as its schema's page says, without the engine; slices begin at ms after `HOUR_MS`."""
    if not frame.columns:
        return {}
    sources, symbols, starts = (
        np.frombuffer(frame.columns[name], kind)
        for name, kind in (("source", "<u4"), ("symbol", "<u4"), ("slice_ms", "<i8"))
    )
    schema = {name: dtype for name, (dtype, _) in TICKS.aggregate.schema.items()}
    columns = [np.frombuffer(frame.columns[name], schema[name]).tolist() for name in Slice._fields]
    return {
        SliceKey(frame.sources[source], frame.symbols[symbol], start - HOUR_MS): Slice(*row)
        for source, symbol, start, row in zip(
            sources, symbols, starts.tolist(), zip(*columns, strict=True), strict=True
        )
    }


class Published:
    """What a shard has of a partition: of each slice the upsert with the highest stamp, as stage 2 keeps it."""

    def __init__(self) -> None:
        self.slices: dict[SliceKey, Slice] = {}
        self.refused: list[Refused] = []
        self._stamp: dict[SliceKey, int] = {}

    def flush(self, owner: Slicer, *, everyone: bool = True) -> None:
        for _, frame in owner.flush(lambda _: 0, 1, everyone=everyone):
            for key, row in unpacked(frame).items():
                if frame.upto > self._stamp.get(key, -1):
                    self._stamp[key], self.slices[key] = frame.upto, row
                elif frame.upto == self._stamp[key]:
                    assert row == self.slices[key], "of one slice at one stamp there is but one content"

    def read(self, owner: Slicer, blocks: Iterable[Block]) -> "Published":
        """Fold and publish block by block."""
        for block in blocks:
            self.refused += owner.fold(block)
            self.flush(owner)
        return self
