"""Deal out a file's events to their topics' partitions as a feed would; each partition's share is written to a file."""

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
from tickertape.stream.engine.core.columns import Bools, Ints, ints
from tickertape.stream.engine.core.names import Names
from tickertape.stream.feeds.define.registry import format_named
from tickertape.stream.feeds.files import own
from tickertape.stream.feeds.files import reading as files
from tickertape.stream.feeds.files.archive import is_plain
from tickertape.stream.feeds.files.lines import texts
from tickertape.stream.feeds.tally import Tally
from tickertape.stream.kafka.partition import partition_for
from tickertape.stream.replay.frame_files import FrameFile

# A longer file of our own JSON is split into ranges of this size, dealt out in parallel. The size doesn't depend on the
# number of processes.
RANGE_BYTES = 64 << 20
# The number of events of a file that are handled at once.
READ_EVENTS = 4096

JSON = ("json", "jsonl")

# A price may be a decimal, whose digits are all written.
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Part(NamedTuple):
    """Some records of a file, in its order, as parallel lists.

    Attributes
    ----------
    values
        The records' JSON.
    records
        The fields that decide where the records go.
    kinds
        The records' types.
    """

    values: list[bytes]
    records: "Sequence[Event | Head]"
    kinds: list[type]


class SourceTimes(Struct):
    """The times of a source's records in a file, without those whose event time is too far past their receipt.

    Attributes
    ----------
    at_ms
        The time of receipt of its first record, or the highest one that the file had reached by then.
    first_ms, newest_ms
        The event times of its first and of its newest record.
    """

    at_ms: int
    first_ms: int
    newest_ms: int


