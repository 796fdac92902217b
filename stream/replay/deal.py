"""A file's trades, dealt out to the partitions as a feed would: each partition's share is spilled, in order."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta, Struct

from schemas.topics import TRADES
from schemas.trade import LATEST_MS, Name, Source, TimeMs, Trade
from stream.engine.block import Ints
from stream.engine.names import Names
from stream.feeds import files
from stream.kafka.partition import partition_for
from stream.replay import parquet
from stream.replay.spill import Spill

# A longer file of our own JSON is dealt out in ranges, several at once; of one size, whatever the number of processes.
RANGE_BYTES = 64 << 20
# Of a file, at a time.
READ_BYTES = 1 << 20
READ_TRADES = 4096

# What `feed file` reads, and what only a replay does; `json` is `jsonl`.
FORMATS = sorted({*files.FORMATS, "json", "parquet"})
JSON = ("json", "jsonl")

_encode = msgspec.json.Encoder().encode


class Part(NamedTuple):
    """Some records of a file, in its order; shapes (n,), but for a source that all of them share."""

    values: list[bytes]
    symbols: list[str]
    sources: str | list[str]
    time_ms: Ints
    received_ms: Ints


class Heard(Struct):
    """What a file has of a source.

    Attributes
    ----------
    at_ms
        When its first record was received, or what the file had received by then.
    first_ms, newest_ms
        The event times of its first record, and of its newest.
    """

    at_ms: int
    first_ms: int
    newest_ms: int


class Range(Struct, frozen=True):
    """A file, or a part of one.

    Attributes
    ----------
    path, kind
        The file, and one of `FORMATS`.
    start, end
        Lines that begin from one and before the other, in bytes.
    """

    path: Path
    kind: str
    start: int = 0
    end: int = sys.maxsize


class Dealt(Struct):
    """What a range held.

    Attributes
    ----------
    tally
        What became of its lines.
    sources
        Its sources, as they came.
    highest_ms
        What it had received by its end.
    """

    tally: files.Tally
    sources: dict[str, Heard]
    highest_ms: int = 0


class _Head(Struct, gc=False):
    """As much of a trade as says where it goes; the rest is read when it is folded."""

    symbol: Name
    source: Source
    time_ms: TimeMs
    received_ms: Annotated[int, Meta(ge=0, le=LATEST_MS)] = 0


_heads = msgspec.json.Decoder(_Head).decode_lines
_head = msgspec.json.Decoder(_Head).decode


def ranges(path: Path, kind: str) -> list[Range]:
    """Return the ranges of a file that are dealt out each by itself.

    Raises
    ------
    InputError
        It can't be opened.
    """
    if kind not in JSON or not files.is_plain(path):
        return [Range(path, kind)]
    size = path.stat().st_size
    return [Range(path, kind, at, at + RANGE_BYTES) for at in range(0, max(size, 1), RANGE_BYTES)]


def share(folder: Path, number: int, partition: int) -> Path:
    """Return where a range's share of a partition is: lists of values, and beside them when each was received."""
    return folder / f"range-{number}-{partition}"


def received(folder: Path, number: int, partition: int) -> Path:
    return share(folder, number, partition).with_suffix(".ms")


def deal(some: Range, number: int, folder: Path, partitions: int, read: Callable[[int, int], None]) -> Dealt:
    """Deal out a range.

    Parameters
    ----------
    some
        Plain or compressed with gzip; or Parquet.
    number
        Its own, among all of them.
    folder
        Where the shares go.
    partitions
        How many there are.
    read
        Hears of each part: how many records, and the newest event time.

    Raises
    ------
    InputError
        It can't be read.
    """
    dealt = Dealt(files.Tally(), {})
    sources, symbols = Names(), Names()
    homes = np.empty(0, np.int64)
    with ExitStack() as stack:
        shares = [stack.enter_context(closing(Spill(share(folder, number, p)))) for p in range(partitions)]
        times = [stack.enter_context(received(folder, number, p).open("wb")) for p in range(partitions)]
        for part in _parts(some, dealt.tally):
            # Files are merged by when records were received, each in its own order: so its clock never goes back.
            at_ms = np.where(part.received_ms > 0, part.received_ms, part.time_ms)
            at_ms = np.maximum.accumulate(np.maximum(at_ms, dealt.highest_ms))
            dealt.highest_ms = int(at_ms[-1])
            _hear(dealt.sources, sources, part, at_ms)
            codes = symbols.codes(part.symbols)
            if len(symbols.names) > len(homes):
                homes = np.array([partition_for(symbol, partitions) for symbol in symbols.names])
            home = homes[codes]
            for partition in np.flatnonzero(np.bincount(home)).tolist():
                mine = np.flatnonzero(home == partition)
                shares[partition].put([part.values[i] for i in mine.tolist()])
                at_ms[mine].tofile(times[partition])
            read(len(part.values), int(part.time_ms.max()))
    return dealt


