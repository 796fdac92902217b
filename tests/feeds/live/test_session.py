"""A source that is asked for streams: each is awaited, watched and asked for again."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import aclosing
from http import HTTPStatus

import pytest
from msgspec.structs import replace
from websockets.asyncio.server import ServerConnection

from tests.feeds.exchange import Exchange, Script, beats, breaks, refusal, says, stays
from tests.feeds.live.acme import (
    HEARTBEAT,
    Acme,
    Desk,
    Enough,
    InTheAddress,
    WithTexts,
    beside,
    counts,
    ids,
    run,
    trade,
)
from tests.feeds.live.test_live import PATIENCE
from tickertape.schemas.events import Event
from tickertape.stream.feeds.live import silence, subscriptions
from tickertape.stream.feeds.live.live import Live
from tickertape.stream.telemetry.registries import FEED

pytestmark = pytest.mark.usefixtures("fast")


def asked_again(desk: Desk, message: str, times: int = 2) -> Enough:
    return lambda *_: desk.asked.count(message) >= times


def shown(name: str, **labels: str) -> float | None:
    """Return what a metric says."""
    return FEED.get_sample_value(f"tickertape_feed_{name}", {"source": "acme"} | labels)


def test_streams_are_asked_for_and_their_events_come() -> None:
    def is_shown() -> bool:
        states = {state: shown("streams", state=state) for state in ("awaited", "confirmed", "refused", "silent")}
        return states == {"awaited": 0, "confirmed": 2, "refused": 0, "silent": 0} and shown("connections") == 1

    desk = Desk(once=beside(says(trade(1), trade(1, "ETH-USD"), then=stays)))
    heard, live = run(Exchange(desk), lambda _, heard: is_shown() and len(heard) == 2, silence_seconds=30.0)
    assert desk.asked == ["subscribe BTC_USD,ETH_USD"]
    assert (ids(heard), ids(heard, "ETH-USD")) == ([1], [1])
    # Answers are no garbage.
    assert (live.tally.others, live.tally.garbage) == ({"subscribed": 2}, 0)


def test_messages_are_sent_no_faster_than_allowed() -> None:
    times: list[float] = []

    class Slow(Acme):
        messages_per_second = 20.0

        def __init__(self, url: str, symbols: Sequence[str]) -> None:
            super().__init__(url, symbols, most_asked=1)

    async def script(socket: ServerConnection) -> None:
        while await socket.recv():
            times.append(asyncio.get_running_loop().time())

    run(Exchange(script), lambda *_: len(times) == 5, Slow, [f"S{n}-USD" for n in range(5)])
    # Four pauses of 50 ms; the last may come sooner after one that came late.
    assert times[-1] - times[0] > 0.15


def test_a_subscription_that_fails_alone_is_told_and_retried_while_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk(refused={"NO_USD"}, once=beside(counts()))
    heard, live = run(Exchange(desk), asked_again(desk, "subscribe NO_USD"), symbols=("BTC-USD", "NO-USD"))
    assert desk.asked[0] == "subscribe BTC_USD,NO_USD"
    # Its words come once.
    assert [message for message in caplog.messages if "refused" in message] == [
        "acme: refused: trades of NO-USD (NO_USD doesn't exist); it is asked for again after 0.2 s, then ever more "
        "rarely"
    ]
    assert len(heard) > 5
    assert (live.tally.missing, live.tally.reconnects) == (0, 0)


def test_one_that_is_never_answered_is_told_and_retried(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(mute={"NO_USD"}, once=beside(counts()))
    run(Exchange(desk), asked_again(desk, "subscribe NO_USD"), symbols=("BTC-USD", "NO-USD"))
    assert (
        "acme: refused: trades of NO-USD (no answer); it is asked for again after 0.2 s, then ever more rarely"
        in caplog.messages
    )


def test_on_a_new_connection_everything_is_asked_for_again() -> None:
    desks = Desk(once=beside(says(trade(1), then=breaks))), Desk(once=beside(says(trade(2), then=stays)))
    run(Exchange(*desks), lambda _, heard: ids(heard) == [1, 2])
    assert desks[1].asked == ["subscribe BTC_USD,ETH_USD"]


def test_a_route_that_says_nothing_is_named_asked_for_again_and_then_renewed(caplog: pytest.LogCaptureFixture) -> None:
    """All is confirmed, heartbeats come and pings are answered, but not one event of a symbol."""
    desk = Desk(once=beside(beats(HEARTBEAT)))
    exchange = Exchange(desk)
    _, live = run(exchange, lambda *_: len(exchange.asked) == 2, silence_seconds=0.5)
    assert desk.asked[:3] == ["subscribe BTC_USD,ETH_USD", "unsubscribe BTC_USD,ETH_USD", "subscribe BTC_USD,ETH_USD"]
    told = [message for message in caplog.messages if "silent" in message]
    assert [message.rpartition("; ")[2] for message in told[:2]] == ["asked for again", "the connection is renewed"]
    assert told[0].startswith("acme: silent: trades of BTC-USD, trades of ETH-USD, for ")
    assert live.tally.others["heartbeat"] > 10


def test_one_symbol_that_falls_silent_is_found_while_another_speaks(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(silence, "LEAST_SECONDS", 0.5)
    counted = [trade(number, "ETH-USD") for number in range(1, 61)]

    async def both(socket: ServerConnection) -> None:
        # One stops after sixty trades; the other goes on.
        for number, message in enumerate(counted, 1):
            await socket.send(message)
            await socket.send(trade(number))
            await asyncio.sleep(0.02)
        await counts(first=61)(socket)

    begun: list[str] = []

    async def once(socket: ServerConnection, names: list[str]) -> None:
        if not begun:
            await beside(both)(socket, names)
        begun.append(",".join(names))

    desk = Desk(once=once)
    heard, live = run(Exchange(desk), lambda *_: len(begun) == 2, silence_seconds=30.0)
    # Long before the time for a stream of which nothing is known.
    assert begun[1] == "ETH_USD"
    assert "acme: silent: trades of ETH-USD, for " in caplog.text
    assert ids(heard) == list(range(1, len(ids(heard)) + 1))
    assert live.tally.reconnects == 0


def test_where_streams_are_in_the_address_the_connection_is_renewed_at_once(caplog: pytest.LogCaptureFixture) -> None:
    exchange = Exchange(says(trade(1), then=beats(HEARTBEAT)))
    run(exchange, lambda *_: len(exchange.asked) == 2, InTheAddress, silence_seconds=0.5)
    (told, *_) = (message for message in caplog.messages if "silent" in message)
    assert told.startswith("acme: silent: trades of ")
    assert told.endswith("the connection is renewed")


def test_a_connection_that_was_renewed_lately_is_not_renewed_for_one_of_two(caplog: pytest.LogCaptureFixture) -> None:
    exchange = Exchange(counts())
    run(exchange, lambda *_: "renewed lately" in caplog.text, InTheAddress, silence_seconds=1.0)
    assert len(exchange.asked) == 2
    told = [message for message in caplog.messages if "silent" in message]
    assert all("ETH-USD" in message and "BTC-USD" not in message for message in told)
    assert [message.rpartition("; ")[2] for message in told] == [
        "the connection is renewed",
        "the connection was renewed lately",
    ]


def test_a_new_connection_brings_all_before_the_old_one_is_closed() -> None:
    """The second answers only after a while; until then the first goes on."""
    release = asyncio.Event()

    async def slow(socket: ServerConnection) -> None:
        await socket.send(HEARTBEAT)
        async for _ in socket:
            async with asyncio.timeout(10):
                await release.wait()
            for name in ("BTC_USD", "ETH_USD"):
                await socket.send(json.dumps({"event": "subscribed", "arg": name}))

    exchange = Exchange(Desk(once=beside(counts())), slow)
    seen: list[tuple[int, int]] = []

    def enough(live: Live, heard: list[Event]) -> bool:
        if live.tally.reconnects and not release.is_set():
            seen.append((live.tally.connections, len(heard)))
            if len(seen) > 60:
                release.set()
        return len(exchange.ended) == 1

    run(exchange, enough, renew_seconds=1.0, overlap_seconds=0.05, silence_seconds=30.0)
    # Both were open, and the first was heard all the while: at least as long as the overlap, twice over.
    assert {connections for connections, _ in seen} == {2}
    assert seen[-1][1] - seen[0][1] > 10
    assert exchange.ended[0] == 1000


def test_pings_of_the_client_are_sent_and_their_pongs_are_no_data(caplog: pytest.LogCaptureFixture) -> None:
    class Pinging(Acme):
        ping = ("ping", 0.05)

    desk = Desk(once=beside(says(trade(1), trade(1, "ETH-USD"), then=stays)))
    _, live = run(Exchange(desk), lambda *_: "silent" in caplog.text, Pinging, silence_seconds=0.6)
    assert desk.asked.count("ping") >= 5
    assert live.tally.garbage == 0
    assert live.tally.others["pong"] >= 5
    # The connection was never without a message, and its streams were silent all the same.
    assert "nothing came" not in caplog.text
    assert "silent" in caplog.text


def test_a_connection_on_which_nothing_is_answered_is_renewed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(subscriptions, "ANSWER_SECONDS", 0.1)
    # Its reader hangs; pings are answered all the same, and heartbeats come.
    exchange = Exchange(beats(HEARTBEAT), Desk(once=beside(says(trade(1), then=stays))))
    run(exchange, lambda _, heard: ids(heard) == [1])
    assert "acme: nothing is answered; the connection is renewed" in caplog.messages


def test_while_there_is_no_connection_nothing_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    exchange = Exchange(
        Desk(once=beside(says(trade(1), then=breaks))),
        refusal(HTTPStatus.SERVICE_UNAVAILABLE, "", Retry_After="1"),
        stays,
    )
    run(exchange, lambda *_: len(exchange.asked) == 3, silence_seconds=0.3)
    assert "silent" not in caplog.text


def test_two_connections_at_once_lose_nothing_that_one_of_them_has() -> None:
    """Each leaves out every third trade, at another place."""

    def lossy(skip: int) -> Script:
        async def script(socket: ServerConnection) -> None:
            for number in range(1, 301):
                if number % 3 != skip:
                    await socket.send(trade(number))
                await asyncio.sleep(0.001)
            await stays(socket)

        return script

    exchange = Exchange(Desk(once=beside(lossy(0))), Desk(once=beside(lossy(1))))
    heard, live = run(
        exchange,
        lambda live, heard: live.tally.repeats == 100 and len(heard) == 300,
        symbols=["BTC-USD"],
        redundant=True,
        silence_seconds=30.0,
    )
    assert sorted(ids(heard)) == list(range(1, 301))
    assert len(exchange.asked) == 2
    # Of three, each had two, and both had one.
    assert (live.tally.missing, live.tally.repeats) == (0, 100)


def test_ids_that_are_texts_are_taken_once_too() -> None:
    names = [f"{number:08x}-uuid" for number in range(50)]
    exchange = Exchange(Desk(once=beside(says(*map(trade, names), then=stays))))
    heard, live = run(
        exchange, lambda live, _: live.tally.repeats == 50, WithTexts, redundant=True, silence_seconds=30.0
    )
    assert ids(heard) == names
    assert live.tally.missing == 0


def test_silence_is_not_told_from_what_waits_for_kafka(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody takes the events for a while, so messages wait undecoded."""
    monkeypatch.setattr(silence, "LEAST_SECONDS", 0.3)
    exchange = Exchange(Desk(once=beside(counts())))

    async def scenario() -> Live:
        async with exchange.open():
            live = Live(Acme(exchange.url, ["BTC-USD"]), replace(PATIENCE, silence_seconds=0.4), buffer_bytes=1 << 20)
            async with asyncio.timeout(20), aclosing(live.batches()) as batches:
                seen = 0
                async for events in batches:
                    seen += len(events)
                    if seen > 50:
                        break
                await asyncio.sleep(1.5)
            return live

    live = asyncio.run(scenario())
    assert "silent" not in caplog.text
    assert live.tally.reconnects == 0
