"""A file's events, dealt out to their topics' partitions as a feed would: each one's share is spilled, in order."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from functools import cache
from itertools import islice
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Annotated, ClassVar, NamedTuple, Self

import msgspec
import numpy as np
from msgspec import Meta, Struct

from tickertape.schemas.events import TOPICS, Event, Shape
from tickertape.schemas.fields import LATEST_MS, Name, Source, TimeMs
from tickertape.schemas.post import Author, Post
from tickertape.schemas.topics import Topic
from tickertape.stream.engine.core.block import Bools, Ints
from tickertape.stream.engine.core.columns import ints
from tickertape.stream.engine.core.names import Names
from tickertape.stream.feeds.define.registry import format_named
from tickertape.stream.feeds.files import reading as files
from tickertape.stream.feeds.files.archive import is_plain
from tickertape.stream.feeds.files.lines import texts
from tickertape.stream.feeds.sources import own
from tickertape.stream.feeds.tally import Tally
from tickertape.stream.kafka.partition import partition_for
from tickertape.stream.replay.frame_files import FrameFile

# A longer file of our own JSON is dealt out in ranges, several at once; of one size, whatever the number of processes.
RANGE_BYTES = 64 << 20
# Of a file, at a time.
READ_EVENTS = 4096

JSON = ("json", "jsonl")

_encode = msgspec.json.Encoder().encode


class Part(NamedTuple):
    """Some records of a file, in its order, of one length.

    Attributes
    ----------
    values
        As they are written.
    records
        As much of them as says where they go.
    kinds
        What they are.
    """

    values: list[bytes]
    records: "Sequence[Event | Head]"
    kinds: list[type]


class Heard(Struct):
    """What a file has of a source; a record whose time is too far past its receipt doesn't count here.

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


class Bounds(Struct, frozen=True):
    """How far ahead a record may be; the vectors of `Clock`.

    Attributes
    ----------
    skew_ms
        See `Settings`.
    now_ms
        The time, ms.
    """

    skew_ms: int
    now_ms: int

    def count(self, time_ms: Ints, received_ms: Ints) -> Bools:
        """Return which records' times are no further past their receipt than they may be, shape (n,)."""
        had_ms = np.where(received_ms > 0, np.minimum(received_ms, self.now_ms), self.now_ms)
        counts: Bools = time_ms <= had_ms + self.skew_ms
        return counts


class Range(Struct, frozen=True):
    """A file, or a part of one.

    Attributes
    ----------
    path, kind
        The file, and the name of its format.
    start, end
        Lines that begin from one and before the other, in bytes.
    source
        The name of its events' source; None: as the format, or the record, has it.
    places
        Where formats are found, besides ours.
    """

    path: Path
    kind: str
    start: int = 0
    end: int = sys.maxsize
    source: str | None = None
    places: tuple[str, ...] = ()


class Dealt(Struct):
    """What a range held.

    Attributes
    ----------
    tally
        What became of its lines.
    sources
        By topic its sources, as they came.
    highest_ms
        What it had received by its end.
    """

    tally: Tally
    sources: dict[str, dict[str, Heard]]
    highest_ms: int = 0


class _Head(Shape, kw_only=True, gc=False):
    """As much of an event as says where it goes; the rest is read when it is folded."""

    symbol: Name
    source: Source
    time_ms: TimeMs
    received_ms: Annotated[int, Meta(ge=0, le=LATEST_MS)] = 0


class _PostHead(Struct, kw_only=True, gc=False):
    """As much of a post."""

    kind: ClassVar[type] = Post
    author: Author
    source: Source
    time_ms: TimeMs
    received_ms: Annotated[int, Meta(ge=0, le=LATEST_MS)] = 0


Head = _Head | _PostHead

_heads = msgspec.json.Decoder(_Head).decode_lines
_shape = msgspec.json.Decoder(Shape).decode
_head = msgspec.json.Decoder(_Head).decode
_post_head = msgspec.json.Decoder(_PostHead).decode


