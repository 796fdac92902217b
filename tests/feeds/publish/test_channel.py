"""A feed's way into one topic: where events go, and what heartbeats say of them."""

import asyncio

import pytest

from tests.feeds.recorder import Recorder
from tickertape.schemas.control import Step
from tickertape.schemas.topics import HOUR_MS, TRADES
from tickertape.schemas.trade import Trade
from tickertape.stream.errors import BrokerError
from tickertape.stream.feeds.publish import channel
from tickertape.stream.feeds.publish.channel import Channel
from tickertape.stream.kafka.partition import partition_for

NOW_MS = 1_723_161_600_000
BTC = "BTC-USDT"


def trade(number: int, time_ms: int, received_ms: int = 0) -> Trade:
    fixed = {"symbol": BTC, "source": "sim", "price": 1.0, "quantity": 1.0, "side": "buy"}
    return Trade(id=number, time_ms=time_ms, received_ms=received_ms, **fixed)


def opened(recorder: Recorder, *steps: Step, spread: dict[str, int] | None = None) -> Channel:
    async def run() -> Channel:
        made = Channel(
            recorder, TRADES, spread=spread or {}, disorder_ms=100, skew_ms=5000, now_ms=lambda: NOW_MS + 60_000
        )
        await made.look()
        await made.open(steps)
        return made

    return asyncio.run(run())


def test_events_go_where_kafkas_own_partitioner_sends_their_key() -> None:
    recorder = Recorder(partitions=3)
    made = opened(recorder)
    made.send([trade(1, NOW_MS), trade(2, NOW_MS + 5)])
    mine = [record for record in recorder.records if record.value is not None]
    assert {record.partition for record in mine} == {partition_for(BTC, 3)}
    assert [record.key for record in mine] == [BTC.encode()] * 2
    assert (made.events, made.newest_ms) == (2, NOW_MS + 5)


def test_a_hot_key_is_spread_by_the_events_ids_alone() -> None:
    one, again = Recorder(partitions=8), Recorder(partitions=8)
    for recorder, numbers in ((one, range(100)), (again, reversed(range(100)))):
        opened(recorder, spread={BTC: 4}).send([trade(number, NOW_MS) for number in numbers])
    places = [
        {record.value: record.partition for record in recorder.records if record.value is not None}
        for recorder in (one, again)
    ]
    assert places[0] == places[1]
    first = partition_for(BTC, 8)
    assert set(places[0].values()) == {(first + n) % 8 for n in range(4)}


def test_a_source_is_announced_to_all_partitions_before_its_first_event() -> None:
    recorder = Recorder(partitions=2)
    opened(recorder).send([trade(1, NOW_MS)])
    # An hour and the disorder before it, so that no window it may belong to is closed.
    opens = [(partition, "♥sim", NOW_MS - HOUR_MS - 100) for partition in range(2)]
    assert recorder.steps() == [*opens, (partition_for(BTC, 2), BTC, NOW_MS)]
    assert recorder.counts() == [2, 2]


def test_heartbeats_say_less_than_the_disorder_and_never_more_than_was_received() -> None:
    recorder = Recorder(partitions=1)
    made = opened(recorder)
    # By its own clock it is three seconds ahead of its receipt: within the skew, but no word on what is to come.
    made.send([trade(1, NOW_MS + 3000, received_ms=NOW_MS)])
    recorder.records.clear()
    made.beat()
    assert recorder.steps() == [(0, "♥sim", NOW_MS - 100)]
    # One that is a day ahead will be rejected, and moves nothing.
    made.send([trade(2, NOW_MS + 86_400_000, received_ms=NOW_MS)])
    recorder.records.clear()
    made.beat()
    assert recorder.steps() == [(0, "♥sim", NOW_MS - 100)]
    # At the end there is nothing to follow: the newest event's own time counts.
    recorder.records.clear()
    made.close()
    assert recorder.steps() == [(0, "♥sim", NOW_MS + 3000)]
    assert recorder.ends() == [True]


def test_partitions_that_the_schedule_has_and_kafka_not_are_waited_for_and_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channel, "APPEAR_SECONDS", 0.2)
    with pytest.raises(BrokerError, match="trades has 2 partitions, but its schedule needs 4: run"):
        opened(Recorder(partitions=2), Step(0, 4))
