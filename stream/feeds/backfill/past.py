"""A symbol's past trades, each once and by number: from daily files where they are, else from the source's history."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, closing
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path

from msgspec import Struct

from tickertape.schemas.trade import Trade
from tickertape.stream.errors import InputError
from tickertape.stream.feeds.backfill.asking import Asking, last_of, number_of
from tickertape.stream.feeds.backfill.daily import fetched
from tickertape.stream.feeds.define.format import Format
from tickertape.stream.feeds.define.other import renamed
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.refill.refill import Lost, Seen

log = logging.getLogger(__name__)

DAY_MS = 86_400_000
BATCH_TRADES = 1000
# So many bad rows of a file are shown; what they lack is asked for.
BAD_SHOWN = 3


class Span(Struct, frozen=True):
    """The event times that are wanted: from one on, and before another; ms."""

    from_ms: int
    to_ms: int


class Past:
    """One symbol's past trades.

    Parameters
    ----------
    source
        A source that `refills`, ``by_number``.
    asking
        Its history.
    format_named
        Returns the format of this name.
    span
        The event times.
    after
        The last trade that was sent; None if none was.
    now_ms
        The present, ms. A day that isn't over has no file yet.
    """

    def __init__(
        self,
        source: Source,
        asking: Asking,
        format_named: Callable[[str], Format],
        span: Span,
        after: Seen | None,
        now_ms: int,
    ) -> None:
        self._source = source
        self._asking = asking
        self._format_named = format_named
        self._span = span
        self._now_ms = now_ms
        # The next number; None until it is known.
        self._next = None if after is None else after.id + 1
        self._at_ms = span.from_ms if after is None else max(after.time_ms, span.from_ms)
        # There is nothing more before that.
        self._later_ms = 0
        self._bad = 0

    async def batches(self) -> AsyncGenerator[list[Trade]]:
        """Yield the trades in order.

        Raises
        ------
        InputError
            The source refuses, or doesn't have the trades any more.
        """
        day_ms = self._at_ms - self._at_ms % DAY_MS
        while day_ms < self._span.to_ms:
            if day_ms + DAY_MS <= self._later_ms:
                day_ms += DAY_MS
                continue
            parts = self._of_file if day_ms + DAY_MS <= self._now_ms else self._of_history
            async with aclosing(parts(day_ms)) as each:
                async for batch in each:
                    if batch:
                        yield batch
            day_ms += DAY_MS

    async def _of_file(self, day_ms: int) -> AsyncGenerator[list[Trade]]:
        """Yield the trades of a day from its file; what the file lacks comes from the history."""
        archive = self._source.archive(self._asking.symbol, _day(day_ms))
        is_whole = False
        if archive is not None:
            async with fetched(archive) as path:
                if path is not None:
                    before = self._bad
                    for batch in self._read(path, self._format_named(archive.format)):
                        async for part in self._through(batch):
                            yield part
                    is_whole = self._bad == before
        # After the last file, no later number would show what it lacks at its end.
        if not is_whole or day_ms + DAY_MS >= self._span.to_ms:
            try:
                async for part in self._of_history(day_ms):
                    yield part
            except InputError as error:
                if not is_whole:
                    raise
                log.warning("%s: it isn't known whether later trades are missing: %s", self._asking.symbol, error)

    def _read(self, path: Path, format_: Format) -> Iterator[list[Trade]]:
        """Yield the rows of a file as far as they can be read."""
        assert format_.read is not None
        found = (renamed(one, self._source.name) for one in format_.read(path, partial(self._turn_down, path)))
        rows = (one for one in found if isinstance(one, Trade))
        with closing(rows):
            while True:
                try:
                    batch = list(islice(rows, BATCH_TRADES))
                except InputError as error:
                    self._turn_down(path, str(error))
                    return
                if not batch:
                    return
                yield batch

    def _turn_down(self, path: Path, place: str) -> None:
        self._bad += 1
        if self._bad <= BAD_SHOWN:
            log.warning("%s; what is missing is asked for", place.replace(str(path), path.name))

    async def _through(self, trades: Sequence[Trade]) -> AsyncIterator[list[Trade]]:
        """Yield those of a file's trades that are wanted and weren't sent, with those that it lacks before them."""
        batch: list[Trade] = []
        for trade in trades:
            first = number_of(trade)
            if self._next is None:
                if trade.time_ms >= self._span.from_ms:
                    self._next = await self._start(first)
                else:
                    self._next = last_of(trade) + 1
                    continue
            if first < self._next:
                continue
            if first > self._next:
                yield batch
                batch = []
                async for part in self._missing(first):
                    yield part
            self._next = last_of(trade) + 1
            if self._span.from_ms <= trade.time_ms < self._span.to_ms:
                batch.append(trade)
        yield batch

    async def _start(self, first: int) -> int:
        """Return the number to begin with, if that of a file's first trade may not be the first at that time."""
        try:
            before = await self._asking.page(first - 1, first - 1) if first else []
            if before and before[-1].time_ms >= self._span.from_ms:
                return await self._asking.first_at(self._span.from_ms)
        except InputError as error:
            log.warning("it isn't known whether trades before id %d are missing: %s", first, error)
        return first

    async def _missing(self, until: int) -> AsyncIterator[list[Trade]]:
        """Yield the trades before a number that the file lacks."""
        assert self._next is not None
        first = self._next
        try:
            while self._next < until and (found := await self._asking.page(self._next, until - 1)):
                yield self._counted(found)
        except InputError as error:
            self._lose(until, str(error))
            return
        self._lose(until, "the source doesn't have them")
        log.info("%s: ids %d to %d, which a file lacks, were asked for", self._asking.symbol, first, until - 1)

    def _counted(self, found: Sequence[Trade]) -> list[Trade]:
        """Take trades of the history, and return those that are wanted."""
        wanted = []
        for trade in found:
            assert self._next is not None
            first = number_of(trade)
            if first < self._next:
                continue
            self._lose(first, "the source doesn't have them")
            self._next = last_of(trade) + 1
            if self._span.from_ms <= trade.time_ms < self._span.to_ms:
                wanted.append(trade)
        return wanted

    def _lose(self, until: int, why: str) -> None:
        """Report that the numbers before one are missing, if any is."""
        assert self._next is not None
        if self._next < until:
            lost = Lost(self._asking.symbol, self._next, until - 1, why)
            log.warning("%s: %s: %s", self._source.name, lost.symbol, lost)
            self._next = until

    async def _of_history(self, day_ms: int) -> AsyncGenerator[list[Trade]]:
        """Yield the trades from the next one on to the end of a day."""
        until_ms = min(day_ms + DAY_MS, self._span.to_ms)
        if self._next is None:
            self._next = await self._asking.first_at(self._span.from_ms)
            if self._asking.has_forgotten:
                raise self._forgotten()
        while True:
            found = await self._asking.since(self._next)
            if not found.trades and found.has_more:
                raise self._forgotten()
            wanted = [one for one in found.trades if one.time_ms < until_ms]
            yield self._counted(wanted)
            if found.trades and not wanted:
                self._later_ms = found.trades[0].time_ms
            if len(wanted) < len(found.trades) or not found.trades:
                return

    def _forgotten(self) -> InputError:
        return InputError(
            f"{self._source.name}: {self._asking.symbol}: the source no longer has the trades that are wanted first; "
            "choose a later --from"
        )


def _day(ms: int) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)).date()
