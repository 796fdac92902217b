"""What goes to which partition, and where heartbeats lie between the records."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from msgspec.structs import replace

from tests.feeds.recorder import Plan, Recorder
from tickertape.schemas.events import Event
from tickertape.schemas.heartbeat import Keyed, from_headers
from tickertape.schemas.quote import Quote
from tickertape.schemas.topics import HOUR_MS
from tickertape.schemas.trade import Trade
from tickertape.stream.errors import BrokerError
from tickertape.stream.feeds.clock import now_ms
from tickertape.stream.feeds.publish import channel
from tickertape.stream.feeds.publish.publisher import Publisher
from tickertape.stream.kafka.partition import partition_for

# 2024-08-09 00:00:00 UTC.
MIDNIGHT_MS = 1_723_161_600_000
BTC, ETH, SOL = "BTC-USDT", "ETH-USDT", "SOL-USDT"


def trade(symbol: str, time_ms: int, source: str = "sim") -> Trade:
    return Trade(symbol=symbol, source=source, id=1, time_ms=time_ms, price=1.0, quantity=1.0, side="buy")


def quote(symbol: str, time_ms: int, source: str = "sim") -> Quote:
    return Quote(
        symbol=symbol, source=source, id=1, time_ms=time_ms, bid=1.0, bid_quantity=1.0, ask=2.0, ask_quantity=1.0
    )


async def given(*batches: Sequence[Event], pause: float = 0.0) -> AsyncIterator[Sequence[Event]]:
    for batch in batches:
        yield batch
        await asyncio.sleep(pause)


def test_a_new_source_is_announced_everywhere_before_its_first_event_and_closed_everywhere_after_the_last() -> None:
    recorder = Recorder(partitions=3)
    trades = [trade(BTC, MIDNIGHT_MS + 5), trade(ETH, MIDNIGHT_MS + 7), trade(BTC, MIDNIGHT_MS + HOUR_MS)]
    asyncio.run(Publisher(recorder).feed(given(trades), close=True))
    btc, eth = partition_for(BTC, 3), partition_for(ETH, 3)
    opens, closes = MIDNIGHT_MS + 5 - HOUR_MS, MIDNIGHT_MS + HOUR_MS
    assert recorder.steps() == [
        *[(partition, "♥sim", opens) for partition in range(3)],
        (btc, BTC, MIDNIGHT_MS + 5),
        (eth, ETH, MIDNIGHT_MS + 7),
        (btc, BTC, MIDNIGHT_MS + HOUR_MS),
        *[(partition, "♥sim", closes) for partition in range(3)],
    ]
    assert recorder.ends() == [False] * 3 + [True] * 3
    assert recorder.flushed == len(recorder.records)


def test_without_close_the_last_heartbeat_says_only_what_was_sent() -> None:
    recorder = Recorder(partitions=2)
    asyncio.run(Publisher(recorder).feed(given([trade(BTC, MIDNIGHT_MS)]), close=False))
    assert recorder.steps()[-2:] == [(0, "♥sim", MIDNIGHT_MS), (1, "♥sim", MIDNIGHT_MS)]


def test_heartbeats_never_overtake_what_they_speak_for() -> None:
    recorder = Recorder(partitions=2)
    batches = [[trade(BTC, MIDNIGHT_MS + 1000 * n), trade(ETH, MIDNIGHT_MS + 1000 * n + 3)] for n in range(12)]
    asyncio.run(Publisher(recorder, heartbeat_seconds=0.02).feed(given(*batches, pause=0.01), close=False))
    newest_ms, beats = 0, 0
    for _, what, time_ms in recorder.steps()[2:]:
        if what.startswith("♥"):
            assert time_ms == newest_ms
            beats += 1
        else:
            newest_ms = max(newest_ms, time_ms)
    assert beats > 2  # more than the last, to both


def test_heartbeats_stay_behind_by_the_disorder_that_a_source_may_have() -> None:
    recorder = Recorder(partitions=1)
    batches = [[trade(BTC, MIDNIGHT_MS + 900)], [trade(BTC, MIDNIGHT_MS + 400)]]
    publisher = Publisher(recorder, heartbeat_seconds=0.02, disorder_ms=500)
    asyncio.run(publisher.feed(given(*batches, pause=0.05), close=False))
    steps = recorder.steps()
    assert steps[0] == (0, "♥sim", MIDNIGHT_MS + 900 - HOUR_MS - 500)
    assert {time_ms for _, what, time_ms in steps[1:] if what == "♥sim"} == {MIDNIGHT_MS + 400}


def test_a_heartbeat_is_never_ahead_of_receipt() -> None:
    recorder, day_ms = Recorder(partitions=1), 24 * HOUR_MS
    # Its author's clock is a day ahead: a heartbeat that says so would make all that follows late.
    wrong = replace(trade(BTC, MIDNIGHT_MS + day_ms), received_ms=MIDNIGHT_MS + 20)
    right = replace(trade(BTC, MIDNIGHT_MS + 30), received_ms=MIDNIGHT_MS + 40)
    asyncio.run(Publisher(recorder, kinds=(Trade,)).feed(given([wrong], [right]), close=False))
    assert recorder.steps() == [
        (0, BTC, MIDNIGHT_MS + day_ms),
        (0, "♥sim", MIDNIGHT_MS + 30 - HOUR_MS),
        (0, BTC, MIDNIGHT_MS + 30),
        (0, "♥sim", MIDNIGHT_MS + 30),
    ]


def test_the_end_has_the_newest_event_that_counts_though_its_clock_is_ahead_of_ours() -> None:
    recorder = Recorder(partitions=1)
    ahead = replace(trade(BTC, MIDNIGHT_MS + 200), received_ms=MIDNIGHT_MS - 1050)
    asyncio.run(Publisher(recorder, kinds=(Trade,)).feed(given([ahead]), close=True))
    assert recorder.steps()[-1] == (0, "♥sim", MIDNIGHT_MS + 200)


def test_what_is_in_the_future_moves_no_heartbeat_though_nobody_says_when_it_was_received() -> None:
    recorder = Recorder(partitions=1)
    future_ms = now_ms() + 2 * HOUR_MS
    wrong = replace(trade(BTC, future_ms), received_ms=0)
    right = replace(trade(BTC, MIDNIGHT_MS), received_ms=0)
    asyncio.run(Publisher(recorder, kinds=(Trade,)).feed(given([wrong, right]), close=True))
    assert recorder.steps() == [
        (0, BTC, future_ms),
        (0, "♥sim", MIDNIGHT_MS - HOUR_MS),
        (0, BTC, MIDNIGHT_MS),
        (0, "♥sim", MIDNIGHT_MS),
    ]


def test_each_source_has_its_own_heartbeats() -> None:
    recorder = Recorder(partitions=1)
    trades = [trade(BTC, MIDNIGHT_MS, "binance"), trade(BTC, MIDNIGHT_MS - 60_000, "coinbase")]
    asyncio.run(Publisher(recorder).feed(given(trades), close=False))
    assert recorder.steps() == [
        (0, "♥binance", MIDNIGHT_MS - HOUR_MS),
        (0, BTC, MIDNIGHT_MS),
        (0, "♥coinbase", MIDNIGHT_MS - 60_000 - HOUR_MS),
        (0, BTC, MIDNIGHT_MS - 60_000),
        (0, "♥binance", MIDNIGHT_MS),
        (0, "♥coinbase", MIDNIGHT_MS - 60_000),
    ]


def test_each_kind_goes_to_its_topic_in_its_order_with_heartbeats_of_its_own() -> None:
    recorder = Recorder(partitions=2)
    mixed = [quote(BTC, MIDNIGHT_MS - 9), trade(BTC, MIDNIGHT_MS), quote(ETH, MIDNIGHT_MS - 7), trade(ETH, MIDNIGHT_MS)]
    alone = [quote(BTC, MIDNIGHT_MS - 5, "other")]
    publisher = Publisher(recorder)
    asyncio.run(publisher.feed(given(mixed, alone), close=False))
    btc, eth = partition_for(BTC, 2), partition_for(ETH, 2)
    assert recorder.steps("trades") == [
        *[(partition, "♥sim", MIDNIGHT_MS - HOUR_MS) for partition in range(2)],
        (btc, BTC, MIDNIGHT_MS),
        (eth, ETH, MIDNIGHT_MS),
        *[(partition, "♥sim", MIDNIGHT_MS) for partition in range(2)],
    ]
    assert recorder.steps("quotes") == [
        *[(partition, "♥sim", MIDNIGHT_MS - 9 - HOUR_MS) for partition in range(2)],
        (btc, BTC, MIDNIGHT_MS - 9),
        (eth, ETH, MIDNIGHT_MS - 7),
        *[(partition, "♥other", MIDNIGHT_MS - 5 - HOUR_MS) for partition in range(2)],
        (btc, BTC, MIDNIGHT_MS - 5),
        *[(partition, "♥sim", MIDNIGHT_MS - 7) for partition in range(2)],
        *[(partition, "♥other", MIDNIGHT_MS - 5) for partition in range(2)],
    ]
    assert recorder.quotes[0] == mixed[0]
    assert (publisher.events, publisher.sent) == (5, {"trades": 2, "quotes": 3})
    assert publisher.newest_ms == MIDNIGHT_MS


def test_each_topic_has_its_own_schedule() -> None:
    recorder, plan = Recorder(partitions=8), Plan((0, 2))
    plan.say((0, 3), (MIDNIGHT_MS + 1, 7), topic="quotes")
    events = [kind(BTC, MIDNIGHT_MS + at) for kind in (trade, quote) for at in range(2)]
    asyncio.run(Publisher(recorder, control=plan).feed(given(events), close=False))
    places = {topic: [p for p, what, _ in recorder.steps(topic) if what == BTC] for topic in ("trades", "quotes")}
    assert places == {
        "trades": [partition_for(BTC, 2)] * 2,
        "quotes": [partition_for(BTC, 3), partition_for(BTC, 7)],
    }


def test_only_the_topics_of_what_may_come_have_to_be_there() -> None:
    class NoQuotes(Recorder):
        async def partitions(self, topic: str) -> int:
            if topic == "quotes":
                raise BrokerError("no quotes")
            return await super().partitions(topic)

    batches = [trade(BTC, MIDNIGHT_MS)]
    with pytest.raises(BrokerError, match="no quotes"):
        asyncio.run(Publisher(NoQuotes()).feed(given(batches), close=False))
    recorder = NoQuotes()
    asyncio.run(Publisher(recorder, kinds=[Trade]).feed(given(batches), close=False))
    assert recorder.trades == batches


def test_partitions_added_later_get_heartbeats_and_no_events() -> None:
    recorder = Recorder(partitions=1)

    async def growing() -> AsyncIterator[Sequence[Trade]]:
        yield [trade(BTC, MIDNIGHT_MS)]
        recorder.count = 4
        await asyncio.sleep(0.05)
        yield [trade(symbol, MIDNIGHT_MS + 1) for symbol in (BTC, ETH, SOL)]

    asyncio.run(Publisher(recorder, heartbeat_seconds=0.02).feed(growing(), close=True))
    steps = recorder.steps()
    assert {partition for partition, what, _ in steps if not what.startswith("♥")} == {0}
    added = [time_ms for partition, _, time_ms in steps if partition == 3]
    assert (added[0], added[-1]) == (MIDNIGHT_MS, MIDNIGHT_MS + 1)
    assert recorder.ends()[-4:] == [True] * 4


def test_every_heartbeat_tells_how_many_partitions_there_are() -> None:
    recorder = Recorder(partitions=5)
    asyncio.run(Publisher(recorder, control=Plan((0, 2))).feed(given([trade(BTC, MIDNIGHT_MS)]), close=True))
    # All that Kafka has, not those that are used.
    assert recorder.counts() == [5] * 10
    assert recorder.records[5].partition == partition_for(BTC, 2)


def test_the_schedule_decides_by_event_time_and_a_repeat_falls_where_the_first_fell() -> None:
    recorder, plan = Recorder(partitions=16), Plan((0, 2), (MIDNIGHT_MS, 16))
    symbols = [f"S{n}" for n in range(20)]
    first = [trade(symbol, MIDNIGHT_MS + at) for symbol in symbols for at in (-1, 0)]
    asyncio.run(Publisher(recorder, control=plan, disorder_ms=10).feed(given(first, first[::-1]), close=False))
    found = [(what, time_ms, partition) for partition, what, time_ms in recorder.steps() if not what.startswith("♥")]
    once = [(s, MIDNIGHT_MS + at, partition_for(s, n)) for s in symbols for at, n in ((-1, 2), (0, 16))]
    assert found == once + once[::-1]


def test_without_a_schedule_those_are_used_that_there_were_at_the_start() -> None:
    recorder = Recorder(partitions=3)
    asyncio.run(Publisher(recorder, control=Plan()).feed(given([trade(BTC, MIDNIGHT_MS)]), close=False))
    assert recorder.steps()[3] == (partition_for(BTC, 3), BTC, MIDNIGHT_MS)


def test_a_step_is_in_every_partition_before_any_event_past_it() -> None:
    recorder, plan, symbols = Recorder(partitions=2), Plan((0, 2)), [f"S{n}" for n in range(20)]

    async def growing() -> AsyncIterator[Sequence[Trade]]:
        yield [trade(BTC, MIDNIGHT_MS)]
        plan.say((0, 2), (MIDNIGHT_MS + 5, 8))
        # The schedule is here before Kafka's metadata.
        await asyncio.sleep(0.05)
        yield [trade(BTC, MIDNIGHT_MS + 1)]
        recorder.count = 8
        await asyncio.sleep(0.3)
        yield [trade(symbol, MIDNIGHT_MS + at) for symbol in symbols for at in (4, 5)]

    asyncio.run(Publisher(recorder, control=plan, heartbeat_seconds=60).feed(growing(), close=False))
    assert recorder.steps() == [
        *[(partition, "♥sim", MIDNIGHT_MS - HOUR_MS) for partition in range(2)],
        (partition_for(BTC, 2), BTC, MIDNIGHT_MS),
        (partition_for(BTC, 2), BTC, MIDNIGHT_MS + 1),
        *[(partition, "♥sim", MIDNIGHT_MS + 1) for partition in range(8)],
        *[(partition_for(s, n), s, MIDNIGHT_MS + at) for s in symbols for at, n in ((4, 2), (5, 8))],
        *[(partition, "♥sim", MIDNIGHT_MS + 5) for partition in range(8)],
    ]
    assert recorder.counts() == [2] * 2 + [8] * 16
    # What they promise of the places of symbols goes by the schedule.
    beats = [from_headers(record.headers) for record in recorder.records if record.headers]
    step = (Keyed(0, 2), Keyed(MIDNIGHT_MS + 5, 8))
    assert [beat.keyed for beat in beats if beat] == [(Keyed(0, 2),)] * 2 + [step] * 16


def test_a_step_that_comes_too_late_is_told_of_and_taken_later(caplog: pytest.LogCaptureFixture) -> None:
    recorder, plan = Recorder(partitions=8), Plan((0, 2))
    times_ms = [MIDNIGHT_MS + 7, MIDNIGHT_MS + 8, MIDNIGHT_MS + 59_999, MIDNIGHT_MS + 60_000]

    async def late() -> AsyncIterator[Sequence[Trade]]:
        yield [trade(BTC, times_ms[0])]
        plan.say((0, 2), (MIDNIGHT_MS + 5, 8))
        await asyncio.sleep(0.05)
        yield [trade(BTC, time_ms) for time_ms in times_ms]

    asyncio.run(Publisher(recorder, control=plan).feed(late(), close=False))
    places = [partition for partition, what, _ in recorder.steps() if what == BTC]
    assert partition_for(BTC, 2) != partition_for(BTC, 8)
    assert places == [partition_for(BTC, 2)] * 4 + [partition_for(BTC, 8)]
    assert f"8 partitions are used from {MIDNIGHT_MS + 60_000} ms on" in caplog.text


def test_a_schedule_of_more_partitions_than_there_are_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "APPEAR_SECONDS", 0.1)
    publisher = Publisher(Recorder(partitions=2), control=Plan((0, 4)))
    with pytest.raises(BrokerError, match=r"^trades has 2 partitions, .* `tickertape scale trades --partitions 4`$"):
        asyncio.run(publisher.feed(given([trade(BTC, MIDNIGHT_MS)]), close=False))


def test_a_spread_symbol_is_spread_by_id_and_the_others_stay() -> None:
    recorder = Recorder(partitions=8)
    trades = [replace(trade(symbol, MIDNIGHT_MS), id=number) for number in range(200) for symbol in (BTC, ETH)]
    asyncio.run(Publisher(recorder, spread={BTC: 3}).feed(given(trades, trades), close=False))
    where: dict[str, list[int]] = {BTC: [], ETH: []}
    for partition, what, _ in recorder.steps():
        if what in where:
            where[what].append(partition)
    home = partition_for(BTC, 8)
    assert set(where[BTC]) == {home, (home + 1) % 8, (home + 2) % 8}
    assert where[BTC][:200] == where[BTC][200:]
    assert set(where[ETH]) == {partition_for(ETH, 8)}


def test_what_was_taken_is_sent_when_it_is_told_to_stop() -> None:
    recorder = Recorder(partitions=1)

    async def scenario() -> None:
        feeding = asyncio.create_task(Publisher(recorder).feed(given([trade(BTC, MIDNIGHT_MS)], pause=60), close=True))
        await asyncio.sleep(0.05)
        feeding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await feeding

    asyncio.run(scenario())
    # Not closed: the input was not over.
    assert recorder.steps()[1:] == [(0, BTC, MIDNIGHT_MS), (0, "♥sim", MIDNIGHT_MS)]
    assert recorder.flushed == len(recorder.records)


def test_a_failure_of_the_source_is_raised_after_what_was_read_is_sent() -> None:
    recorder = Recorder(partitions=1)

    async def broken() -> AsyncIterator[Sequence[Trade]]:
        yield [trade(BTC, MIDNIGHT_MS)]
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        asyncio.run(Publisher(recorder).feed(broken(), close=True))
    assert recorder.flushed == len(recorder.records) == 3


def test_a_failure_of_kafka_shows_though_the_source_is_quiet() -> None:
    class Gone(Recorder):
        async def partitions(self, topic: str) -> int:
            if self.records:
                raise BrokerError("gone")
            return await super().partitions(topic)

    publisher = Publisher(Gone(), heartbeat_seconds=0.02)
    with pytest.raises(BrokerError, match="gone"):
        asyncio.run(asyncio.wait_for(publisher.feed(given([trade(BTC, MIDNIGHT_MS)], pause=60), close=True), 5))


def test_nothing_at_all_is_fine() -> None:
    recorder = Recorder()
    asyncio.run(Publisher(recorder).feed(given(), close=True))
    assert recorder.records == []