class Bounds(Struct, frozen=True):
    """The limits on how far ahead of its receipt an event may be: `Clock`, for arrays of records.

    Attributes
    ----------
    skew_ms
        See `Settings`.
    now_ms
        The present time in ms.
    """

    skew_ms: int
    now_ms: int

    def count(self, time_ms: Ints, received_ms: Ints) -> Bools:
        """Return, of shape (n,), which records' event times are at most `skew_ms` past their receipt."""
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
        The range has the lines that begin at byte `start` or later, and before byte `end`.
    source
        The name of its events' source. None: the record's own, or the format's.
    places
        Where other formats than our own are found; see `Settings.agents`.
    """

    path: Path
    kind: str
    start: int = 0
    end: int = sys.maxsize
    source: str | None = None
    places: tuple[str, ...] = ()


class Dealt(Struct):
    """The outcome of dealing out a range.

    Attributes
    ----------
    tally
        Its lines by what became of them.
    sources
        The times of its sources, by topic and source, in order of appearance.
    highest_ms
        The highest time of receipt that it had reached by its end.
    """

    tally: Tally
    sources: dict[str, dict[str, SourceTimes]]
    highest_ms: int = 0


class _Head(Shape, kw_only=True, gc=False):
    """The fields that decide where an event goes; the others are decoded when it is folded."""

    symbol: Name
    source: Source
    time_ms: TimeMs
    received_ms: Annotated[int, Meta(ge=0, le=LATEST_MS)] = 0


class _PostHead(Struct, kw_only=True, gc=False):
    """The same fields of a post."""

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
    """Return the ranges of a file, each of which can be dealt out by a process of its own.

    Parameters
    ----------
    path, kind, source, places
        See `Range`.
    by_event_time
        True if its events are sorted: then the whole file is one range.

    Raises
    ------
    InputError
        The file can't be opened.
    """
    if kind not in JSON or not is_plain(path) or by_event_time or source:
        return [Range(path, kind, source=source, places=tuple(places))]
    size = path.stat().st_size
    return [Range(path, kind, at, at + RANGE_BYTES) for at in range(0, max(size, 1), RANGE_BYTES)]


def share(folder: Path, number: int, topic: str, partition: int) -> Path:
    """Return the path of a range's records for a partition, as lists of values; `received` has their times."""
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
    """Deal out a range: write its records to a file for each topic and partition.

    Parameters
    ----------
    some
        The range.
    number
        Its number among the ranges of all files.
    folder
        The folder for the shares.
    partitions
        The number of partitions, by topic; events of other topics are skipped.
    read
        Called after each part with its number of records and its newest event time.
    bounds
        The limits on how far ahead of its receipt an event may be.
    by_event_time
        True if the records are sorted by event time; they are then all held in memory.

    Raises
    ------
    InputError
        The file can't be read.
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
            # Files are merged by time of receipt without reordering any of them, so a file's times must never go back.
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
    """Writes a range's records for the partitions of one topic."""

    def __init__(self, topic: Topic, number: int, folder: Path, partitions: int) -> None:
        self.topic = topic
        self.sources: dict[str, SourceTimes] = {}
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
        """Write records, received by `at_ms`; the times of their sources include only records that count."""
        if counts.all():
            self._note_times([record.source for record in records], time_ms, at_ms)
        elif counts.any():
            sure = [record.source for record, counts_ in zip(records, counts.tolist(), strict=True) if counts_]
            self._note_times(sure, time_ms[counts], at_ms[counts])
        codes = self._keys.codes(list(map(self._key, records)))
        if len(self._keys.names) > len(self._homes):
            self._homes = np.array([partition_for(key, self._partitions) for key in self._keys.names])
        home = self._homes[codes]
        for partition in np.flatnonzero(np.bincount(home)).tolist():
            mine = np.flatnonzero(home == partition)
            self._spills[partition].append([values[i] for i in mine.tolist()])
            at_ms[mine].tofile(self._times[partition])

    def _note_times(self, sources: list[str], time_ms: Ints, at_ms: Ints) -> None:
        names = self._source_names
        one = len(set(sources)) == 1
        codes = np.full(len(sources), names[sources[0]]) if one else names.codes(sources)
        for code in np.flatnonzero(np.bincount(codes)).tolist():
            mine = np.flatnonzero(codes == code)
            times_ms = time_ms[mine]
            seen = self.sources.setdefault(names.names[code], SourceTimes(int(at_ms[mine[0]]), int(times_ms[0]), 0))
            seen.newest_ms = max(seen.newest_ms, int(times_ms.max()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()


def _sorted(parts: Iterable[Part], bounds: Bounds) -> Iterator[Part]:
    """Yield the records of all parts in a stable order of event time; those that don't count come first."""
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
    """Yield lines as they are, decoding only the fields that decide where they go."""
    before, cut = 0, list[str]()
    for text in texts(some.path, cut.append, some.start, some.end):
        lines = text.split(b"\n")
        n = len(lines)
        if b"null" in text:
            lines = [_without_nulls(line) if b"null" in line else line for line in lines]
            text = b"\n".join(lines)
        heads: Sequence[Head] = []
        # Posts have no symbol, so they are decoded line by line below.
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            heads = _heads(text)
        if len(heads) != n:
            lines, heads = _readable(some, before, lines, tally)
        before += n
        if heads:
            kinds = [head.kind for head in heads]
            tally.count(some.path, kinds)
            yield Part(lines, heads, kinds)
    if cut:
        tally.notes.append(f"{some.path}:{before}: is cut off after this line")


def _without_nulls(line: bytes) -> bytes:
    try:
        return own.without_nulls(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # `_readable` reports it.
        return line


def _readable(some: Range, before: int, lines: list[bytes], tally: Tally) -> tuple[list[bytes], list[Head]]:
    """Return the lines whose destination can be decoded, and record the others in the tally."""
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
    """Return how many lines begin before a range; they are counted only if a bad line must be reported."""
    return sum(text.count(b"\n") + 1 for text in texts(some.path, _unheard, 0, some.start)) if some.start else 0


def _unheard(note: str) -> None:
    """Ignore notes that were already reported when the file was read."""
