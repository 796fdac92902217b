"""Asks a source for its missing trades, and says in log lines what came of it."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from tickertape.schemas.trade import Trade
from tickertape.stream.errors import InputError, counted
from tickertape.stream.feeds.define.page import Get
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.refill.refill import Ask, Patience, Refill, Seen
from tickertape.stream.telemetry import feed_metrics as metrics

log = logging.getLogger(__name__)

# How often is looked whether something is to be asked for.
LOOK_SECONDS = 0.1


class Filling:
    """The trades of a live source, complete and by event time, but for what a log line names.

    Parameters
    ----------
    source
        A source that `refills`.
    get
        Requests an address.
    is_new
        Returns whether a trade hasn't come before.
    wake
        Is called when trades may be sent although no message has come.
    patience
        The limits.
    clock
        The monotonic clock, s.

    Attributes
    ----------
    lost
        The number of trades that were given up.
    """

    def __init__(
        self,
        source: Source,
        get: Get,
        is_new: Callable[[Trade], bool],
        wake: Callable[[], None],
        patience: Patience,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._get = get
        self._is_new = is_new
        self._wake = wake
        self._clock = clock
        self._refill = Refill(patience)
        self._label = metrics.label_of(source.symbols)
        for symbol in source.symbols:
            for counter in (metrics.FEED_REFILLED, metrics.FEED_UNFILLABLE):
                counter.labels(source.name, self._label(symbol))
        self._held = metrics.FEED_HELD.labels(source.name)
        self.lost = 0

    @property
    def refilled(self) -> int:
        """The number of trades that were asked for and came."""
        return self._refill.refilled

    def resume(self, complete: Mapping[str, Seen]) -> None:
        """Go on from where an earlier feed ended."""
        self._refill.resume(complete, self._clock())

    def complete(self) -> dict[str, Seen]:
        """Return up to where each symbol's trades were handed over or given up."""
        return self._refill.complete()

    def disconnected(self, symbols: Iterable[str]) -> None:
        """Record that a connection was lost; see `Refill.disconnected`."""
        self._refill.disconnected(symbols, self._clock())

    def connected(self, symbols: Iterable[str]) -> None:
        """Record that a connection stands, and these symbols' trades come over it."""
        self._refill.connected(symbols, self._clock())

    def take(self, trades: Sequence[Trade]) -> list[Trade]:
        """Take new trades, and return those that may be sent."""
        now = self._clock()
        self._refill.take(trades, now)
        sent = self._refill.release(now)
        if self._refill.lost:
            self._tell()
        return sent

    async def run(self) -> None:
        """Ask for what is missing, without end."""
        while True:
            if not await self.look():
                await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> bool:
        """Ask for what is due first. Return whether anything was."""
        ask = self._refill.ask(self._clock())
        if ask is not None:
            await self._request(ask)
        self._held.set(self._refill.held)
        if self._refill.held:
            self._wake()
        return ask is not None

    async def _request(self, ask: Ask) -> None:
        source, refill = self._source, self._refill
        try:
            page = await source.missed(self._get, ask.symbol, ask.first, ask.last, ask.since_ms)
        except InputError as error:
            refill.give_up(ask, str(error))
            return
        except (OSError, ValueError, msgspec.MsgspecError, RecursionError) as error:
            log.warning("%s: %s: can't ask for trades from id %d on: %s", source.name, ask.symbol, ask.first, error)
            return
        before = refill.refilled
        refill.take([trade for trade in page.trades if self._is_new(trade)], self._clock(), asked=True)
        refill.answered(ask, last=page.reaches, more=page.has_more)
        if count := refill.refilled - before:
            metrics.FEED_REFILLED.labels(source.name, self._label(ask.symbol)).inc(count)
            log.info(
                "%s: %s: %s came from id %d on", source.name, ask.symbol, counted(count, "missing trades"), ask.first
            )

    def _tell(self) -> None:
        for lost in self._refill.lost:
            log.warning("%s: %s: %s", self._source.name, lost.symbol, lost)
            if lost.last is not None:
                count = lost.last - lost.first + 1
                self.lost += count
                metrics.FEED_UNFILLABLE.labels(self._source.name, self._label(lost.symbol)).inc(count)
        self._refill.lost.clear()
