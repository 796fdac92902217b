"""Missing trades are asked for, and what comes of it is told: a source by hand, and a clock that the test moves."""

import asyncio
import logging
from collections.abc import Sequence

import pytest

from tickertape.schemas.trade import Trade
from tickertape.stream.errors import InputError
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.page import Get, Page
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.refill.filling import Filling
from tickertape.stream.feeds.refill.refill import Patience, Seen

T = 1_700_000_000_000
PATIENCE = Patience(settle_seconds=1.0, history_seconds=5.0, again_seconds=1.0, most_seconds=60.0)


def trade(number: int, symbol: str = "BTC-USD", at: int | None = None) -> Trade:
    time_ms = T + (number if at is None else at)
    return Trade(symbol=symbol, source="x", id=number, time_ms=time_ms, price=1.0, quantity=1.0)


class History(Source):
    """Has these trades, and pages of two."""

    name = "x"
    refills = True

    def __init__(self, trades: Sequence[Trade], refuses: Exception | None = None) -> None:
        self.trades = list(trades)
        self.refuses = refuses
        self.asked: list[tuple[str, int, int | None]] = []
        self.since_ms: list[int] = []

    def urls(self, position: int) -> Sequence[str]:
        raise AssertionError(position)

    def normalise(self, frame: bytes, received_ms: int) -> Other:
        raise AssertionError(frame, received_ms)

    async def missed(self, get: Get, symbol: str, first: int, last: int | None, since_ms: int) -> Page:
        await get(f"{symbol}/{first}")
        self.asked.append((symbol, first, last))
        self.since_ms.append(since_ms)
        if self.refuses:
            raise self.refuses
        found = [
            each for each in self.trades if each.symbol == symbol and isinstance(each.id, int) and each.id >= first
        ]
        found = [each for each in found if last is None or (isinstance(each.id, int) and each.id <= last)]
        return Page(found[:2], len(found) > 2)


class Desk:
    """A `Filling`, and the clock that it goes by."""

    def __init__(self, source: History) -> None:
        self.now = 100.0
        self.seen: set[tuple[str, int | str]] = set()
        self.woken = 0
        self.filling = Filling(source, self._get, self._is_new, self._wake, PATIENCE, lambda: self.now)

    async def _get(self, address: str) -> bytes:
        assert address
        return b""

    def _is_new(self, trade: Trade) -> bool:
        name = trade.symbol, trade.id
        return name not in self.seen and (self.seen.add(name) or True)

    def _wake(self) -> None:
        self.woken += 1

    def take(self, *trades: Trade) -> list[Trade]:
        return self.filling.take([each for each in trades if self._is_new(each)])

    async def until(self, seconds: float) -> None:
        """Let it ask for all that is due up to a time."""
        while self.now < seconds:
            self.now += 0.5
            while await self.filling.look():
                pass


def test_a_gap_holds_later_trades_back_until_it_is_filled(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tickertape")
    source = History([trade(number) for number in range(1, 9)])
    desk = Desk(source)

    async def scenario() -> list[Trade]:
        assert desk.take(trade(1), trade(2)) == [trade(1), trade(2)]
        # 3 to 5 are missing. An hour passes in another symbol, and waits too.
        assert desk.take(trade(6), trade(7, "ETH-USD", at=3_600_000)) == []
        await desk.until(102.0)
        return desk.take()

    assert asyncio.run(scenario()) == [*map(trade, (3, 4, 5, 6)), trade(7, "ETH-USD", at=3_600_000)]
    # In pages of two, and what came isn't asked for again.
    assert source.asked == [("BTC-USD", 3, 5), ("BTC-USD", 5, 5)]
    # From the time of the trade before on.
    assert source.since_ms == [T + 2, T + 4]
    assert desk.filling.refilled == 3
    assert desk.woken
    assert desk.filling.complete() == {"BTC-USD": Seen(6, T + 6), "ETH-USD": Seen(7, T + 3_600_000)}
    assert "x: BTC-USD: 2 missing trades came from id 3 on" in caplog.text


def test_what_the_source_does_not_have_is_named(caplog: pytest.LogCaptureFixture) -> None:
    source = History([trade(5)])
    desk = Desk(source)

    async def scenario() -> list[Trade]:
        desk.take(trade(1))
        desk.take(trade(6))
        await desk.until(102.0)
        return desk.take()

    assert asyncio.run(scenario()) == [trade(5), trade(6)]
    assert desk.filling.lost == 3
    assert "x: BTC-USD: 3 trades can't be had, ids 2 to 4: the source doesn't have them" in caplog.text


def test_what_is_refused_is_given_up_at_once(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(History([], InputError("HTTP 451: not from your country")))

    async def scenario() -> list[Trade]:
        desk.take(trade(1), trade(3))
        await desk.until(102.0)
        return desk.take()

    assert asyncio.run(scenario()) == [trade(3)]
    assert "x: BTC-USD: 1 trade can't be had, id 2: HTTP 451: not from your country" in caplog.text


def test_what_fails_is_asked_for_again() -> None:
    source = History([trade(number) for number in range(1, 9)], OSError("timed out"))
    desk = Desk(source)

    async def scenario() -> list[Trade]:
        desk.take(trade(1), trade(3))
        await desk.until(102.0)
        assert desk.take() == []
        source.refuses = None
        await desk.until(104.0)
        return desk.take()

    assert asyncio.run(scenario()) == [trade(2), trade(3)]


def test_a_feed_that_starts_again_asks_for_what_came_between() -> None:
    source = History([*map(trade, range(1, 6)), trade(9, "ETH-USD", at=4)])
    desk = Desk(source)

    async def scenario() -> list[Trade]:
        desk.filling.resume({"BTC-USD": Seen(2, T + 2), "ETH-USD": Seen(9, T + 4)})
        # Until a connection stands, nothing shows what it won't bring.
        await desk.until(103.0)
        assert source.asked == []
        desk.filling.connected(["BTC-USD", "ETH-USD"])
        assert desk.take(trade(6)) == []
        await desk.until(106.0)
        return desk.take()

    assert asyncio.run(scenario()) == list(map(trade, (3, 4, 5, 6)))
    # ETH-USD had nothing new.
    assert ("ETH-USD", 10, None) in source.asked
