"""Connections that misbehave: each event comes once, or is missing by name."""

import asyncio
import json
import random
import time
from collections import Counter
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

import pytest
from msgspec.structs import replace
from websockets.asyncio.server import ServerConnection

from tests.feeds.exchange import Exchange, beats, breaks, closes, drips, floods, named_missing, refusal, says, stays
from tests.feeds.live.acme import HEARTBEAT, SYMBOLS, Acme, Desk, beside, ids, run, trade
from tests.feeds.live.test_live import PATIENCE
from tickertape.stream.errors import InputError
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.hosts import known
from tickertape.stream.feeds.hosts.limit import Limit, Limits
from tickertape.stream.feeds.live import connection, silence
from tickertape.stream.feeds.live.live import Live

pytestmark = pytest.mark.usefixtures("fast")


def test_a_half_open_connection_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    exchange = Exchange(Desk(once=beside(says(trade(1), then=stays))), Desk(once=beside(says(trade(2), then=stays))))
    heard, _ = run(exchange, lambda _, heard: ids(heard) == [1, 2], silence_seconds=0.5, ping_seconds=30.0)
    assert "acme: nothing came for 0.5 s; connecting again" in caplog.messages
    assert len(heard) == 2


@pytest.mark.parametrize("sent", [b"\xff\xff\xff\xff", b"\x83\x01x", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_what_is_no_frame_ends_the_connection_and_no_more(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def script(socket: ServerConnection) -> None:
        await socket.send(trade(1))
        socket.transport.write(sent)
        await stays(socket)

    exchange = Exchange(Desk(once=beside(script)), Desk(once=beside(says(trade(2), then=stays))))
    heard, _ = run(exchange, lambda _, heard: ids(heard) == [1, 2], silence_seconds=10.0)
    assert "acme: the connection ended (" in caplog.text
    assert len(heard) == 2


def test_a_message_that_is_too_large_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "MOST_FRAME_BYTES", 1000)
    large = json.dumps({"event": "x" * 2000})
    exchange = Exchange(
        Desk(once=beside(says(trade(1), large, trade(2), then=stays))), Desk(once=beside(says(trade(3), then=stays)))
    )
    heard, live = run(exchange, lambda _, heard: ids(heard) == [1, 3], silence_seconds=10.0)
    assert "acme: the connection ended (sent 1009 (" in caplog.text
    assert live.tally.missing == 1
    assert len(heard) == 2


def test_a_server_that_takes_the_call_and_says_nothing_is_called_again(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        server = await asyncio.start_server(lambda *_: asyncio.sleep(5), "127.0.0.1", 0)
        async with server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            live = Live(Acme(url, SYMBOLS), replace(PATIENCE, open_seconds=0.2), buffer_bytes=1 << 20)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.0), aclosing(live.batches()) as batches:
                    await anext(batches)

    asyncio.run(scenario())
    assert "acme: can't connect (no answer within 0.2 s); trying again in " in caplog.text


def test_a_connection_goes_through_a_proxy_unless_its_host_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        host, port = asked[-1].split()[1].decode().split(":")
        onward_reader, onward_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(pipe(reader, onward_writer), pipe(onward_reader, writer))

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while read := await reader.read(1 << 16):
            writer.write(read)
        writer.close()

    exchange = Exchange(Desk(once=beside(says(trade(1), then=stays))))

    async def scenario() -> None:
        proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with proxy, exchange.open():
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
            for _ in range(2):
                live = Live(Acme(exchange.url, SYMBOLS), PATIENCE, buffer_bytes=1 << 20)
                async with asyncio.timeout(10), aclosing(live.batches()) as batches:
                    async for _events in batches:
                        break
                monkeypatch.setenv("no_proxy", "127.0.0.1")

    asyncio.run(scenario())
    assert len(asked) == 1
    assert asked[0].startswith(b"CONNECT 127.0.0.1:")
    assert len(exchange.asked) == 2


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 1013, 4000])
def test_a_connection_that_is_closed_is_opened_again_and_its_code_told(
    caplog: pytest.LogCaptureFixture, code: int
) -> None:
    exchange = Exchange(
        Desk(once=beside(says(trade(1), then=closes(code, "so")))), Desk(once=beside(says(trade(2), then=stays)))
    )
    heard, _ = run(exchange, lambda _, heard: ids(heard) == [1, 2])
    assert (
        f"acme: the connection ended (received {code} (so), then sent {code} (so)); connecting again" in caplog.messages
    )
    assert len(heard) == 2


