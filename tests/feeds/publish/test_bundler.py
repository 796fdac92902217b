"""What a feed sends in bundles is what it sends one by one, in the same partitions and the same order."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from random import Random
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from tests.feeds.recorder import KINDS, Record, Recorder
from tickertape.schemas import bundle
from tickertape.schemas.bundle import MOST_EVENTS
from tickertape.schemas.post import Post
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.bundles.unpacking import Unpacked, events_in
from tickertape.stream.command_line.cli import cli
from tickertape.stream.errors import BrokerError
from tickertape.stream.feeds.publish.bundler import MOST_BYTES, Bundler
from tickertape.stream.feeds.publish.publisher import Publisher

NOW_MS = 1_723_161_600_000


def trade(number: int, time_ms: int = NOW_MS, symbol: str = "BTC-USDT", source: str = "sim") -> Trade:
    return Trade(id=number, symbol=symbol, source=source, time_ms=time_ms, price=60_214.8, quantity=0.5, side="buy")


def taken_apart(records: Sequence[Record]) -> dict[tuple[str, int], list[Any]]:
    """Return the events and heartbeats of each partition, in order."""
    found: dict[tuple[str, int], list[Any]] = defaultdict(list)
    for record in records:
        into = found[record.topic, record.partition]
        decode = msgspec.json.Decoder(KINDS[record.topic]).decode
        if bundle.from_headers(record.headers) is not None:
            held = Unpacked(record.value or b"", events_in(record.headers))
            assert record.key is None
            assert len(held) > 1
            into += [decode(held.json(at)) for at in range(len(held))]
        else:
            into.append(record.headers if record.value is None else decode(record.value))
    return found


def market(random: Random) -> list[list[Any]]:
    """Return batches of events of several kinds, symbols and sources, out of order and early too."""
    batches: list[list[Any]] = []
    number = 0
    for _ in range(random.randrange(1, 20)):
        batch: list[Any] = []
        for _ in range(random.randrange(12)):
            number += 1
            time_ms = NOW_MS + number * 10 + random.choice((0, -500, 90_000, 10**7))
            symbol, source = random.choice(("BTC-USDT", "ETH-USDT", "A", "B", "C")), random.choice(("sim", "real"))
            common = {"source": source, "id": number, "time_ms": time_ms, "received_ms": NOW_MS + number * 10}
            batch.append(
                random.choice(
                    (
                        trade(number, time_ms, symbol, source),
                        Quote(symbol=symbol, bid=1.5, bid_quantity=1.0, ask=1.75, ask_quantity=2.0, **common),
                        Post(author=symbol, text="x", tags=("y",), **common),
                    )
                )
            )
        batches.append(batch)
    return batches


@pytest.mark.parametrize("seed", range(20))
def test_bundles_hold_what_is_sent_one_by_one(seed: int) -> None:
    batches = market(Random(seed))

    async def given() -> AsyncIterator[Sequence[Any]]:
        for batch in batches:
            yield batch
            await asyncio.sleep(0.001)

    single, bundled = Recorder(partitions=3), Recorder(partitions=3)
    for records in (single, Bundler(bundled, 0.004)):
        publisher = Publisher(records, heartbeat_seconds=60, spread={"A": 2})
        asyncio.run(publisher.feed(given(), close=bool(seed % 2)))
    # Also the heartbeats: of a new source before its first event, and at the end behind the last one.
    assert taken_apart(bundled.records) == taken_apart(single.records)
    assert bundled.flushed == len(bundled.records)


def bundled(puts: Sequence[Trade], *, wait_seconds: float = 0.0, seconds: float = 0.01) -> Recorder:
    recorder = Recorder()

    async def run() -> None:
        made = Bundler(recorder, seconds)
        for event in puts:
            made.put("trades", 1, event.symbol.encode(), event)
        await asyncio.sleep(wait_seconds)

    asyncio.run(run())
    return recorder


def test_events_wait_for_others_but_not_for_long() -> None:
    assert bundled([trade(1), trade(2)]).records == []
    (record,) = bundled([trade(1), trade(2)], wait_seconds=0.1).records
    assert (record.topic, record.partition, record.key) == ("trades", 1, None)
    assert record.headers == [("bundle", b'{"version":1,"events":2}')]


def test_an_event_that_is_alone_is_a_record_as_ever() -> None:
    (record,) = bundled([trade(1)], wait_seconds=0.1).records
    assert record == Record("trades", 1, b"BTC-USDT", msgspec.json.encode(trade(1)), [])


def test_a_bundle_has_no_more_events_than_readers_take() -> None:
    records = bundled([trade(n) for n in range(MOST_EVENTS + 2)], wait_seconds=0.1).records
    assert [events_in(record.headers) for record in records] == [MOST_EVENTS, 2]


def test_a_large_bundle_is_sent_in_halves() -> None:
    recorder = Recorder()
    posts = [
        Post(author="a", source="s", id=n, time_ms=NOW_MS, text=f"{n % 10}" * 30_000 + f"{n}", symbols=("A",))
        for n in range(30)
    ]

    async def run() -> None:
        made = Bundler(recorder, 60)
        for post in posts:
            made.put("posts", 0, b"a", post)
        await made.flush()

    asyncio.run(run())
    assert len(recorder.records) == 4
    assert all(len(record.value or b"") <= MOST_BYTES for record in recorder.records)
    assert taken_apart(recorder.records)["posts", 0] == posts


def test_a_heartbeat_does_not_overtake_the_events_of_its_partition() -> None:
    recorder = Recorder()

    async def run() -> None:
        made = Bundler(recorder, 60)
        for number in range(3):
            made.put("trades", 0, b"A", trade(number))
            made.put("trades", 1, b"B", trade(number + 10))
        made.send("trades", 0, None, None, [("heartbeat", b"{}")])

    asyncio.run(run())
    assert [(record.partition, events_in(record.headers)) for record in recorder.records] == [(0, 3), (0, 1)]
    assert recorder.records[1].value is None


def test_a_producer_that_has_failed_says_so_to_the_next_one_who_asks() -> None:
    class Gone(Recorder):
        def send(self, *_: Any) -> None:
            raise BrokerError("gone")

    async def run() -> None:
        made = Bundler(Gone(), 0.001)
        made.put("trades", 0, b"A", trade(1))
        await asyncio.sleep(0.05)
        made.put("trades", 0, b"A", trade(2))
        with pytest.raises(BrokerError, match="gone"):
            await made.flush()

    asyncio.run(run())


@pytest.mark.parametrize("given", ["5", "0ms", "-1ms", "2s", "5 ms", "max", "nan", "1e3ms", "ms"])
def test_the_time_is_in_milliseconds_or_seconds(given: str) -> None:
    told = CliRunner().invoke(cli, ["feed", "simulate", "--bundle", given])
    assert told.exit_code == 2
    assert f"{given!r} is not a time of up to 1 s, for example 5ms" in told.output
