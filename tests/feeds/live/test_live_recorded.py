"""The recorded frames of Binance over a bad line: each trade comes once, or is in a gap that is named."""

import asyncio
import gzip
import logging
import random
from collections import Counter
from contextlib import aclosing
from itertools import islice

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection

from tests.feeds.exchange import Exchange, binance_at, breaks, named_missing, stays, trade
from tests.integration import recorded
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.live.connection import Patience
from tickertape.stream.feeds.live.live import Live

pytestmark = recorded.needed

FRAMES = 12_000
LAST = trade(1, "ETHUSDT")
GARBAGE = ["", "{", '{"stream": "btcusdt@trade", "data": 7}', "\x00" * 40]
ENDS = ("drops", "repeats", "stalls", "skips", "closes")
PATIENCE = Patience(silence_seconds=0.6, healthy_seconds=0.0, first_wait_seconds=0.01, longest_wait_seconds=0.05)


def frames() -> list[str]:
    with gzip.open(recorded.PATHS[0], "rt") as file:
        return [line.partition(" ")[2] for line in islice(file, FRAMES)]


class BadLine:
    """Says what was recorded, but each connection ends somehow, and the next begins too early or too late.

    Attributes
    ----------
    ends
        How connections ended.
    """

    def __init__(self, frames: list[str], seed: int) -> None:
        self._frames = frames
        self._random = random.Random(seed)
        self._at = 0
        self.ends: Counter[str] = Counter()

    async def __call__(self, socket: ServerConnection) -> None:
        chance = self._random
        end = min(self._at + chance.randrange(100, 1200), len(self._frames))
        while self._at < end:
            await socket.send(self._frames[self._at])
            self._at += 1
            if chance.random() < 0.002:
                await socket.send(chance.choice(GARBAGE))
        if self._at == len(self._frames):
            await socket.send(LAST)
            await stays(socket)
            return
        how = ENDS[self.ends.total() % len(ENDS)]
        self.ends[how] += 1
        if how == "repeats":
            self._at -= chance.randrange(1, 200)
        elif how == "skips":
            self._at = min(self._at + chance.randrange(1, 200), len(self._frames) - 1)
        if how == "stalls":
            await stays(socket)
        elif how == "closes":
            await socket.close(chance.choice([1000, 1001, 1008, 1011, 1012]))
        else:
            await breaks(socket)


def test_each_recorded_trade_comes_once_or_its_gap_is_named(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "stream")
    sent = frames()
    line = BadLine(sent, seed=5)
    exchange = Exchange(line)

    async def scenario() -> tuple[list[Trade | Quote], Live]:
        heard: list[Trade | Quote] = []
        async with exchange.open():
            live = Live(binance_at(exchange.url, ["BTCUSDT"]), PATIENCE, buffer_bytes=64 << 20)
            async with asyncio.timeout(60), aclosing(live.batches()) as batches:
                async for events in batches:
                    heard += [event for event in events if event.symbol == "BTC-USDT"]
                    if events[-1].symbol == "ETH-USDT":
                        break
            return heard, live

    heard, live = asyncio.run(scenario())
    # The exchange's own words, read by nothing of ours.
    told = [
        message["data"] for message in map(msgspec.json.decode, sent) if message.get("stream", "").endswith("@trade")
    ]
    trades = {event.id: event for event in heard if isinstance(event, Trade)}
    assert len(trades) == sum(isinstance(event, Trade) for event in heard)
    named = named_missing(caplog.text)
    missing = [number for numbers in named for number in numbers]
    assert sorted([*trades, *missing]) == [raw["t"] for raw in told]
    assert all(
        (trades[raw["t"]].price, trades[raw["t"]].time_ms) == (float(raw["p"]), raw["T"])
        for raw in told
        if raw["t"] in trades
    )
    assert (live.tally.missing, live.tally.gaps) == (len(missing), len(named))
    quotes = [event.id for event in heard if isinstance(event, Quote)]
    assert quotes == sorted(set(quotes))
    # It was as bad as that.
    assert len(line.ends) == len(ENDS)
    assert missing
    assert live.tally.repeats
    assert live.tally.garbage
    assert live.tally.reconnects == line.ends.total()
