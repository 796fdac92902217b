"""Recorded input: files of lines, in a known format, merged by when they were received, at a chosen speed."""

import asyncio
import gzip
import heapq
import sys
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import ExitStack
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct, field

from schemas.events import TOPICS, Event, Shape
from schemas.post import Post
from schemas.quote import Quote
from schemas.trade import Trade
from stream.errors import InputError
from stream.feeds import binance, bluesky, twitter
from stream.feeds.other import Other

BATCH_RECORDS = 1000
# A wait shorter than this is not worth a batch of its own.
PACE_SECONDS = 0.005
# How many bad lines are shown; all are counted.
BAD_SHOWN = 5
GZIP_MAGIC = b"\x1f\x8b"

_shape = msgspec.json.Decoder(Shape).decode
_decode: dict[type, Callable[[bytes], Event]] = {
    Trade: msgspec.json.Decoder(Trade).decode,
    Quote: msgspec.json.Decoder(Quote).decode,
    Post: msgspec.json.Decoder(Post).decode,
}


class Tally(Struct):
    """What became of the lines.

    Attributes
    ----------
    events
        Lines that gave an event, by its topic.
    others
        Lines that tell of something else, by kind.
    bad
        Lines that could not be read.
    places
        Of the first few bad ones: ``file:line: reason``.
    """

    events: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    bad: int = 0
    places: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.events or self.others or self.bad)

    def count(self, kinds: Iterable[type]) -> None:
        """Count lines that gave events of these kinds."""
        for kind, count in Counter(kinds).items():
            self.events[TOPICS[kind].name] += count

    def turn_down(self, place: str) -> None:
        """Count a bad line; ``place`` is ``file:line: reason``."""
        self.bad += 1
        if len(self.places) < BAD_SHOWN:
            self.places.append(place)

    def add(self, other: "Tally") -> None:
        """Add what became of more lines."""
        self.events += other.events
        self.others += other.others
        self.bad += other.bad
        self.places = (self.places + other.places)[:BAD_SHOWN]

    def __str__(self) -> str:
        parts = [", ".join(f"{count:,} {topic}" for topic, count in self.events.items()) or "no events"]
        if self.others:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.others.most_common())
            parts.append(f"{self.others.total():,} other messages ({kinds})")
        if self.bad:
            parts.append(f"{self.bad:,} bad lines")
        shown = [f"  {place}" for place in self.places]
        if self.bad > len(self.places):
            shown.append(f"  … and {self.bad - len(self.places):,} more")
        return "\n".join(["; ".join(parts), *shown])


