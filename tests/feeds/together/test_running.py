"""``tickertape feed run`` as a process, between local exchanges and a real Kafka."""

import asyncio
import json
import signal
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import msgspec
import psutil
import pytest
from websockets.asyncio.server import ServerConnection

from tests.feeds.exchange import Exchange, quote, refusal, stays
from tests.feeds.exchange import trade as binance_trade
from tests.feeds.rest import Rest
from tests.feeds.together.lemons import Lemons, feeds, said
from tests.integration.running import read
from tickertape.schemas.topics import CONTROL, INSTRUMENTS, QUOTES, TRADES
from tickertape.schemas.trade import Trade
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin.topics import create
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with EmbeddedKafka() as kafka:
        create(Settings(kafka.broker), [TRADES, QUOTES, INSTRUMENTS, CONTROL])
        yield kafka.broker


def trades(broker: str, source: str) -> list[Trade]:
    """Return a source's trades that are records of their own, not of a bundle."""
    values = [value for _, value in read(broker, TRADES.name) if value is not None and value.startswith(b"{")]
    found = (msgspec.json.decode(value, type=Trade) for value in values)
    return [one for one in found if one.source == source]


async def until_sent(broker: str, **counts: int) -> None:
    """Wait until so many trades of each source are on the topic."""
    async with asyncio.timeout(60):
        while True:
            missing = [
                name for name, count in counts.items() if len(await asyncio.to_thread(trades, broker, name)) < count
            ]
            if not missing:
                return
            await asyncio.sleep(0.2)


def test_one_that_fails_is_started_again_and_the_others_go_on(broker: str, tmp_path: Path, rest: Rest) -> None:
    market = Lemons(left_out={7, 8, 9})
    rest.answers = [market.history]

    async def counts(socket: ServerConnection) -> None:
        for number in range(1, 51):
            await socket.send(binance_trade(number))
            await socket.send(quote(number))
        await stays(socket)

    lemons = Exchange(market)
    binance = Exchange(refusal(HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS, "restricted location"), counts)
    file = tmp_path / "feeds.toml"

    async def scenario() -> tuple[int | None, str, str]:
        async with lemons.open(), binance.open():
            file.write_text(f"""
[shared]
bundle = "5ms"

[feeds.lemon]
symbols = ["BTC-USD", "ETH-USD"]
url = "{lemons.url}"
history_url = "{rest.url}"
bundle = ""

[feeds.binance]
symbols = ["BTC-USDT"]
url = "{binance.url}"
refill = false
source = "bnc"
""")
            words = ("run", file, "--record", tmp_path / "recorded", "--json")
            async with feeds(*words, TICKERTAPE_BROKER=broker) as process:
                await until_sent(broker, lemon=150)
                async with asyncio.timeout(30):
                    while len(binance.asked) < 2:  # noqa: ASYNC110 - of another process
                        await asyncio.sleep(0.1)
                await asyncio.sleep(2.5)
                process.send_signal(signal.SIGTERM)
                return await said(process)

    code, _, told = asyncio.run(scenario())
    assert code == 0
    # Lemon went on all the time, and what it left out came from its history, in its place.
    for symbol in ("BTC-USD", "ETH-USD"):
        ids = [one.id for one in trades(broker, "lemon") if one.symbol == symbol]
        assert ids == list(range(1, len(ids) + 1)), told
    (failed,) = [line for line in told.splitlines() if "started again" in line]
    assert "bnc: the feed failed (bnc: the server refuses (HTTP 451 Unavailable For Legal Reasons: restricted" in failed
    # One line a source and second.
    states = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    lemon, bnc = ([state for state in states if state["source"] == name][-1] for name in ("lemon", "bnc"))
    assert (lemon["state"], lemon["failures"], lemon["symbols"], lemon["heard"]) == ("stopped", 0, 2, 2)
    assert (lemon["missing"], lemon["refilled"]) == (0, 6)
    assert lemon["rate"] > 0
    assert (bnc["state"], bnc["failures"], bnc["events"], bnc["why"]) == ("stopped", 1, 100, "")
    assert {"connected", "failed"} <= {state["state"] for state in states if state["source"] == "bnc"}
    assert {state["state"] for state in states if state["source"] == "lemon"} <= {"connecting", "connected", "stopped"}
    names = {path.name.rpartition("-")[0] for path in (tmp_path / "recorded").iterdir()}
    assert names == {"lemon-0", "bnc-0"}


def test_a_key_is_shown_nowhere(broker: str, tmp_path: Path) -> None:
    heard: list[str] = []

    async def alpaca(socket: ServerConnection) -> None:
        async for message in socket:
            heard.append(str(message))
            await socket.send('[{"T": "error", "code": 402, "msg": "auth failed"}]')

    exchange, file = Exchange(alpaca), tmp_path / "feeds.toml"

    async def scenario() -> tuple[str, str]:
        async with exchange.open():
            (tmp_path / "secret").write_text("hush-2\n")
            key = 'key_env = "DESK"\nsecret_file = "secret"\n'
            file.write_text(f'[feeds.alpaca]\nsymbols = ["AAPL"]\nurl = "{exchange.url}"\n{key}')
            environ = {"TICKERTAPE_BROKER": broker, "DESK": "hush-1"}
            async with feeds("run", file, **environ) as process:
                async with asyncio.timeout(30):
                    while len(heard) < 2:  # noqa: ASYNC110 - of another process
                        await asyncio.sleep(0.1)
                await asyncio.sleep(6)
                words = " ".join(psutil.Process(process.pid).cmdline())
                process.send_signal(signal.SIGTERM)
                return words, "".join((await said(process))[1:])

    words, told = asyncio.run(scenario())
    assert json.loads(heard[0]) == {"action": "auth", "key": "hush-1", "secret": "hush-2"}
    assert "alpaca: connected" in told
    assert "402 auth failed" in told
    assert "hush" not in words + told


def test_it_says_plain_lines_in_a_pipe(broker: str, tmp_path: Path) -> None:
    exchange, file = Exchange(Lemons(mute=["ETH_USD"])), tmp_path / "feeds.toml"

    async def scenario() -> str:
        async with exchange.open():
            file.write_text(f'[feeds.lemon]\nsymbols = ["BTC-USD", "ETH-USD"]\nurl = "{exchange.url}"\nsource = "l2"\n')
            async with feeds("run", file, TICKERTAPE_BROKER=broker) as process:
                await until_sent(broker, l2=20)
                await asyncio.sleep(6)
                process.send_signal(signal.SIGINT)
                code, _, told = await said(process)
                assert code == 0
                return told

    told = asyncio.run(scenario())
    lines = [line.split("   ")[:2] for line in told.splitlines() if line.startswith("l2: ")]
    assert ["l2: connected", "1 of 2 symbols"] in lines
    assert ["l2: stopped", "1 of 2 symbols"] in lines