def ranges(
    path: Path, kind: str, *, by_event_time: bool = False, source: str | None = None, places: Sequence[str] = ()
) -> list[Range]:
    """Return the ranges of a file that are dealt out each by itself.

    Parameters
    ----------
    path, kind, source, places
        See `Range`.
    by_event_time
        True where its events are to be sorted: then it is one.

    Raises
    ------
    InputError
        It can't be opened.
    """
    if kind not in JSON or not is_plain(path) or by_event_time or source:
        return [Range(path, kind, source=source, places=tuple(places))]
    size = path.stat().st_size
    return [Range(path, kind, at, at + RANGE_BYTES) for at in range(0, max(size, 1), RANGE_BYTES)]


def share(folder: Path, number: int, topic: str, partition: int) -> Path:
    """Return where a range's share of a partition is: lists of values, and beside them when each was received."""
    return folder / f"range-{number}-{topic}-{partition}"


def received(folder: Path, number: int, topic: str, partition: int) -> Path:
    return share(folder, number, topic, partition).with_suffix(".ms")


def deal(
    some: Range,
    number: int,
    folder: Path,
    partitions: Mapping[str, int],
    read: Callable[[int, int], None],
    bounds: Bounds,
    *,
    by_event_time: bool = False,
) -> Dealt:
    """Deal out a range.

    Parameters
    ----------
    some
        Which.
    number
        Its own, among all of them.
    folder
        Where the shares go.
    partitions
        How many there are, by topic; events of another topic are passed over.
    read
        Hears of each part: how many records, and the newest event time.
    bounds
        How far ahead a record may be.
    by_event_time
        Sort by event time; all is held in memory.

    Raises
    ------
    InputError
        It can't be read.
    """
    dealt = Dealt(Tally(), {})
    with ExitStack() as stack:
        topics = {
            kind: stack.enter_context(_Shares(topic, number, folder, partitions[topic.name]))
            for kind, topic in TOPICS.items()
            if topic.name in partitions
        }
        parts = _parts(some, dealt.tally)
        for part in _sorted(parts, bounds) if by_event_time else parts:
            time_ms = ints([record.time_ms for record in part.records])
            received_ms = ints([record.received_ms for record in part.records])
            counts = bounds.count(time_ms, received_ms)
            # Files are merged by when records were received, each in its own order: so its clock never goes back.
            at_ms = np.where((received_ms > 0) & (not by_event_time), received_ms, time_ms)
            at_ms = np.where(counts, np.minimum(at_ms, bounds.now_ms), 0)
            at_ms = np.maximum.accumulate(np.maximum(at_ms, dealt.highest_ms))
            dealt.highest_ms = int(at_ms[-1])
            for kind in set(part.kinds) & topics.keys():
                mine = [i for i, one in enumerate(part.kinds) if one is kind]
                values, records = [part.values[i] for i in mine], [part.records[i] for i in mine]
                topics[kind].append(values, records, time_ms[mine], at_ms[mine], counts[mine])
            read(len(part.values), int(time_ms[counts].max(initial=0)))
    dealt.sources = {one.topic.name: one.sources for one in topics.values()}
    return dealt


