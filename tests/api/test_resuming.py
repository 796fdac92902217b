"""Streams that are cut and resumed on a real Kafka, further back than memory reaches."""

import asyncio
from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec
import pytest

from tests.recent.published import made_topics, of, publish, reading, run
from tickertape.stream.api.asked import position_in
from tickertape.stream.api.following import FellBehind, Following, as_message
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.recent import rounds
from tickertape.stream.recent.history import History
from tickertape.stream.recent.recent import Recent
from tickertape.stream.recent.rounds import Position
from tickertape.stream.recent.selection import Selection
from tickertape.stream.recent.tailing import Tail

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    with made_topics() as settings:
        yield settings


def test_a_reader_that_is_far_behind_reads_the_topic_and_joins_those_who_follow(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From any position each result comes on, rising, and ends as the newest; corrections of finals are marked."""
    monkeypatch.setattr(rounds, "MOST_SECONDS", 0.0)
    random = Random(7)

    async def work(producer: Producer) -> None:
        newest: dict[tuple[str, int], tuple[bool, int]] = {}
        ended = asyncio.Event()
        behind: list[Position] = []

        async def feed() -> None:
            # Until the topic itself has been read some times, because memory no longer reached back.
            number = 0
            while len(behind) < 4:
                number += 1
                some = []
                for _ in range(random.randrange(30)):
                    one = of(
                        random.choice(["XA", "XB", "XC"]), number // 3 + random.randrange(3), random.randrange(1, 20)
                    )
                    one["final"] = random.random() < 0.3
                    some.append(one)
                    result, rank = (one["symbol"], one["start_ms"]), (one["final"], one["revision"])
                    newest[result] = max(newest.get(result, (False, 0)), rank)
                await publish(producer, *some)
                await asyncio.sleep(0.03)
            ended.set()

        async with reading(settings) as recent:
            feeding = asyncio.create_task(feed())
            got, last = await read_in_pieces(settings, recent, random, ended, behind)
            await feeding
        seen: dict[tuple[str, int], tuple[bool, int]] = {}
        for one in got:
            result, rank = (one["symbol"], one["start_ms"]), (one["final"], one["revision"])
            assert rank > seen.get(result, (False, 0))
            assert one.get("corrected", False) or not seen.get(result, (False, 0))[0]
            seen[result] = rank
        assert seen == newest
        assert sum(last.values()) > 500

    run(work, settings)


async def read_in_pieces(
    settings: Settings, recent: Recent, random: Random, ended: asyncio.Event, behind: list[Position]
) -> tuple[list[dict[str, Any]], Position]:
    """Follow the symbols of a test; the stream is cut at random, and resumed after a while from its last id."""
    wanted = Selection(symbols=frozenset({"XA", "XB", "XC"}))
    got: list[dict[str, Any]] = []
    position = dict(recent.rounds["bars"].position)
    while True:
        was_ended = ended.is_set()
        end = {tp.partition: offset for tp, offset in (await ends(settings)).items()}
        if any(position.get(number, 0) < offset for number, offset in recent.rounds["bars"].begins.items()):
            behind.append(position)
        following = Following(recent, History(settings), recent.sinks["bars"], wanted, as_message, position)
        parts = following.parts()
        for _ in range(random.randrange(1, 4)):
            try:
                async with asyncio.timeout(10):
                    message = msgspec.json.decode(await anext(parts))
            except FellBehind:
                break
            got += message["results"]
            position = position_in(message["id"])
        await parts.aclose()
        if was_ended and all(position.get(number, 0) >= offset for number, offset in end.items()):
            return got, position
        await asyncio.sleep(random.random() * 0.3)


async def ends(settings: Settings) -> Any:
    async with Tail(settings, ["bars"]) as tail:
        return await tail.ends()
