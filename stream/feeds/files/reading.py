"""Recorded input: files of one format, merged by the receipt of their events, at a chosen speed."""

import asyncio
import heapq
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import closing
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tickertape.schemas.events import Event
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.feeds.clock import Clock
from tickertape.stream.feeds.define.format import Format
from tickertape.stream.feeds.define.other import Other, renamed
from tickertape.stream.feeds.files.archive import is_plain
from tickertape.stream.feeds.files.lines import texts
from tickertape.stream.feeds.tally import Tally

BATCH_RECORDS = 1000
# A shorter wait is skipped: it isn't worth a batch of its own.
PACE_SECONDS = 0.005
# How long reading goes on before other tasks may run.
TURN_SECONDS = 0.02
DEFAULT_CLOCK = partial(Clock, Settings().skew_ms)


class Turn(NamedTuple):
    """A step of reading: an event, or a pause for other tasks.

    Attributes
    ----------
    at_ms
        The file's position in time, see `Clock`, ms. If events are sorted, the event's time.
    event
        The `Event`; None after each `TURN_SECONDS` of reading, so that other tasks can run.
    """

    at_ms: int
    event: Any


def read(
    paths: Iterable[Path],
    format_: Format,
    tally: Tally,
    clock: Callable[[], Clock] = DEFAULT_CLOCK,
    *,
    by_event_time: bool = False,
    source: str | None = None,
) -> Iterator[Event]:
    """Yield the events of several files in one sequence; see `turns`."""
    found = turns(paths, format_, tally, clock, by_event_time=by_event_time, source=source)
    return (turn.event for turn in found if turn.event)


def turns(
    paths: Iterable[Path],
    format_: Format,
    tally: Tally,
    clock: Callable[[], Clock] = DEFAULT_CLOCK,
    *,
    by_event_time: bool = False,
    source: str | None = None,
) -> Generator[Turn, None, None]:
    """Read several files into one sequence of events.

    Files are merged by the receipt of their events, or by event time for events without one. Each file keeps its own
    order. Bad lines are counted and skipped.

    Parameters
    ----------
    paths
        The files; see `pieces`.
    format_
        Their format.
    tally
        Counts every line.
    clock
        Creates the clock of a file.
    by_event_time
        Sort all events by event time, for files that are out of order. All events are held in memory.
    source
        The source's name for all events; None to keep the name that the format or the record gives.

    Raises
    ------
    InputError
        A file can't be opened or is damaged.
    """
    paths = list(paths)
    for path in paths:
        # Fail before anything is sent if a file can't be opened.
        is_plain(path)
    each = [_turns(path, format_, tally, clock(), source) for path in paths]
    if not by_event_time:
        yield from heapq.merge(*each, key=attrgetter("at_ms"))
        return
    sane, held = clock(), []
    for turns_ in each:
        for turn in turns_:
            if turn.event is None:
                yield turn
            else:
                held.append(Turn(turn.event.time_ms if sane.counts(turn.event) else 0, turn.event))
    held.sort(key=attrgetter("at_ms"))
    yield from held


async def paced(turns: Iterable[Turn], speed: float) -> AsyncIterator[list[Event]]:
    """Yield events in batches, at the intervals of their receipt, or of their event times if they are sorted.

    Parameters
    ----------
    turns
        The steps of reading, in order.
    speed
        2.0 is twice as fast as recorded; infinity never waits.
    """
    clock = asyncio.get_running_loop().time
    began = since = clock()
    first_ms = 0
    batch: list[Event] = []
    for at_ms, event in turns:
        if event is None:
            await asyncio.sleep(0)
            continue
        first_ms = first_ms or at_ms
        now = clock()
        wait = (at_ms - first_ms) / 1000 / speed - (now - began)
        if wait > PACE_SECONDS:
            if batch:
                yield batch
                batch = []
            await asyncio.sleep(wait)
        batch.append(event)
        if len(batch) == BATCH_RECORDS or now - since > TURN_SECONDS:
            yield batch
            batch, since = [], clock()
    if batch:
        yield batch


def _turns(path: Path, format_: Format, tally: Tally, clock: Clock, source: str | None) -> Iterator[Turn]:
    at_ms = 0
    for event in _events(path, format_, tally):
        if event is None:
            yield Turn(at_ms, None)
            continue
        at_ms = clock.read(event)
        yield Turn(at_ms, event if source is None else renamed(event, source))


def _events(path: Path, format_: Format, tally: Tally) -> Iterator[Event | None]:
    """Yield a file's events, and None whenever other tasks may run."""
    if format_.parse is None:
        for found in format_.read(path, partial(tally.turn_down, path)) if format_.read is not None else ():
            if isinstance(found, Other):
                tally.others[found.kind] += 1
                tally.read_in.add(str(path))
            else:
                tally.count(path, (type(found),))
                yield found
        return
    until, number, cut = time.monotonic() + TURN_SECONDS, 0, list[str]()
    for number, line in enumerate(_lines(path, cut.append), 1):
        if (now := time.monotonic()) > until:
            yield None
            until = now + TURN_SECONDS
        if not line or line.isspace():
            continue
        try:
            parsed = format_.parse(line)
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            tally.turn_down(path, f"{path}:{number}: {format_.reason(line, error)}")
            continue
        if isinstance(parsed, Other):
            tally.others[parsed.kind] += 1
            tally.read_in.add(str(path))
            continue
        events = parsed if isinstance(parsed, list) else [parsed]
        tally.count(path, map(type, events))
        yield from events
    if cut:
        tally.notes.append(f"{path}:{number}: is cut off after this line")


def _lines(path: Path, cut: Callable[[str], None]) -> Iterator[bytes]:
    with closing(texts(path, cut)) as read:
        for text in read:
            yield from text.split(b"\n")
