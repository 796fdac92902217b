"""One run of `tickertape backfill`: where it goes on, what it sends, and what it stores of that."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime

from msgspec import structs

from tickertape.schemas.control import Past as Stored
from tickertape.schemas.trade import Trade
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import ConfigError
from tickertape.stream.feeds.backfill import standing
from tickertape.stream.feeds.backfill.ledger import Ledger
from tickertape.stream.feeds.backfill.past import Span
from tickertape.stream.feeds.publish.records import Records
from tickertape.stream.feeds.refill.refill import Seen
from tickertape.stream.kafka.stores.control import Control, write_complete, write_past

# What was sent since is read back by a run that goes on, and held in memory.
STORE_SECONDS = 10.0
STORE_TRADES = 200_000
# Without an end, what came meanwhile is sent too, until there is no more of it than a live feed asks for at once.
CLOSE_MS = 30_000

#: Returns the trades of a span by event time, given the last trade of each symbol that was sent.
Trades = Callable[[Span, "dict[str, Seen]"], AsyncGenerator[list[Trade]]]


class Backfill:
    """Sends past trades of a source, each once.

    What is sent is stored every ten seconds, or more often: the last trade of each symbol that Kafka has acknowledged,
    and the ends of the log at that moment. A run that goes on reads what the log has beyond these ends, so it knows
    every trade that is there, whenever the last run ended.

    Parameters
    ----------
    settings
        How to reach Kafka, and the width of a slice.
    name
        The source's name in the records.
    symbols
        The symbols; none: those of the files.
    from_ms, to_ms
        The event times, ms; without an end, up to the present. The end is cut to a slice, so that none has trades of
        both sides.
    trades
        Returns the trades.
    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        symbols: Sequence[str],
        from_ms: int,
        to_ms: int | None,
        trades: Trades,
    ) -> None:
        self._settings = settings
        self._name = name
        self._from_ms = from_ms
        self._to_ms = to_ms
        self._trades = trades
        self._ledger = Ledger({})
        self._stored = Stored(from_ms, sorted(symbols), {}, [])
        self._records: Records
        self._until_ms = self._end_ms()

    @property
    def complete(self) -> dict[str, Seen]:
        """The last trade of each symbol that was sent."""
        return self._ledger.complete

    def share(self, newest_ms: int) -> float:
        """Return how much of the time is sent, 0 to 1."""
        return min(max(newest_ms - self._from_ms, 0) / max(self._until_ms - self._from_ms, 1), 1.0)

    @asynccontextmanager
    async def kept(self, records: Records, control: Control) -> AsyncIterator[None]:
        """Find out where to go on, and store where it ended, also if it was stopped.

        Raises
        ------
        ConfigError
            The source is in the log already, later than the trades.
        """
        self._records = records
        await self._begin(control)
        yield
        if self._ledger.is_plain:
            # What a run that is stopped has sent is known by the log alone.
            self._ledger = await self._read_on()
            self._ledger.settle()
            await self._store()

    async def _begin(self, control: Control) -> None:
        stored, wanted = control.past(self._name), self._stored
        if stored is not None and (stored.from_ms, stored.symbols) == (wanted.from_ms, wanted.symbols):
            moved = standing.moved(stored, control.complete(self._name))
            if moved is None:
                self._stored = stored
                self._ledger = await self._read_on()
                return
        newest_ms = await standing.newest_ms(self._settings, control, self._name)
        if newest_ms >= self._from_ms:
            raise ConfigError(_refusal(self._name, newest_ms, self._from_ms, stored))
        self._stored = structs.replace(wanted, offsets=await standing.ends(self._settings))
        write_past(self._records, self._name, self._stored)
        await self._records.flush()

    async def _read_on(self) -> Ledger:
        """Return what is sent, by what is stored and by the log since."""
        ledger = Ledger({symbol: Seen(*seen) for symbol, seen in self._stored.complete.items()})
        ledger.found(await standing.numbers(self._settings, self._name, self._stored.offsets))
        return ledger

    async def batches(self) -> AsyncIterator[list[Trade]]:
        """Yield the trades that aren't in the log, by event time."""
        due, left = time.monotonic() + STORE_SECONDS, STORE_TRADES
        while True:
            self._until_ms = self._end_ms()
            async with aclosing(self._trades(Span(self._from_ms, self._until_ms), self._ledger.complete)) as each:
                async for batch in each:
                    if new := self._ledger.take(batch):
                        yield new
                    left -= len(new)
                    if left < 0 or time.monotonic() > due:
                        await self._store()
                        due, left = time.monotonic() + STORE_SECONDS, STORE_TRADES
            if self._to_ms is not None or self._end_ms() - self._until_ms < CLOSE_MS:
                return

    def _end_ms(self) -> int:
        end_ms = time.time_ns() // 1_000_000 if self._to_ms is None else self._to_ms
        return end_ms - end_ms % self._settings.slice_ms

    async def _store(self) -> None:
        """Store what is sent, unless a run that crashed left trades in the log behind some that are missing."""
        if not self._ledger.is_plain:
            return
        await self._records.flush()
        complete = {symbol: (seen.id, seen.time_ms) for symbol, seen in self._ledger.complete.items()}
        offsets = await standing.ends(self._settings)
        self._stored = structs.replace(self._stored, complete=complete, offsets=offsets)
        # In this order: a live feed goes on after what is complete, and is known by it.
        write_past(self._records, self._name, self._stored)
        write_complete(self._records, self._name, complete)
        await self._records.flush()


def _refusal(name: str, newest_ms: int, from_ms: int, stored: Stored | None) -> str:
    begun = ""
    if stored is not None:
        symbols = f" of {', '.join(stored.symbols)}" if stored.symbols else ""
        begun = f" Its past trades{symbols} were sent from {when(stored.from_ms)} on."
    return (
        f"{name} is in the log up to {when(newest_ms)}, and its event time can't go back to {when(from_ms)}.{begun} "
        f"Send this under another name, such as with --as {name[:16]}-history"
    )


def when(ms: int) -> str:
    """Return a time in words."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
