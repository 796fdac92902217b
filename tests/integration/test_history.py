"""History and live are one: broken off, gone on with, and live at last, a source is as one that has never stopped."""

import asyncio
import json
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection

from tests.feeds.backfill.exchange import DAY_MS, FIRST_MS, History, Made, made
from tests.feeds.exchange import Exchange, stays
from tests.integration.running import all_final, put, records, running, tallies
from tests.integration.test_recorded import assert_equal_polars
from tickertape.schemas.bundle import from_headers
from tickertape.schemas.heartbeat import Heartbeat, to_headers
from tickertape.schemas.topics import TRADES
from tickertape.schemas.trade import Trade
from tickertape.stream.bundles.unpacking import Unpacked
from tickertape.stream.configuration.environment import environment
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.stores.control import Control
from tickertape.stream.progress.shown import NOWHERE
from tickertape.stream.replay import verify

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

SYMBOLS = {"BTCUSDT": "BTC-USDT", "ETHUSDT": "ETH-USDT"}
TO_MS = FIRST_MS + DAY_MS + DAY_MS // 2
# What is stored is stored often, so that each kind of moment is met.
COMMAND = (
    "from tickertape.stream.feeds.backfill import run; run.STORE_SECONDS = 0.2; "
    "from tickertape.stream.command_line.cli import main; main()"
)


def arguments(*more: str) -> list[str]:
    return ["backfill", *SYMBOLS, "--source", "binance", "--from", "2024-08-09", "--to", "2024-08-10T12:00", *more]


class Run:
    """A command of Tickertape, with a server on this machine for the exchange."""

    def __init__(self, settings: Settings, history: History, folder: Path, url: str = "ws://127.0.0.1:9") -> None:
        self.environ = (
            os.environ
            | environment(settings)
            | {
                "XDG_CACHE_HOME": str(folder),
                "TICKERTAPE_BINANCE_URL": url,
                "TICKERTAPE_BINANCE_INFO_URL": "",
                "TICKERTAPE_BINANCE_REFILL": "true",
                "TICKERTAPE_BINANCE_CHANNELS": "trades",
                "TICKERTAPE_BINANCE_HISTORY_URL": f"{history.url}/history",
                "TICKERTAPE_BINANCE_ARCHIVE_URL": f"{history.url}/files",
            }
        )

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        command = [sys.executable, "-c", COMMAND, *words]
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(*command, env=self.environ, stdout=pipe, stderr=pipe)

    async def whole(self, *words: str) -> tuple[int, str, str]:
        """Run it to its end; return its exit code and what it said."""
        process = await self.start(*words)
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def broken(self, number: signal.Signals, past: int, *words: str) -> None:
        """Run it until the topic has more than so many trades, and stop it."""
        process = await self.start(*words)
        while len(await asyncio.to_thread(on_topic, self.environ["TICKERTAPE_BROKER"])) <= past:
            assert process.returncode is None
        process.send_signal(number)
        await process.communicate()


def on_topic(broker: str) -> list[Trade]:
    """Return the trades of the topic, in order within each partition."""
    found = []
    for record in records(broker, TRADES.name):
        if record.value is not None:
            header = from_headers(record.headers)
            lines = [record.value] if header is None else Unpacked(record.value, header.events).texts
            found += [msgspec.json.decode(line, type=dict[str, Any]) for line in lines]
    return [msgspec.convert({k: v for k, v in one.items() if v is not None}, Trade) for one in found]


def assert_once_in_order(found: Sequence[Trade], trades: Mapping[str, Sequence[Made]], to_ms: int) -> None:
    by_symbol: dict[str, list[Trade]] = defaultdict(list)
    for one in found:
        by_symbol[one.symbol].append(msgspec.structs.replace(one, received_ms=0))
    for name, symbol in SYMBOLS.items():
        assert by_symbol[symbol] == [one.as_trade(symbol) for one in trades[name] if one.time_ms < to_ms]


def two_days(count: int) -> dict[str, list[Made]]:
    return {name: made(count, 2, seed, first_id=10**6 * seed) for seed, name in enumerate(SYMBOLS, 1)}


def test_history_and_live_are_as_if_it_had_never_stopped(own_kafka: str, tmp_path: Path) -> None:
    trades = two_days(1000)
    late = FIRST_MS + 2 * DAY_MS - DAY_MS // 8
    # At first the exchange has what there was at noon of the second day.
    history = History(
        {name: [one for one in each if one.time_ms < TO_MS] for name, each in trades.items()},
        {1: "not there"},
        page=50,
    )

    async def says(socket: ServerConnection) -> None:
        # What came before this connection isn't said again.
        for one, name in sorted(
            ((one, name) for name, each in trades.items() for one in each if one.time_ms >= late),
            key=lambda pair: pair[0].time_ms,
        ):
            data = {"e": "trade", "s": name, "t": one.id, "p": one.price, "q": one.quantity, "T": one.time_ms}
            stream = f"{name.lower()}@trade"
            await socket.send(json.dumps({"stream": stream, "data": data | {"E": one.time_ms, "m": one.is_maker}}))
        await stays(socket)

    async def scenario(settings: Settings) -> None:
        run = Run(settings, history, tmp_path)
        history.most = 560
        await run.broken(signal.SIGKILL, 50, *arguments())
        history.most = 640
        await run.broken(signal.SIGKILL, 1100, *arguments("--bundle", "5ms"))
        history.most = 700
        await run.broken(signal.SIGINT, 1200, *arguments())
        history.most = None
        code, out, err = await run.whole(*arguments("--json"))
        assert (code, "goes on from there" in out) == (0, True), err
        assert json.loads(err.splitlines()[-2])["what"] == "fed"
        assert_once_in_order(await asyncio.to_thread(on_topic, own_kafka), trades, TO_MS)
        last = [each for each in trades["BTCUSDT"] if each.time_ms < TO_MS][-1]
        async with Control(settings) as control:
            assert control.complete("binance")["BTC-USDT"] == (last.id, last.time_ms)
        # A run more finds nothing to do.
        code, out, err = await run.whole(*arguments())
        assert code == 0
        assert "nothing sent and acknowledged" in err
        # The market goes on for hours, before anybody listens.
        history.trades = trades
        exchange = Exchange(says)
        async with exchange.open():
            run = Run(settings, history, tmp_path / "live", exchange.url)
            process = await run.start("feed", "binance", *SYMBOLS)
            count = sum(map(len, trades.values()))
            while len(await asyncio.to_thread(on_topic, own_kafka)) < count:
                assert process.returncode is None
                await asyncio.sleep(0.2)
            process.send_signal(signal.SIGINT)
            await process.communicate()

    with history.open(), running(own_kafka, workers=1, partitions={"trades": 3}, idle_seconds=3.0) as (settings, _):
        asyncio.run(scenario(settings))
        found = on_topic(own_kafka)
        assert_once_in_order(found, trades, FIRST_MS + 2 * DAY_MS)
        # So that the last bars close too.
        end = Heartbeat("binance", max(one.time_ms for one in found), 3, end=True)
        put(own_kafka, [(partition, None, to_headers(end)) for partition in range(3)])
        held = all_final(settings)
        total = tallies(settings)
        assert (total["counted"], total["late"], total["repeated"], total["rejected"]) == (2000, 0, 0, 0)
        assert_equal_polars(held, [one.as_trade(SYMBOLS[name]) for name, each in trades.items() for one in each])
        compared = asyncio.run(verify.verify(settings, TRADES.name, 1, tmp_path, NOWHERE))
    assert [one.differences for one in compared] == [[]] * len(compared)
    assert sum(one.agree for one in compared) > 0