def test_a_message_that_drips_is_one_message() -> None:
    heard, live = run(Exchange(Desk(once=beside(drips(trade(1), then=stays)))), lambda _, heard: bool(heard))
    assert ids(heard) == [1]
    assert live.tally.garbage == 0


def test_a_flood_comes_whole_and_in_order() -> None:
    messages = [trade(number) for number in range(1, 50_001)]
    exchange = Exchange(Desk(once=beside(floods(*messages, then=stays))))
    heard, live = run(exchange, lambda _, heard: len(heard) >= 50_000)
    assert ids(heard) == list(range(1, 50_001))
    assert (live.tally.dropped, live.tally.missing, live.tally.repeats) == (0, 0, 0)


def test_repeats_gaps_wrong_order_and_garbage_are_counted() -> None:
    said = [*map(trade, (1, 2, 2, 5, 4, 1, 6)), "{", "", '{"trade": 7}', trade(9)]
    heard, live = run(Exchange(Desk(once=beside(says(*said, then=stays)))), lambda _, heard: ids(heard)[-1:] == [9])
    assert ids(heard) == [1, 2, 5, 4, 6, 9]
    assert (live.tally.repeats, live.tally.missing, live.tally.gaps, live.tally.garbage) == (2, 3, 2, 3)


def test_what_else_a_message_has_is_counted_beside_its_events() -> None:
    class Mixed(Acme):
        def normalise(self, frame: bytes, received_ms: int) -> list[Any] | Other:
            found = super().normalise(frame, received_ms)
            return [Other("correction"), *found, Other("cancel"), Other("cancel")] if isinstance(found, list) else found

    heard, live = run(
        Exchange(Desk(once=beside(says(trade(1), trade(2), then=stays)))), lambda _, heard: len(heard) == 2, Mixed
    )
    assert ids(heard) == [1, 2]
    assert (live.tally.others["correction"], live.tally.others["cancel"]) == (2, 4)


@pytest.mark.parametrize(("status", "header"), [(HTTPStatus.TOO_MANY_REQUESTS, "3"), (HTTPStatus.IM_A_TEAPOT, "3")])
def test_a_host_that_was_asked_too_often_is_left_alone_also_by_the_next_feed(
    caplog: pytest.LogCaptureFixture, status: HTTPStatus, header: str
) -> None:
    exchange = Exchange(refusal(status, "banned", Retry_After=header), Desk(once=beside(says(trade(1), then=stays))))
    # The first feed ends before the time is over, and another one begins.
    run(exchange, lambda live, _: live.tally.blocked_seconds > 0)
    assert len(exchange.asked) == 1
    assert f"can't connect (HTTP {status.value} {status.phrase}: banned); trying again in 3.0 s" in caplog.text
    heard, _ = run(exchange, lambda _, heard: bool(heard))
    assert ids(heard) == [1]
    assert len(exchange.asked) == 2
    assert "127.0.0.1: no connections are allowed for" in caplog.text