def _hear(known: dict[str, Heard], sources: Names, part: Part, at_ms: Ints) -> None:
    names = part.sources
    codes = np.full(len(at_ms), sources[names]) if isinstance(names, str) else sources.codes(names)
    for code in np.flatnonzero(np.bincount(codes)).tolist():
        mine = np.flatnonzero(codes == code)
        times_ms = part.time_ms[mine]
        heard = known.setdefault(sources.names[code], Heard(int(at_ms[mine[0]]), int(times_ms[0]), 0))
        heard.newest_ms = max(heard.newest_ms, int(times_ms.max()))


def _parts(some: Range, tally: files.Tally) -> Iterator[Part]:
    if some.kind in JSON:
        yield from _of_json(some, tally)
        return
    parquet_ = some.kind == "parquet"
    trades = _of_parquet(some.path, tally) if parquet_ else _of_lines(some, tally)
    while batch := list(islice(trades, READ_TRADES)):
        yield _part(list(map(_encode, batch)), batch)


def _part(values: list[bytes], records: "list[Trade] | list[_Head]") -> Part:
    n = len(values)
    sources = {record.source for record in records}
    return Part(
        values,
        [record.symbol for record in records],
        sources.pop() if len(sources) == 1 else [record.source for record in records],
        np.fromiter([record.time_ms for record in records], np.int64, n),
        np.fromiter([record.received_ms for record in records], np.int64, n),
    )


def _of_lines(some: Range, tally: files.Tally) -> Iterator[Trade]:
    return (event for event in files.read([some.path], some.kind, tally) if isinstance(event, Trade))


def _of_json(some: Range, tally: files.Tally) -> Iterator[Part]:
    """Yield lines as they are: they are read once here, as far as need be, and written by no one."""
    before = 0
    for text in files.texts(some.path, READ_BYTES, some.start, some.end):
        lines = text.split(b"\n")
        n = len(lines)
        try:
            heads = _heads(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            heads = []
        if len(heads) != n:
            lines, heads = _readable(some, before, lines, tally)
        before += n
        if heads:
            tally.events[TRADES.name] += len(heads)
            yield _part(lines, heads)


def _readable(some: Range, before: int, lines: list[bytes], tally: files.Tally) -> tuple[list[bytes], list[_Head]]:
    """Return those lines that say where they go; the others are told of."""
    kept, heads = [], []
    for number, line in enumerate(lines, before + 1):
        if not line or line.isspace():
            continue
        try:
            heads.append(_head(line))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            tally.turn_down(f"{some.path}:{_lines_before(some) + number}: {error}")
        else:
            kept.append(line)
    return kept, heads


@cache
def _lines_before(some: Range) -> int:
    """Return how many lines begin before a range: nobody counts them before a bad one has to be named."""
    return sum(text.count(b"\n") + 1 for text in files.texts(some.path, READ_BYTES, 0, some.start))


def _of_parquet(path: Path, tally: files.Tally) -> Iterator[Trade]:
    number = 0
    for batch in parquet.rows(path, Trade):
        try:
            trades = msgspec.convert(batch, list[Trade])
        except msgspec.ValidationError:
            trades = []
            for at, row in enumerate(batch, number + 1):
                try:
                    trades.append(msgspec.convert(row, Trade))
                except msgspec.ValidationError as error:
                    tally.turn_down(f"{path}: row {at}: {error}")
        number += len(batch)
        tally.events[TRADES.name] += len(trades)
        yield from trades
