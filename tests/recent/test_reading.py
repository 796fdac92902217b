"""Reading sinks from a real Kafka: the past, what comes, and what memory no longer has."""

import asyncio
import time
from collections.abc import Iterator

import msgspec
import pytest

from tests.recent.published import EVER_MS, NOW_MS, made_topics, of, publish, reading, rows, run, until
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.recent.history import Gone, History, TooMuch
from tickertape.stream.recent.selection import Selection
from tickertape.stream.recent.sinks import sinks_of

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    with made_topics() as settings:
        yield settings


def test_what_was_there_and_what_comes_is_held_and_garbage_is_passed_over(settings: Settings) -> None:
    async def work(producer: Producer) -> None:
        await publish(producer, of("HA", 0, 1), of("HA", 0, 3, final=True), b"garbage", of("HB", 0, 1))
        async with reading(settings) as recent:
            wanted = Selection(symbols=frozenset({"HA", "HB"}))
            assert rows(recent.between("bars", wanted, 0, EVER_MS)) == [
                ("HA", 0, True, 3, False),
                ("HB", 0, False, 1, False),
            ]
            assert recent.unreadable == 1
            await publish(producer, of("HA", 0, 2), of("HA", 0, 4, final=True), of("HB", 0, 2))
            series = {one.symbol: one for topic, one in recent.series if topic == "bars"}
            await until(recent, lambda: recent.shelves.shelf("bars", "", "1s").newest[series["HB"]].revision == 2)  # type: ignore[union-attr]  # there is one
            await until(recent, lambda: recent.shelves.shelf("bars", "", "1s").newest[series["HA"]].revision == 4)  # type: ignore[union-attr]  # there is one
            assert rows(recent.between("bars", wanted, 0, EVER_MS)) == [
                ("HA", 0, True, 4, True),
                ("HB", 0, False, 2, False),
            ]

    run(work, settings)


def test_reading_begins_some_time_ago_and_memory_knows_from_when_on_it_is_whole(settings: Settings) -> None:
    async def work(producer: Producer) -> None:
        await publish(producer, of("PA", 0, 1, final=True))
        await asyncio.sleep(1.2)
        await publish(producer, of("PA", 1, 1, final=True))
        brief = msgspec.structs.replace(settings, recent_seconds=1.0, horizon_ms=0, skew_ms=0)
        async with reading(brief) as recent:
            wanted = Selection(symbols=frozenset({"PA"}))
            # Corrections reach further back than a second, so that more is read than was asked for.
            assert rows(recent.between("bars", wanted, 0, EVER_MS))[-1] == ("PA", 1, True, 1, False)
            assert recent.complete_from_ms("bars", wanted) == 0, "the log is younger than that"

    run(work, settings)


def test_older_results_are_read_from_the_topic_as_they_were_known_then(settings: Settings) -> None:
    async def work(producer: Producer) -> None:
        history = History(settings)
        sink = sinks_of(settings)["bars"]
        wanted = Selection(symbols=frozenset({"OA"}))
        await publish(producer, of("OA", 0, 1), of("OA", 0, 2, final=True), of("OA", 1, 1))
        await asyncio.sleep(0.05)
        between_ms = int(time.time() * 1000)
        await asyncio.sleep(0.05)
        await publish(producer, of("OA", 0, 3, final=True), of("OA", 1, 5, final=True), of("OA", 2, 1))
        now = await history.between(sink, wanted, NOW_MS, NOW_MS + 2000)
        assert rows(now) == [("OA", 0, True, 3, True), ("OA", 1, True, 5, False)]
        then = await history.between(sink, wanted, 0, EVER_MS, between_ms)
        assert rows(then) == [("OA", 0, True, 2, False), ("OA", 1, False, 1, False)]
        finals = await history.between(sink, Selection(symbols=frozenset({"OA"}), finals=True), 0, EVER_MS, between_ms)
        assert rows(finals) == [("OA", 0, True, 2, False)]
        with pytest.raises(TooMuch, match=r"more than 0\.001 s"):
            await History(settings, 0.001).between(sink, wanted, 0, EVER_MS)

    run(work, settings)


def test_a_position_that_the_topic_never_had_is_told(settings: Settings) -> None:
    async def work(_: Producer) -> None:
        history, sink = History(settings), sinks_of(settings)["bars"]
        with pytest.raises(Gone, match="it was made anew"):
            await history.check("bars", {0: 1 << 40})
        with pytest.raises(Gone, match="it was made anew"):
            async for _ in history.since(sink, Selection(), {0: 1 << 40}, lambda: {1: 1}):
                pass

    run(work, settings)
