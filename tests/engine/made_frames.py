"""Frames written by hand, the windows that take them in, and a reader of what these publish."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import msgspec
import numpy as np
from msgspec import Struct

from tests.engine.blocks import EPOCH, HOUR_MS, TICKS, Slice, SliceKey, Ticks
from tickertape.schemas.checkpoint import Views, WindowCheckpoint, to_metadata, windows_from
from tickertape.schemas.frame import NEVER_MS, Frame, Lane, Tallies
from tickertape.schemas.refused import LateSlice
from tickertape.schemas.topics import BARS
from tickertape.stream.engine.core.names import Names
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.recipes import Windowing
from tickertape.stream.engine.windows.windows import Windows

FAR_HORIZON_MS = 1 << 40
#: Source, resolution, start (ms after `HOUR_MS`) and symbol of a window.
Identity: TypeAlias = tuple[str, str, int, str]


class Window(Struct, frozen=True):
    symbol: str
    source: str
    resolution: str
    start_ms: int
    count: int
    total: float
    last: float
    missing: int
    final: bool
    revision: int
    incomplete: bool


class TickWindows(Ticks):
    def lift(self, events: Columns) -> Columns:
        return events

    def finish(self, partials: Columns) -> Columns:
        return partials | {"missing": partials["greatest_id"] - partials["least_id"] + 1 - partials["count"]}


WINDOWING = Windowing(
    slicing=TICKS,
    aggregate=TickWindows(),
    resolutions={"1s": 1000, "3s": 3000},
    sink=BARS,
    result=Window,
    summed=("missing",),
)


def upsert(
    start: int, *values: float, first_id: int = 1, source: str = "s", symbol: str = "A"
) -> tuple[SliceKey, Slice]:
    """Return a slice of ticks that came a ms and an id apart."""
    n = len(values)
    row = Slice(HOUR_MS + start + n, first_id + n - 1, values[-1], sum(values), n, first_id, first_id + n - 1)
    return SliceKey(source, symbol, start), row


def frame(
    upto: int,
    *upserts: tuple[SliceKey, Slice],
    lanes: Mapping[str, int] | None = None,
    idle: Iterable[str] = (),
    partition: int = 0,
    partitions: int = 1,
    resting: bool = False,
    incomplete: tuple[int, int] | None = None,
    epoch: str = EPOCH,
    topic: str = "trades",
    evicted: int | None = None,
    behind: bool = False,
    keyed: bool = False,
    shown: Iterable[int] = (),
) -> Frame:
    """Write a frame; ``lanes`` has each source's frontier, None for none yet, and ``shown`` a number an upsert."""
    sources, symbols = Names(), Names()
    columns: dict[str, Any] = {
        "source": sources.codes([key.source for key, _ in upserts]).astype("<u4"),
        "symbol": symbols.codes([key.symbol for key, _ in upserts]).astype("<u4"),
        "slice_ms": np.array([HOUR_MS + key.slice_ms for key, _ in upserts], "<i8"),
    }
    for name, (dtype, _) in TICKS.aggregate.schema.items():
        columns[name] = np.array([getattr(row, name) for _, row in upserts], dtype)
    if shown := list(shown):
        columns["shown"] = np.array(shown, np.uint8)
    return Frame(
        topic=topic,
        partition=partition,
        epoch=epoch,
        upto=upto,
        partitions=partitions,
        idle=resting,
        incomplete=incomplete and (HOUR_MS + incomplete[0], HOUR_MS + incomplete[1]),
        lanes=[Lane(source, NEVER_MS, HOUR_MS + at, source in idle) for source, at in (lanes or {}).items()],
        tallies=Tallies(),
        sources=sources.names,
        symbols=symbols.names,
        columns={name: column.tobytes() for name, column in columns.items()},
        evicted_ms=NEVER_MS if evicted is None else HOUR_MS + evicted,
        behind=behind,
        keyed=keyed,
    )


class Shard:
    """A shard of ``slices``, its owner, and what a reader holds: of each window the highest (final, revision)."""

    def __init__(self, horizon_ms: int = FAR_HORIZON_MS) -> None:
        self.log: list[Frame] = []
        self.holds: dict[Identity, Window] = {}
        #: What follows the windows, by key, and what came of it with the last flush.
        self.derived: dict[str, Any] = {}
        self.news: dict[str, Any] = {}
        self._late: list[LateSlice] = []
        self._horizon_ms = horizon_ms
        self.windows = owned(horizon_ms=horizon_ms)

    def apply_frames(self, *frames: Frame) -> None:
        for one in frames:
            self.windows.apply_frame(0, len(self.log), one)
            self.log.append(one)

    def flush(self) -> dict[Identity, tuple[int, float, bool]]:
        """Publish; return what came as (revision, total, final)."""
        came = {}
        self.news = {}
        for output, symbol, key, value in self.windows.flush():
            if output.kind:
                one = msgspec.json.decode(value, type=output.result)
                self.news[key.decode()] = one
                held: Any = self.derived.get(key.decode())
                if held is None or (one.final, one.revision) >= (held.final, held.revision):
                    self.derived[key.decode()] = one
                continue
            window = msgspec.json.decode(value, type=Window)
            assert symbol == window.symbol
            assert key.decode() == f"{window.symbol}|{window.source}|{window.resolution}|{window.start_ms}"
            assert window.revision == window.count
            identity = window.source, window.resolution, window.start_ms - HOUR_MS, window.symbol
            came[identity] = window.revision, window.total, window.final
            held = self.holds.get(identity)
            if held is None or (window.final, window.revision) >= (held.final, held.revision):
                self.holds[identity] = window
        return came

    def all_late(self) -> list[LateSlice]:
        """Return what this owner and those before it told as missing in results."""
        self._late += self.windows.late()
        return self._late

    def says(self, *frames: Frame) -> dict[Identity, tuple[int, float, bool]]:
        """Hear frames, and publish."""
        self.apply_frames(*frames)
        return self.flush()

    def restart(self) -> None:
        """Change owners: the next has a commit made now, and reads again what it asks for."""
        self.flush()
        self.all_late()
        read = len(self.log)
        offset, views = self.windows.checkpoint(0, read)
        metadata = to_metadata(WindowCheckpoint(upto=read, topics={"trades": views}))
        known = windows_from(metadata).topics["trades"]
        self.windows = owned(known, settled=False, horizon_ms=self._horizon_ms, upto=read)
        for at in range(offset, read):
            self.windows.apply_frame(0, at, self.log[at])
            assert self.flush() == {}, "nothing is published before all is known again"
        self.windows.start_publishing(0)


def owned(
    saved: Views | None = None, *, settled: bool = True, horizon_ms: int = FAR_HORIZON_MS, upto: int = 0
) -> Windows:
    windows = Windows(WINDOWING, slice_ms=1000, horizon_ms=horizon_ms, epoch=EPOCH)
    windows.assign(0, saved or Views(), upto)
    if settled:
        windows.start_publishing(0)
    return windows


def views(partitions: int, folded: dict[str, int], final: dict[str, int]) -> Views:
    """Write what a checkpoint knows, in ms after `HOUR_MS`."""
    return Views(
        partitions,
        {source: HOUR_MS + at for source, at in folded.items()},
        {source: HOUR_MS + at for source, at in final.items()},
    )