class _Shares:
    """What a range has for the partitions of one topic."""

    def __init__(self, topic: Topic, number: int, folder: Path, partitions: int) -> None:
        self.topic = topic
        self.sources: dict[str, Heard] = {}
        self._key = attrgetter(topic.key)
        self._partitions = partitions
        self._source_names, self._keys = Names(), Names()
        self._homes = np.empty(0, np.int64)
        self._files = ExitStack()
        places = [(folder, number, topic.name, partition) for partition in range(partitions)]
        self._spills = [self._files.enter_context(closing(FrameFile(share(*place)))) for place in places]
        self._times = [self._files.enter_context(received(*place).open("wb")) for place in places]

    def append(
        self, values: list[bytes], records: "Sequence[Event | Head]", time_ms: Ints, at_ms: Ints, counts: Bools
    ) -> None:
        """Take records, which have come by ``at_ms``; those that don't count say nothing of their source."""
        if counts.all():
            self._hear([record.source for record in records], time_ms, at_ms)
        elif counts.any():
            sure = [record.source for record, counts_ in zip(records, counts.tolist(), strict=True) if counts_]
            self._hear(sure, time_ms[counts], at_ms[counts])
        codes = self._keys.codes(list(map(self._key, records)))
        if len(self._keys.names) > len(self._homes):
            self._homes = np.array([partition_for(key, self._partitions) for key in self._keys.names])
        home = self._homes[codes]
        for partition in np.flatnonzero(np.bincount(home)).tolist():
            mine = np.flatnonzero(home == partition)
            self._spills[partition].append([values[i] for i in mine.tolist()])
            at_ms[mine].tofile(self._times[partition])

    def _hear(self, sources: list[str], time_ms: Ints, at_ms: Ints) -> None:
        names = self._source_names
        one = len(set(sources)) == 1
        codes = np.full(len(sources), names[sources[0]]) if one else names.codes(sources)
        for code in np.flatnonzero(np.bincount(codes)).tolist():
            mine = np.flatnonzero(codes == code)
            times_ms = time_ms[mine]
            heard = self.sources.setdefault(names.names[code], Heard(int(at_ms[mine[0]]), int(times_ms[0]), 0))
            heard.newest_ms = max(heard.newest_ms, int(times_ms.max()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()


def _sorted(parts: Iterable[Part], bounds: Bounds) -> Iterator[Part]:
    """Yield the records of all parts by event time, first those that don't count; those of one time stay in order."""
    each = [one for part in parts for one in zip(*part, strict=True)]
    times_ms, received_ms = (ints([getattr(one[1], name) for one in each]) for name in ("time_ms", "received_ms"))
    order = np.argsort(np.where(bounds.count(times_ms, received_ms), times_ms, 0), kind="stable")
    each = [each[i] for i in order.tolist()]
    for first in range(0, len(each), READ_EVENTS):
        yield Part(*map(list, zip(*each[first : first + READ_EVENTS], strict=True)))


def _parts(some: Range, tally: Tally) -> Iterator[Part]:
    if some.kind in JSON and some.source is None:
        yield from _of_json(some, tally)
        return
    events = files.read([some.path], format_named(some.kind, some.places), tally, source=some.source)
    while batch := list(islice(events, READ_EVENTS)):
        yield Part(list(map(_encode, batch)), batch, list(map(type, batch)))


def _of_json(some: Range, tally: Tally) -> Iterator[Part]:
    """Yield lines as they are: they are read once here, as far as need be, and written by no one."""
    before = 0
    for text in texts(some.path, tally.notes.append, some.start, some.end):
        lines = text.split(b"\n")
        n = len(lines)
        if b"null" in text:
            lines = [_without_nulls(line) if b"null" in line else line for line in lines]
            text = b"\n".join(lines)
        heads: Sequence[Head] = []
        # Posts, which have no symbol, are read line by line below.
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            heads = _heads(text)
        if len(heads) != n:
            lines, heads = _readable(some, before, lines, tally)
        before += n
        if heads:
            kinds = [head.kind for head in heads]
            tally.count(some.path, kinds)
            yield Part(lines, heads, kinds)


def _without_nulls(line: bytes) -> bytes:
    try:
        return own.without_nulls(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # It is told of below.
        return line


def _readable(some: Range, before: int, lines: list[bytes], tally: Tally) -> tuple[list[bytes], list[Head]]:
    """Return those lines that say where they go; the others are told of."""
    kept: list[bytes] = []
    heads: list[Head] = []
    for number, line in enumerate(lines, before + 1):
        if not line or line.isspace():
            continue
        try:
            heads.append(_post_head(line) if _shape(line).kind is Post else _head(line))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            place = f"{some.path}:{_lines_before(some) + number}"
            tally.turn_down(some.path, f"{place}: {own.reason(line, error)}")
        else:
            kept.append(line)
    return kept, heads


@cache
def _lines_before(some: Range) -> int:
    """Return how many lines begin before a range: nobody counts them before a bad one has to be named."""
    return sum(text.count(b"\n") + 1 for text in texts(some.path, _unheard, 0, some.start)) if some.start else 0


def _unheard(note: str) -> None:
    """Pass over what was told of when the file was read."""
