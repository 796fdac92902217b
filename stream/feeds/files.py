"""Recorded input: files in a known format, merged by when their events were received, at a chosen speed."""

import asyncio
import heapq
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from schemas.events import Event
from schemas.post import Post
from schemas.quote import Quote
from schemas.trade import Trade
from stream.feeds import binance, bluesky, own, tables, twitter
from stream.feeds.archive import is_plain
from stream.feeds.lines import texts
from stream.feeds.other import Other
from stream.feeds.tally import Tally

BATCH_RECORDS = 1000
# A wait shorter than this is not worth a batch of its own.
PACE_SECONDS = 0.005
# Reading goes on for so long before others have their turn.
TURN_SECONDS = 0.02


def _binance(line: bytes) -> Event | Other:
    stamp, _, message = line.partition(b" ")
    return binance.normalise(message, int(stamp) // 1_000_000)


def _jetstream(line: bytes) -> Event | Other:
    # Those that we record begin with the time at which we had them; its own is what counts.
    return bluesky.normalise(line if line.startswith(b"{") else line.partition(b" ")[2])


class Format(NamedTuple):
    """How a file is read.

    Attributes
    ----------
    parse
        Reads one line: an event, or what else it is; ValueError where it is neither. None: it has no lines.
    kinds
        The kinds of events that there may be.
    reason
        Says why a line can't be read.
    """

    parse: Callable[[bytes], Event | Other] | None
    kinds: tuple[type, ...]
    reason: Callable[[bytes, Exception], str] = lambda _, error: str(error)


_OWN = Format(own.normalise, (Trade, Quote, Post), own.reason)
FORMATS = {
    # `<ns received> <message of a combined stream>`
    "binance": Format(_binance, (Trade, Quote)),
    # An event of Bluesky's Jetstream (v1), with or without `<ns received>` before it.
    "jetstream": Format(_jetstream, (Post,)),
    # An event in our own JSON.
    "jsonl": _OWN,
    "json": _OWN,
    # Columns named as the fields of an event.
    "parquet": Format(None, (Trade, Quote, Post)),
    # A status of Twitter's API (v1.1).
    "twitter": Format(twitter.normalise, (Post,)),
}


def read(paths: Iterable[Path], kind: str, tally: Tally, *, by_event_time: bool = False) -> Iterator[Event]:
    """Yield the events of some files as one; see `read_in_turns`."""
    events = read_in_turns(paths, kind, tally, by_event_time=by_event_time)
    return (event for event in events if event is not None)


def read_in_turns(
    paths: Iterable[Path], kind: str, tally: Tally, *, by_event_time: bool = False
) -> Generator[Event | None, None, None]:
    """Yield the events of some files as one, and None where reading has gone on for `TURN_SECONDS` without one.

    Files are merged by when each event was received, each in its own order; those that don't say are taken by event
    time. Bad lines are counted and passed over.

    Parameters
    ----------
    paths
        See `pieces`.
    kind
        A name in `FORMATS`.
    tally
        Counts every line.
    by_event_time
        Sort all by event time, for files that are out of order. All of them are held in memory.

    Raises
    ------
    InputError
        A file can't be opened, or is damaged.
    """
    paths = list(paths)
    for path in paths:
        # Of all of them it is told before anything is sent.
        is_plain(path)
    each = [_events(path, FORMATS[kind], tally) for path in paths]
    if not by_event_time:
        yield from heapq.merge(*each, key=_received_ms)
        return
    held: list[Event] = []
    for events in each:
        for event in events:
            if event is None:
                yield None
            else:
                held.append(event)
    held.sort(key=_event_ms)
    yield from held


async def paced(
    events: Iterable[Event | None], speed: float, *, by_event_time: bool = False
) -> AsyncIterator[list[Event]]:
    """Yield events in batches, as far apart as they were received.

    Parameters
    ----------
    events
        In the order in which they go; None where others are to have their turn.
    speed
        2.0 is twice as fast as recorded; infinity doesn't wait.
    by_event_time
        As far apart as they happened.
    """
    at_ms = _event_ms if by_event_time else _received_ms
    clock = asyncio.get_running_loop().time
    began = turn = clock()
    first_ms = None
    batch: list[Event] = []
    for event in events:
        if event is None:
            await asyncio.sleep(0)
            continue
        now_ms = at_ms(event)
        if first_ms is None:
            first_ms = now_ms
        now = clock()
        wait = (now_ms - first_ms) / 1000 / speed - (now - began)
        if wait > PACE_SECONDS:
            if batch:
                yield batch
                batch = []
            await asyncio.sleep(wait)
        batch.append(event)
        if len(batch) == BATCH_RECORDS or now - turn > TURN_SECONDS:
            yield batch
            batch, turn = [], clock()
    if batch:
        yield batch


def _event_ms(event: Event) -> int:
    return event.time_ms


def _received_ms(event: Event | None) -> int:
    # What is none goes on at once.
    return 0 if event is None else event.received_ms or event.time_ms


def _events(path: Path, format_: Format, tally: Tally) -> Iterator[Event | None]:
    if format_.parse is None:
        for event in tables.events(path, partial(tally.turn_down, path)):
            tally.count(path, (type(event),))
            yield event
        return
    until = time.monotonic() + TURN_SECONDS
    for number, line in enumerate(_lines(path, tally), 1):
        if (now := time.monotonic()) > until:
            yield None
            until = now + TURN_SECONDS
        if not line or line.isspace():
            continue
        try:
            found = format_.parse(line)
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            tally.turn_down(path, f"{path}:{number}: {format_.reason(line, error)}")
            continue
        if isinstance(found, Other):
            tally.others[found.kind] += 1
            tally.read_in.add(str(path))
        else:
            tally.count(path, (type(found),))
            yield found


def _lines(path: Path, tally: Tally) -> Iterator[bytes]:
    with closing(texts(path, tally.notes.append)) as read:
        for text in read:
            yield from text.split(b"\n")
