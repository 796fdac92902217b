"""Time on a real Kafka: a partition that is silent and wakes, and input that retention took while nobody read it."""

import asyncio

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from kafka import KafkaAdminClient, TopicPartition

from tests.integration.running import bars, is_read, put, read, running, tallies, until
from tickertape.schemas.heartbeat import Heartbeat, to_headers
from tickertape.schemas.refused import LateSlice
from tickertape.schemas.topics import TRADES
from tickertape.stream.cluster.supervisor import Supervisor

pytestmark = pytest.mark.kafka

T = 1_723_161_255_000


def trade(at_ms: int, number: int, quantity: float) -> bytes:
    time_ms = T + at_ms
    fields = {"symbol": "A-USD", "source": "x", "id": number, "time_ms": time_ms, "received_ms": time_ms}
    return msgspec.json.encode(fields | {"price": 10.0, "quantity": quantity, "side": "buy"})


def second(broker: str, at_ms: int) -> tuple[int, float, bool, bool] | None:
    """Return count, volume, final and incomplete of the bar of a second over all sources, if there is one."""
    bar = bars(broker).get(f"A-USD|all|1s|{T + at_ms}")
    return bar and (bar.count, bar.volume, bar.final, bar.incomplete)


def test_a_silent_partition_holds_nothing_back_and_corrects_when_it_wakes(own_kafka: str) -> None:
    changes = {"partitions": {"trades": 2}, "idle_seconds": 1.5, "horizon_ms": 60_000}
    with running(own_kafka, workers=1, **changes) as (settings, _):
        put(own_kafka, [(0, trade(0, 1, 1.0), ()), (1, trade(500, 9, 2.0), ())])
        until("both are counted", lambda: second(own_kafka, 0) == (2, 3.0, False, False))
        # Three minutes on: it closes all up to 180 s once partition 1 is called idle.
        put(own_kafka, [(0, trade(182_000, 2, 4.0), ())])

        def final() -> bool:
            # Partition 0 speaks on: were all silent, time would stand still.
            put(own_kafka, [(0, None, to_headers(Heartbeat("x", T + 182_000)))])
            return second(own_kafka, 0) == (2, 3.0, True, False)

        until("partition 1 is called idle", final)
        # It wakes: one event is past the horizon, for results up to 120 s are closed for good; one is not.
        put(own_kafka, [(1, trade(700, 10, 8.0), ()), (1, trade(150_000, 11, 16.0), ())])
        until("what comes within the horizon counts", lambda: second(own_kafka, 150_000) == (1, 16.0, True, False))
        until("all is read", lambda: is_read(settings))
        until("what comes past it is told of", lambda: any(True for _ in read(own_kafka, "late")))
        total, told = tallies(settings), list(read(own_kafka, "late"))
        assert second(own_kafka, 0) == (2, 3.0, True, False)
    assert (total["counted"], total["late"]) == (5, 0)
    late = [msgspec.json.decode(value, type=LateSlice) for _, value in told]
    assert {key for key, _ in told} == {b"trades|1|x|A-USD|%d" % T}
    assert [(one.events, one.late_by_ms, one.missing_in) for one in late] == [(1, 119_000, ["x", "all"])]


def test_a_transaction_that_is_left_open_makes_nobody_idle(own_kafka: str) -> None:
    async def run() -> None:
        async with AIOKafkaProducer(bootstrap_servers=own_kafka, transactional_id="left-open") as producer:
            await producer.begin_transaction()
            await producer.send_and_wait(TRADES.name, b"no trade", partition=0)
            # What is written behind it can't be read, and isn't silence.
            await asyncio.to_thread(put, own_kafka, [(0, trade(500, 9, 2.0), ())])
            for _ in range(8):
                beats = [(1, None, to_headers(Heartbeat("x", T + 182_000)))]
                await asyncio.to_thread(put, own_kafka, beats)
                await asyncio.sleep(0.5)
            assert await asyncio.to_thread(second, own_kafka, 0) == (1, 1.0, False, False)
            await producer.commit_transaction()

    with running(own_kafka, workers=1, partitions={"trades": 2}, idle_seconds=1.0):
        put(own_kafka, [(0, trade(0, 1, 1.0), ())])
        until("it is counted", lambda: second(own_kafka, 0) == (1, 1.0, False, False))
        asyncio.run(run())
        put(own_kafka, [(0, None, to_headers(Heartbeat("x", T + 182_000)))])
        until("both are counted", lambda: second(own_kafka, 0) == (2, 3.0, True, False))


def test_what_retention_took_is_counted_as_lost_and_its_bars_are_incomplete(own_kafka: str) -> None:
    with running(own_kafka, workers=1, partitions={"trades": 1}) as (settings, supervisor):
        # Offset 1 closes the first second.
        put(own_kafka, [(0, trade(0, 1, 1.0), ()), (0, trade(3100, 2, 2.0), ())])
        until("the first second is final", lambda: second(own_kafka, 0) == (1, 1.0, True, False))
        until("both are read", lambda: is_read(settings))
        supervisor.stop()
        # Offsets 2 to 6, and nobody reads: all but the last two are gone when somebody does.
        put(own_kafka, [(0, trade(3200 + 100 * i, 3 + i, 4.0), ()) for i in range(3)])
        put(own_kafka, [(0, trade(6500, 6, 8.0), ()), (0, trade(20_000, 7, 16.0), ())])
        admin = KafkaAdminClient(bootstrap_servers=own_kafka)
        admin.delete_records({TopicPartition(TRADES.name, 0): 5})
        admin.close()
        with Supervisor(settings, 1, print):
            until("the rest is read", lambda: is_read(settings))
            until("what is left is final", lambda: second(own_kafka, 6000) == (1, 8.0, True, True))
            total = tallies(settings)
            held = {at: second(own_kafka, at) for at in (0, 3000, 6000, 20_000)}
    assert +total == {"counted": 4, "lost": 3}
    # The first was final, and stands as it was told.
    assert held == {
        0: (1, 1.0, True, False),
        3000: (1, 2.0, True, True),
        6000: (1, 8.0, True, True),
        20_000: (1, 16.0, False, True),
    }
