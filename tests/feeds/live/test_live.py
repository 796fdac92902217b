"""A live source over a line that drops, stalls, repeats, skips and lies: each trade comes once, or its gap is named."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from http import HTTPStatus

import pytest
from msgspec.structs import replace
from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

from tests.feeds.exchange import Exchange, binance_at, breaks, closes, freezes, quote, refusal, says, stays, trade
from tickertape.schemas.events import Event
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.errors import ConfigError, InputError
from tickertape.stream.feeds.live import live
from tickertape.stream.feeds.live.connection import Patience
from tickertape.stream.feeds.live.live import Live
from tickertape.stream.telemetry.registries import FEED

PATIENCE = Patience(
    open_seconds=2.0,
    silence_seconds=1.0,
    ping_seconds=5.0,
    renew_seconds=60.0,
    overlap_seconds=0.1,
    healthy_seconds=0.0,
    first_wait_seconds=0.01,
    longest_wait_seconds=0.05,
)

Enough = Callable[[Live, list[Event]], bool]


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "stream")


def binance(exchange: Exchange, *symbols: str, **changes: float) -> Live:
    source = binance_at(exchange.url, symbols or ("BTCUSDT",))
    return Live(source, replace(PATIENCE, **changes), buffer_bytes=1 << 20)


async def hear(live: Live, enough: Enough, within_seconds: float = 5.0) -> list[Event]:
    """Return what comes until there is enough."""
    heard: list[Event] = []
    async with asyncio.timeout(within_seconds), aclosing(live.batches()) as batches:
        async for events in batches:
            heard += events
            if enough(live, heard):
                break
    return heard


def last_is(number: int) -> Enough:
    return lambda _, heard: heard[-1].id == number


def run(exchange: Exchange, enough: Enough, **changes: float) -> tuple[list[Event], Live]:
    async def scenario() -> tuple[list[Event], Live]:
        async with exchange.open():
            live = binance(exchange, **changes)
            return await hear(live, enough), live

    return asyncio.run(scenario())


def ids(events: Sequence[Event], kind: type = Trade) -> list[int]:
    return [event.id for event in events if isinstance(event, kind)]


def shown(name: str, **labels: str) -> int:
    """Return what a metric says of it."""
    return int(FEED.get_sample_value(f"tickertape_feed_{name}", {"source": "binance", **labels}) or 0)


def test_each_trade_comes_once_or_its_gap_is_named(caplog: pytest.LogCaptureFixture) -> None:
    exchange = Exchange(
        says(*map(trade, (1, 2, 3)), then=breaks),
        # It says again what was said, and goes on.
        says(*map(trade, (2, 3, 4)), then=stays),
        # Two are never said; the second line's end is that of a server which restarts.
        says(*map(trade, (7, 8)), then=closes(1001, "going away")),
        says(*map(trade, (9, 10)), then=stays),
    )
    counters = ("reconnects_total", "repeated_records_total", "dropped_messages_total")
    before = [shown(name) for name in counters]
    heard, live = run(exchange, last_is(10))
    assert ids(heard) == [1, 2, 3, 4, 7, 8, 9, 10]
    assert "binance: BTC-USDT: 2 trades are missing, ids 5 to 6" in caplog.messages
    assert (live.tally.missing, live.tally.gaps, live.tally.repeats, live.tally.reconnects) == (2, 1, 2, 3)
    assert live.tally.events == {"trades": 8}
    assert [shown(name) - count for name, count in zip(counters, before, strict=True)] == [3, 2, 0]
    symbol = {"symbol": "BTC-USDT"}
    assert (shown("missing_records", **symbol), shown("gaps", **symbol)) == (2, 1)
    text = caplog.text
    assert "binance: nothing came for 1 s; connecting again" in text
    assert "received 1001 (going away)" in text


def test_one_that_does_not_answer_a_ping_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    exchange = Exchange(says(trade(1), then=freezes), says(trade(2), then=stays))
    heard, _ = run(exchange, last_is(2), ping_seconds=0.1, silence_seconds=3.0)
    assert ids(heard) == [1, 2]
    assert "keepalive ping timeout" in caplog.text


def test_garbage_is_counted_told_once_and_never_fatal(caplog: pytest.LogCaptureFixture) -> None:
    nonsense = [
        "no JSON",
        "",
        b"\xff\xfe",
        "[" * 100_000,
        '{"stream": "btcusdt@trade", "data": {"s": "BTCUSDT"}}',
        '{"stream": "btcusdt@trade"}',
        trade(2).replace("100.5", "-1"),
        trade(2).replace("BTCUSDT", "WHATISIT"),
        quote(2).replace("1.5", "NaN"),
        "null",
    ]
    others = ['{"result": null, "id": 1}', '{"stream": "btcusdt@kline_1m", "data": {}}']
    exchange = Exchange(says(trade(1), *nonsense, *others, trade(2), then=stays))
    heard, live = run(exchange, last_is(2))
    assert ids(heard) == [1, 2]
    # A frame of text that isn't UTF-8 ends the connection by the protocol, so it isn't sent as one; see `says`.
    assert live.tally.garbage == len(nonsense)
    assert live.tally.others == {"unnamed": 1, "kline_1m": 1}
    told = [message for message in caplog.messages if "can't be read" in message]
    assert len(told) == 1


def test_quotes_that_come_again_or_too_late_are_left_out() -> None:
    exchange = Exchange(says(*map(quote, (10, 12)), then=breaks), says(*map(quote, (11, 12, 15)), then=stays))
    heard, live = run(exchange, last_is(15))
    assert ids(heard, Quote) == [10, 12, 15]
    assert (live.tally.repeats, live.tally.missing) == (2, 0)


def test_a_symbol_of_which_nothing_comes_is_told_of(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "TICK_SECONDS", 0.02)

    async def chats(socket: ServerConnection) -> None:
        for number in range(1, 150):
            await socket.send(trade(number))
            await asyncio.sleep(0.01)
        await stays(socket)

    async def scenario() -> None:
        exchange = Exchange(chats)
        async with exchange.open():
            await hear(binance(exchange, "BTCUSDT", "BTCUSD", "ETHUSDC"), last_is(149))

    asyncio.run(scenario())
    told = next(message for message in caplog.messages if "silent" in message)
    # Only the trades of one symbol come.
    assert told.partition(", for ")[0] == (
        "binance: silent: bookTicker of BTC-USDT, trade of BTC-USD, bookTicker of BTC-USD, trade of ETH-USDC, "
        "bookTicker of ETH-USDC"
    )


def test_a_connection_that_grows_old_is_replaced_with_nothing_lost(caplog: pytest.LogCaptureFixture) -> None:
    now = [0]

    async def market(socket: ServerConnection) -> None:
        # Every connection hears the same market, from a moment after it is there.
        await asyncio.sleep(0.2)
        said = now[0]
        while socket.state is State.OPEN:
            while said < now[0]:
                said += 1
                await socket.send(trade(said))
            await asyncio.sleep(0.005)

    exchange = Exchange(market)

    async def scenario() -> tuple[list[Event], Live]:
        async def go_on() -> None:
            while True:
                now[0] += 1
                await asyncio.sleep(0.002)

        async with exchange.open():
            market = asyncio.create_task(go_on())
            live = binance(exchange, renew_seconds=0.3, silence_seconds=5.0)
            heard = await hear(live, lambda live, heard: live.tally.reconnects >= 3 and len(heard) > 50)
            market.cancel()
            return heard, live

    heard, live = asyncio.run(scenario())
    assert ids(heard) == list(range(heard[0].id, heard[0].id + len(heard)))
    assert live.tally.missing == 0
    # While both are heard: for a tenth of a second, three times.
    assert live.tally.repeats > 5
    # We hung up, tidily.
    assert exchange.ended[:2] == [1000, 1000]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    "goodbye",
    [
        '{"e": "serverShutdown", "E": 1770123456789}',
        '{"stream": "", "data": {"e": "serverShutdown", "E": 1770123456789}}',
    ],
)
def test_a_server_that_says_it_will_leave_is_left_first(caplog: pytest.LogCaptureFixture, goodbye: str) -> None:
    async def goes_on(socket: ServerConnection) -> None:
        for number in (2, 3, 4):
            await asyncio.sleep(0.02)
            await socket.send(trade(number))
        await stays(socket)

    exchange = Exchange(says(trade(1), goodbye, then=goes_on), says(trade(3), trade(4), trade(5), then=stays))
    heard, live = run(exchange, lambda _, heard: {5, 2} <= {event.id for event in heard})
    assert sorted(ids(heard)) == [1, 2, 3, 4, 5]
    assert live.tally.missing == 0
    assert "binance: the server is about to close the connection; opening a new one" in caplog.messages


def test_who_takes_and_drops_every_call_is_not_called_without_a_pause() -> None:
    exchange = Exchange(breaks)

    async def scenario() -> None:
        async with exchange.open():
            live = binance(exchange, healthy_seconds=5.0, first_wait_seconds=0.2, longest_wait_seconds=10.0)
            with pytest.raises(TimeoutError):
                await hear(live, last_is(0), within_seconds=1.5)

    asyncio.run(scenario())
    # Waits of 0.1, 0.2, 0.4, 0.8 s on average: without them there would be fifty.
    assert 2 <= len(exchange.asked) <= 12


def test_a_server_that_is_not_there_yet_is_called_again(caplog: pytest.LogCaptureFixture) -> None:
    exchange = Exchange(says(trade(1), then=stays))

    async def scenario() -> list[Event]:
        async with exchange.open():
            live, port = binance(exchange), exchange.port
        hearing = asyncio.create_task(hear(live, last_is(1)))
        await asyncio.sleep(0.2)
        async with exchange.open(port):
            return await hearing

    assert ids(asyncio.run(scenario())) == [1]
    assert "binance: can't connect (" in caplog.text


def test_a_passing_refusal_is_outlasted_and_its_wait_kept(caplog: pytest.LogCaptureFixture) -> None:
    exchange = Exchange(
        refusal(HTTPStatus.SERVICE_UNAVAILABLE, "upstream\nis away"),
        refusal(HTTPStatus.TOO_MANY_REQUESTS, "", Retry_After="1"),
        says(trade(1), then=stays),
    )
    heard, _ = run(exchange, last_is(1))
    assert ids(heard) == [1]
    assert "can't connect (HTTP 503 Service Unavailable: upstream is away); trying again in 0." in caplog.text
    assert "can't connect (HTTP 429 Too Many Requests); trying again in 1.0 s" in caplog.text


def test_a_refusal_for_good_is_one_line() -> None:
    body = '{"code": 0, "msg": "Service unavailable from a restricted location"}'
    exchange = Exchange(refusal(HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS, body))
    with pytest.raises(InputError) as told:
        run(exchange, last_is(1))
    why = f"HTTP 451 Unavailable For Legal Reasons: {body}"
    assert str(told.value) == f"binance: the server refuses ({why}); TICKERTAPE_BINANCE_URL sets its address"


def test_a_refusal_after_there_was_a_connection_is_outlasted() -> None:
    exchange = Exchange(
        says(trade(1), then=breaks), refusal(HTTPStatus.FORBIDDEN, "firewall"), says(trade(2), then=stays)
    )
    assert ids(run(exchange, last_is(2))[0]) == [1, 2]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://localhost/stream", r"https://localhost/stream\?streams=.* isn't a valid URL: .*"),
        ("wss://localhost:99999/stream", "Port out of range 0-65535"),
        ("wss:///stream", r"wss:///stream\?streams=.* isn't a valid URL: .*"),
    ],
)
def test_an_address_that_is_none_is_one_line(url: str, why: str) -> None:
    live = Live(binance_at(url, ["BTCUSDT"]), PATIENCE, buffer_bytes=1 << 20)
    with pytest.raises(ConfigError, match=rf"^binance: {why}; TICKERTAPE_BINANCE_URL sets its address$"):
        asyncio.run(hear(live, last_is(1)))
