"""The client for results, on a real Kafka: only newer ones, corrections marked, and going on from a position."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import polars as pl
import pytest

from tickertape.agents.market.bars import Bar
from tickertape.agents.market.indicators.defaults.ema import Ema
from tickertape.agents.market.indicators.defaults.rsi import Rsi
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import ConfigError
from tickertape.stream.kafka.admin import topics
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka
from tickertape.stream.kafka.partition import partition_for
from tickertape.stream.results.read import read
from tickertape.stream.results.stream import Results, since_ms

pytestmark = pytest.mark.kafka

T0 = 1_700_000_000_000
PARTITIONS = 2


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    with EmbeddedKafka() as embedded:
        settings = Settings(broker=embedded.broker, partitions={"bars": PARTITIONS})
        topics.create(settings)
        yield settings


def bar(symbol: str, second: int, close: float, *, final: bool, revision: int, source: str = "all") -> Bar:
    values = dict.fromkeys(Bar.__struct_fields__, 0) | {"symbol": symbol, "source": source, "incomplete": False}
    return Bar(
        **values
        | {"resolution": "1s", "start_ms": T0 + 1000 * second, "close": close, "final": final, "revision": revision}
    )


def publish(settings: Settings, topic: str, *results: Any, kind: str = "") -> None:
    async def send() -> None:
        async with Producer(settings) as producer:
            for one in results:
                key = f"{one.symbol}|{one.source}|{one.resolution}|{one.start_ms}{kind and '|' + kind}".encode()
                partition = partition_for(one.symbol, PARTITIONS) if topic == "bars" else 0
                producer.send(topic, partition, key, msgspec.json.encode(one))
            await producer.flush()

    asyncio.run(send())


def first(n: int, results: Results) -> list[Any]:
    """Return the first n results."""

    async def take() -> list[Any]:
        found = []
        async for one in results:
            found.append(one)
            if len(found) == n:
                break
        return found

    return asyncio.run(asyncio.wait_for(take(), 30))


def test_a_reader_is_never_taken_back_and_hears_of_corrections(settings: Settings) -> None:
    publish(
        settings,
        "bars",
        bar("AAA", 0, 1.0, final=False, revision=1),
        bar("AAA", 0, 2.0, final=True, revision=2),
        bar("AAA", 0, 1.5, final=False, revision=3),  # of a worker that was frozen
        bar("AAA", 0, 3.0, final=True, revision=3),  # a source has woken up and corrects it
        bar("AAA", 0, 3.0, final=True, revision=3),  # a new owner says it again
        bar("AAA", 1, 4.0, final=True, revision=1),
    )
    found = first(4, Results("bars", settings=settings, symbols=["AAA"], since=T0))
    assert [(one.close, one.final, one.corrected) for one in found] == [
        (1.0, False, False),
        (2.0, True, False),
        (3.0, True, True),
        (4.0, True, False),
    ]
    assert isinstance(found[0], Bar)
    finals = first(3, Results("bars", settings=settings, symbols=["AAA"], since=T0, finals=True))
    assert [one.close for one in finals] == [2.0, 3.0, 4.0]


def test_from_a_position_each_comes_once_and_old_ones_stay_old(settings: Settings) -> None:
    publish(settings, "bars", *[bar("BBB", n, float(n), final=True, revision=2) for n in range(4)])
    results = Results("bars", settings=settings, symbols=["BBB"], since=T0, finals=True)
    assert [one.close for one in first(2, results)] == [0.0, 1.0]
    position = results.position
    # What a straggler says of a bar that came before the position is still older than it.
    publish(
        settings,
        "bars",
        bar("BBB", 0, 9.0, final=True, revision=1),
        bar("BBB", 1, 9.0, final=True, revision=3),
    )
    again = Results("bars", settings=settings, symbols=["BBB"], finals=True, position=position)
    found = first(3, again)
    assert [(one.close, one.corrected) for one in found] == [(2.0, False), (3.0, False), (9.0, True)]
    assert sum(again.position.values()) > sum(position.values())


def test_what_is_not_wanted_and_what_nobody_can_read_is_passed_over(settings: Settings) -> None:
    async def garbage() -> None:
        async with Producer(settings) as producer:
            for key in (None, b"CCC", b"CCC|all|1s|x", b"CCC|all|9s|0", f"CCC|all|1s|{T0}".encode()):
                producer.send("bars", partition_for("CCC", PARTITIONS), key, b"\xff no bar")
            await producer.flush()

    asyncio.run(garbage())
    publish(
        settings,
        "bars",
        bar("CCC", 0, 1.0, final=True, revision=1, source="north"),
        bar("CCC", -1, 2.0, final=True, revision=1),  # before the time that is asked for
        bar("CCC", 0, 3.0, final=True, revision=1),
    )
    (only,) = first(1, Results("bars", settings=settings, symbols=["CCC"], sources=["all"], since=T0))
    assert only.close == 3.0


def test_without_a_time_it_begins_now(settings: Settings) -> None:
    publish(settings, "bars", bar("DDD", 0, 1.0, final=True, revision=1))
    results = Results("bars", settings=settings, symbols=["DDD"])

    async def run() -> Any:
        stream = aiter(results)
        waiting = asyncio.ensure_future(anext(stream))
        while not results.position:  # noqa: ASYNC110 - it has begun then
            await asyncio.sleep(0.05)
        await asyncio.to_thread(publish, settings, "bars", bar("DDD", 1, 2.0, final=True, revision=1))
        return await asyncio.wait_for(waiting, 30)

    assert asyncio.run(run()).close == 2.0


def test_a_topic_as_a_table(settings: Settings) -> None:
    publish(
        settings,
        "bars",
        bar("EEE", 1, 2.0, final=True, revision=1),
        bar("EEE", 0, 1.0, final=True, revision=1),
        bar("EEE", 0, 1.5, final=True, revision=2),
        bar("EEE", 2, 3.0, final=False, revision=1),
    )
    table = read("bars", settings=settings, symbols=["EEE"])
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    assert frame.columns == list(Bar.__struct_fields__)
    assert frame.select("start_ms", "close", "revision").rows() == [(T0, 1.5, 2), (T0 + 1000, 2.0, 1)]
    assert read("bars", settings=settings, symbols=["EEE"], finals=False).num_rows == 3
    assert read("bars", settings=settings, symbols=["EEE"], since=T0 + 1000).num_rows == 1
    assert read("bars", settings=settings, symbols=["nobody"]).num_rows == 0


def test_kinds_of_one_topic_are_one_table(settings: Settings) -> None:
    same = {"symbol": "FFF", "source": "all", "resolution": "1m", "start_ms": T0, "close": 1.0, "final": True}
    publish(settings, "indicators", Ema(**same, fast=1.0, slow=2.0, revision=1, incomplete=False), kind="ema")
    publish(settings, "indicators", Rsi(**same, rsi=50.0, revision=1, incomplete=False), kind="rsi")
    found = read("indicators", settings=settings, symbols=["FFF"])
    rows = {row["kind"]: row for row in found.to_pylist()}
    assert (rows["ema"]["slow"], rows["ema"]["rsi"]) == (2.0, None)
    assert (rows["rsi"]["slow"], rows["rsi"]["rsi"]) == (None, 50.0)
    one = read("indicators", settings=settings, symbols=["FFF"], kinds=["rsi"])
    assert "kind" not in one.column_names
    assert one.column("rsi").to_pylist() == [50.0]


def test_a_table_can_be_read_inside_a_running_loop(settings: Settings) -> None:
    publish(settings, "bars", bar("GGG", 0, 1.0, final=True, revision=1))

    async def notebook() -> int:
        return read("bars", settings=settings, symbols=["GGG"]).num_rows

    assert asyncio.run(notebook()) == 1


@pytest.mark.parametrize(
    ("topic", "wanted", "told"),
    [
        ("trades", {}, "trades: not a sink; choose one of bars, indicators, quote-bars, rolling, "),
        ("bars", {"resolutions": ["7m"]}, "resolutions: bars has no 7m; it has 1s, 1m, 5m, 15m, 1h"),
        ("indicators", {"kinds": ["macd"]}, "kinds: indicators has no macd; it has "),
        ("bars", {"since": datetime(2024, 1, 1)}, "since: .* has no time zone; give it one, for example datetime.UTC"),
    ],
)
def test_what_does_not_exist_is_told_of(topic: str, wanted: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Results(topic, settings=Settings(broker="127.0.0.1:9"), **wanted)


def test_a_broker_has_to_be_set() -> None:
    with pytest.raises(ConfigError, match="no broker is set"):
        Results("bars", settings=Settings())


def test_times() -> None:
    assert since_ms(datetime(2024, 1, 1, tzinfo=UTC)) == 1_704_067_200_000
    assert since_ms(5) == 5
    ago_ms = since_ms(timedelta(hours=1))
    assert abs(datetime.now(UTC).timestamp() * 1000 - ago_ms - 3_600_000) < 60_000