def test_a_status_that_a_host_gives_to_who_asks_too_often_is_no_refusal_for_good(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Often(Acme):
        limits = Limits(busy=known.BYBIT.busy)

    run(Exchange(refusal(HTTPStatus.FORBIDDEN, "access too frequent")), lambda *_: bool(caplog.messages), Often)
    assert "can't connect (HTTP 403 Forbidden: access too frequent); trying again in 600.0 s" in caplog.text


def test_a_country_that_is_not_served_is_a_refusal_for_good() -> None:
    class Often(Acme):
        limits = Limits(busy=known.BYBIT.busy)

    body = "configured to block access from your country"
    with pytest.raises(InputError, match="the server refuses"):
        run(Exchange(refusal(HTTPStatus.FORBIDDEN, body)), lambda *_: False, Often)


def test_attempts_are_no_more_than_the_host_allows() -> None:
    class Strict(Acme):
        limits = Limits(connections=Limit(4, 4.0))

    exchange = Exchange(breaks)
    began = time.monotonic()
    run(exchange, lambda *_: len(exchange.asked) == 4, Strict)
    # Two at once, then one every two seconds; without the limit they would come within milliseconds.
    assert time.monotonic() - began > 3.5


class Worse:
    """Answers subscriptions, says trades that all connections share, and ends each in another way.

    Attributes
    ----------
    said
        The ids that any connection has said.
    ends
        How often a connection ended so.
    """

    def __init__(self, seed: int, trades: int) -> None:
        self._random = random.Random(seed)
        self._trades = trades
        self._at = 1
        self.said: set[int] = set()
        self.ends: Counter[str] = Counter()

    async def __call__(self, socket: ServerConnection) -> None:
        said = json.loads(await socket.recv())
        for name in said["args"]:
            await socket.send(json.dumps({"event": "subscribed", "arg": name}))
        how = ("drops", "closes", "mad", "silent", "skips", "repeats")[self.ends.total() % 6]
        if self._at <= self._trades:
            await self._say(socket, self._random.randrange(20, 200))
            self.ends[how] += 1
        if self._at > self._trades:
            await says(trade(self._trades + 1), then=stays)(socket)
        elif how == "skips":
            self._at += self._random.randrange(1, 30)
        elif how == "repeats":
            self._at = max(1, self._at - self._random.randrange(1, 100))
        if how == "closes":
            await socket.close(self._random.choice([1000, 1001, 1008, 1011, 1012, 4001]))
        elif how == "mad":
            socket.transport.write(self._random.randbytes(50) + b"\xff" * 50)
            await stays(socket)
        elif how == "silent":
            await beats(HEARTBEAT)(socket)
        else:
            await breaks(socket)

    async def _say(self, socket: ServerConnection, count: int) -> None:
        numbers = list(range(self._at, min(self._at + count, self._trades + 1)))
        self._at += count
        # Neighbours come in any order.
        for first in range(0, len(numbers), 5):
            some = numbers[first : first + 5]
            self._random.shuffle(some)
            for number in some:
                if self._random.random() < 0.02:
                    continue
                self.said.add(number)
                await socket.send(trade(number))
                if self._random.random() < 0.05:
                    await socket.send(self._random.choice([trade(number), "{", "", HEARTBEAT, '{"trade": 1}', "\x00"]))


@pytest.mark.parametrize(("seed", "redundant"), [(1, False), (2, False), (3, True)])
def test_whatever_the_server_does_each_trade_comes_once_or_its_gap_is_named(
    seed: int, redundant: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "LEAST_SECONDS", 0.3)
    # Any number of connections.
    monkeypatch.setattr(Acme, "limits", Limits(connections=Limit(10_000, 1.0)))
    server = Worse(seed, 2000)
    heard, live = run(
        Exchange(server),
        lambda _, heard: 2001 in ids(heard),
        symbols=["BTC-USD"],
        redundant=redundant,
        silence_seconds=0.4,
    )
    came = [number for number in ids(heard) if isinstance(number, int)]
    assert len(came) == len(set(came))
    # Whatever was said before the last connection's last breath has come, but for what died with a connection.
    assert set(came) - {2001} <= server.said
    named = named_missing(caplog.text)
    lost = set(range(min(came), 2002)) - set(came)
    assert lost == {number for numbers in named for number in numbers} - set(came)
    assert live.tally.missing == len(lost)
    assert live.tally.garbage
    assert len(server.ends) == 6
