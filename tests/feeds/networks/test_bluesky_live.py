"""A Jetstream that breaks off, forgets and floods: posts go on from where they were."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.asyncio.server import ServerConnection

from tests.feeds.exchange import Exchange, post, stays
from tickertape.schemas.events import Event
from tickertape.stream.feeds.define.registry import format_named
from tickertape.stream.feeds.files import reading as files
from tickertape.stream.feeds.live.connection import Patience
from tickertape.stream.feeds.live.live import Live
from tickertape.stream.feeds.networks.bluesky_live import Bluesky
from tickertape.stream.feeds.tally import Tally

START_US = 1_783_175_889_000_000
SECOND_US = 1_000_000
PATIENCE = Patience(silence_seconds=2.0, healthy_seconds=0.0, first_wait_seconds=0.01, longest_wait_seconds=0.05)


class Jetstream:
    """Says what it keeps from the cursor on, which is some events before it breaks off.

    Attributes
    ----------
    kept
        Times of all that it keeps.
    """

    def __init__(self, kept: Sequence[int], a_call: int) -> None:
        self.kept = kept
        self._a_call = a_call

    def cursor(self, socket: ServerConnection) -> int:
        """Return where a connection is to begin."""
        assert socket.request is not None
        query = parse_qs(urlsplit(socket.request.path).query)
        assert query["wantedCollections"] == ["app.bsky.feed.post"]
        return int(query.get("cursor", ["0"])[0])

    async def __call__(self, socket: ServerConnection) -> None:
        cursor = self.cursor(socket)
        for time_us in [time_us for time_us in self.kept if time_us >= cursor][: self._a_call]:
            await socket.send(post(time_us))
        if cursor + self._a_call * SECOND_US > self.kept[-1]:
            await stays(socket)


def live(exchange: Exchange, buffer_bytes: int = 1 << 20, folder: Path | None = None) -> Live:
    return Live(Bluesky(exchange.url), PATIENCE, buffer_bytes=buffer_bytes, folder=folder)


async def hear(live: Live, last_us: int, pause_seconds: float = 0.0) -> list[Event]:
    heard: list[Event] = []
    async with asyncio.timeout(10), aclosing(live.batches()) as batches:
        async for events in batches:
            heard += events
            await asyncio.sleep(pause_seconds)
            if any(event.received_ms == last_us // 1000 for event in events):
                return heard
    raise AssertionError("it has no end")


def times_us(events: Sequence[Event]) -> list[int]:
    return [event.received_ms * 1000 for event in events]


def test_each_call_goes_on_some_seconds_before_the_last_that_came(tmp_path: Path) -> None:
    kept = [START_US + n * SECOND_US for n in range(30)]
    exchange = Exchange(Jetstream(kept, a_call=12))

    async def scenario() -> list[Event]:
        async with exchange.open():
            return await hear(live(exchange, folder=tmp_path), kept[-1])

    heard = asyncio.run(scenario())
    cursors = [parse_qs(urlsplit(path).query).get("cursor") for path in exchange.asked]
    # After 0 to 11, 6 to 17, 12 to 23, each time five seconds back.
    assert cursors == [None, *([str(START_US + n * SECOND_US)] for n in (6, 12, 18))]
    assert list(dict.fromkeys(times_us(heard))) == kept
    # What came again is the same to the last bit: so it counts once.
    assert len(heard) == 30 + 6 + 6 + 6
    assert len({(event.received_ms, repr(event)) for event in heard}) == 30
    # So it is when what was recorded is played back.
    assert list(files.read(sorted(tmp_path.iterdir()), format_named("jetstream", ()), Tally())) == heard


def test_a_feed_begins_where_it_is_told_and_a_gap_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    kept = [START_US + n * SECOND_US for n in range(100, 110)]
    exchange = Exchange(Jetstream(kept, a_call=100))

    async def scenario() -> Live:
        async with exchange.open():
            resumed = live(exchange)
            resumed.position = START_US + 7 * SECOND_US
            await hear(resumed, kept[-1])
            return resumed

    assert asyncio.run(scenario()).tally.leaps == 1
    assert f"cursor={START_US + 2 * SECOND_US}" in exchange.asked[0]
    between = f"between position {START_US + 7 * SECOND_US} and {kept[0]}"
    assert f"bluesky: messages are missing {between}: the source has not kept them" in caplog.messages


def test_what_floods_is_hung_up_on_and_asked_for_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "stream")
    kept = [START_US + n * SECOND_US for n in range(300)]
    exchange = Exchange(Jetstream(kept, a_call=1000))

    async def scenario() -> tuple[list[Event], Live]:
        async with exchange.open():
            # SourceLimit for some sixty.
            flooded = live(exchange, buffer_bytes=30_000)
            return await hear(flooded, kept[-1], pause_seconds=0.02), flooded

    heard, flooded = asyncio.run(scenario())
    assert list(dict.fromkeys(times_us(heard))) == kept
    assert flooded.tally.dropped == 0
    assert len(exchange.asked) > 2
    assert "bluesky: closed, as the buffer is full; it resumes from here once there is room" in caplog.messages