def _binance(line: bytes) -> Event | Other:
    stamp, _, message = line.partition(b" ")
    return binance.normalise(message, int(stamp) // 1_000_000)


def _jetstream(line: bytes) -> Event | Other:
    # Those that we record begin with the time at which we had them; its own is what counts.
    return bluesky.normalise(line if line.startswith(b"{") else line.partition(b" ")[2])


def _own(line: bytes) -> Event:
    return _decode[_shape(line).kind](line)


class Format(NamedTuple):
    """How a file's lines are read.

    Attributes
    ----------
    parse
        Reads one line: an event, or what else it is; ValueError where it is neither.
    kinds
        The kinds of events that there may be.
    """

    parse: Callable[[bytes], Event | Other]
    kinds: tuple[type, ...]


FORMATS = {
    # `<ns received> <message of a combined stream>`
    "binance": Format(_binance, (Trade, Quote)),
    # An event of Bluesky's Jetstream (v1), with or without `<ns received>` before it.
    "jetstream": Format(_jetstream, (Post,)),
    # An event in our own JSON.
    "jsonl": Format(_own, (Trade, Quote, Post)),
    # A status of Twitter's API (v1.1).
    "twitter": Format(twitter.normalise, (Post,)),
}


def read(
    paths: Iterable[Path], kind: str, tally: Tally, *, by_event_time: bool = False
) -> Generator[Event, None, None]:
    """Yield the events of some files as one.

    Files are merged by when each event was received, each in its own order; those that don't say are taken by event
    time. Bad lines are counted and passed over.

    Parameters
    ----------
    paths
        Plain or compressed with gzip.
    kind
        A name in `FORMATS`.
    tally
        Counts every line.
    by_event_time
        Sort all by event time, for files that are out of order. All of them are held in memory.

    Raises
    ------
    InputError
        A file can't be opened, or its compression is broken.
    """
    with ExitStack() as stack:
        files = [(path, stack.enter_context(_open(path))) for path in paths]
        parse = FORMATS[kind].parse
        each = [_lines(path, file, parse, tally) for path, file in files]
        if by_event_time:
            yield from sorted((event for events in each for event in events), key=_event_ms)
        else:
            yield from heapq.merge(*each, key=_received_ms)


async def paced(events: Iterable[Event], speed: float, *, by_event_time: bool = False) -> AsyncIterator[list[Event]]:
    """Yield events in batches, as far apart as they were received.

    Parameters
    ----------
    events
        In the order in which they go.
    speed
        2.0 is twice as fast as recorded; infinity doesn't wait.
    by_event_time
        As far apart as they happened.
    """
    at_ms = _event_ms if by_event_time else _received_ms
    clock = asyncio.get_running_loop().time
    began, first_ms = clock(), None
    batch: list[Event] = []
    for event in events:
        now_ms = at_ms(event)
        if first_ms is None:
            first_ms = now_ms
        wait = (now_ms - first_ms) / 1000 / speed - (clock() - began)
        if wait > PACE_SECONDS:
            if batch:
                yield batch
                batch = []
            await asyncio.sleep(wait)
        batch.append(event)
        if len(batch) == BATCH_RECORDS:
            yield batch
            batch = []
    if batch:
        yield batch


def _event_ms(event: Event) -> int:
    return event.time_ms


def _received_ms(event: Event) -> int:
    return event.received_ms or event.time_ms


def _open(path: Path) -> BufferedReader | gzip.GzipFile:
    try:
        file = path.open("rb")
        if not file.peek(len(GZIP_MAGIC)).startswith(GZIP_MAGIC):
            return file
        file.close()
        return gzip.open(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def texts(path: Path, size_bytes: int, start: int = 0, end: int = sys.maxsize) -> Generator[bytes, None, None]:
    """Yield a file's text in pieces of whole lines, each without its last line's end.

    Parameters
    ----------
    path
        Plain or compressed with gzip.
    size_bytes
        A piece's size, but for a line that is longer.
    start, end
        Only lines that begin from one and before the other, in bytes of the text.

    Raises
    ------
    InputError
        It can't be opened, or its compression is broken.
    """
    at, rest = start, b""
    with _open(path) as file:
        try:
            if start:
                # What is under way there began before; if nothing is, this is but the end of the line before.
                file.seek(start - 1)
                at += len(file.readline()) - 1
            while at < end and (read := file.read(min(size_bytes, end - at))):
                at += len(read)
                text, found, read = read.rpartition(b"\n")
                if not found:
                    rest += read
                    continue
                piece, rest = rest + text, read
                yield piece
            if rest and (last := (rest + file.readline()).removesuffix(b"\n")):
                yield last
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path}: can't be read past {at:,} bytes of text ({error})") from None


def is_plain(path: Path) -> bool:
    """Return whether a file is not compressed, so that it can be read from anywhere."""
    with _open(path) as file:
        return not isinstance(file, gzip.GzipFile)


def _lines(path: Path, file: Iterable[bytes], parse: Callable[[bytes], Event | Other], tally: Tally) -> Iterator[Event]:
    number = 0
    try:
        for number, line in enumerate(file, 1):
            if line.isspace():
                continue
            try:
                found = parse(line)
            except (ValueError, msgspec.MsgspecError) as error:
                tally.turn_down(f"{path}:{number}: {error}")
                continue
            if isinstance(found, Other):
                tally.others[found.kind] += 1
            else:
                tally.events[TOPICS[type(found)].name] += 1
                yield found
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: can't be read past line {number} ({error})") from None
