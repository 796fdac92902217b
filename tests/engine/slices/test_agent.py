"""The slicing agent without Kafka: where things go, who is idle, and what may be committed."""

import msgspec
import pytest
from faust.types import TP

from tests.engine.blocks import HOUR_MS, Log, unpacked
from tests.engine.slices.partition_world import IDLE_SECONDS, TRADES, World
from tickertape.schemas.checkpoint import SliceCheckpoint, slices_from, to_metadata
from tickertape.schemas.frame import Frame, Lane, frames_in
from tickertape.schemas.refused import DeadLetter, Late
from tickertape.stream.engine.core import workload
from tickertape.stream.engine.core.positions import Position
from tickertape.stream.engine.slices import agent as slicing
from tickertape.stream.kafka.partition import partition_for


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(monkeypatch)
    world.restore()
    return world


def test_a_symbols_upserts_go_to_its_shard_and_all_shards_hear(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, shards=4)
    world.restore()
    world.log.tick(0, 1, symbol="BTC-USDT").tick(0, 2, symbol="ETH-USDT")
    world.read()
    world.agent.flush()
    found = {}
    for topic, shard, key, value in world.put_records:
        assert (topic, key) == ("slices", b"trades")
        found[shard] = {key.symbol for key in unpacked(msgspec.msgpack.decode(value, type=Frame))}
    expected: dict[int, set[str]] = {shard: set() for shard in range(4)}
    for symbol in ("BTC-USDT", "ETH-USDT"):
        expected[partition_for(symbol, 4)].add(symbol)
    assert found == expected


def test_a_shard_gets_one_record_with_a_frame_of_each_partition_that_has_its_own_stamp(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, shards=3)
    logs = {partition: Log(partition) for partition in range(3)}
    # All three are of one shard of three, by Kafka's murmur2: checked below.
    logs[0].tick(0, 1, symbol="BTC-USDT")
    logs[2].tick(0, 1, symbol="BTC-USDT", source="t").tick(4000, 2, symbol="BTC-USDT", source="t")
    world.agent.restore({TP("trades", p): Position(0, log.end, None, "", 3) for p, log in logs.items()})
    for log in (logs[0], logs[2]):
        world.agent.receive(log.block(0, None))
    world.agent._flush_changed()
    # Without a change, the partition in between isn't there, and other shards get nothing.
    ((topic, shard, key, value),) = world.put_records
    assert (topic, shard, key) == ("slices", partition_for("BTC-USDT", 3), b"trades")
    assert [(one.partition, one.upto, set(unpacked(one))) for one in frames_in(value)] == [
        (0, 1, {("s", "BTC-USDT", 0)}),
        (2, 2, {("t", "BTC-USDT", 0), ("t", "BTC-USDT", 4000)}),
    ]
    world.put_records.clear()
    logs[2].tick(4000, 3, symbol="BTC-USDT", source="t")
    world.agent.receive(logs[2].block(2, None))
    world.agent.flush()
    assert [record[:3] for record in sorted(world.put_records)] == [("slices", n, b"trades") for n in range(3)]
    for _, n, _, value in world.put_records:
        assert [(one.partition, one.upto, [lane.source for lane in one.lanes]) for one in frames_in(value)] == [
            (0, 1, ["s"]),
            (1, 0, []),
            (2, 3, ["t"]),
        ]
        rows = [len(unpacked(one)) for one in frames_in(value)]
        assert rows == ([0, 0, 1] if n == shard else [0, 0, 0])


def test_heartbeats_alone_start_no_flush_and_are_folded_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    world, asked, processed = World(monkeypatch, fold_records=1024), [], []
    monkeypatch.setattr(world.agent._pace, "ask", lambda *_: asked.append(world.log.end))
    monkeypatch.setattr(world.workload, "record_processed", lambda: processed.append(world.log.end))
    world.restore()
    world.log.beat(5000)
    world.read()
    assert (asked, processed) == ([], [1])
    world.log.tick(5001, 1).beat(6000)
    world.read()
    assert (asked, processed) == ([3], [1])
    world.agent.flush()
    assert world.agent.slicers[0].tallies.heartbeats == 2


def test_a_partition_that_is_read_again_sends_no_frame_beside_others_that_do(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    logs = {partition: Log(partition).tick(0, 1).tick(100, 2) for partition in range(2)}
    again = to_metadata(SliceCheckpoint(upto=2, lanes=[Lane("s", HOUR_MS + 100, HOUR_MS - 1900)]))
    positions = {TP("trades", 0): Position(0, 2, 0, again, 2), TP("trades", 1): Position(0, 2, None, "", 2)}
    world.agent.restore(positions)
    for log in logs.values():
        world.agent.receive(log.block(0, 1))
    world.agent.flush()
    ((*_, value),) = world.put_records
    assert [(one.partition, one.upto) for one in frames_in(value)] == [(1, 1)]


def test_refused_records_are_keyed_by_where_they_lie(world: World) -> None:
    world.log.tick(3000, 1).raw(b"?").tick(0, 2)
    world.read()
    (late, letter) = sorted(world.put_records, reverse=True)
    assert late[:3] == ("late", 0, b"trades|0|2")
    assert msgspec.json.decode(late[3], type=Late).late_by_ms == 0
    assert letter[:3] == ("dead-letters", 0, b"trades|0|1")
    assert msgspec.json.decode(letter[3], type=DeadLetter).value == b"?"


def test_a_frame_says_whether_its_partition_has_a_backlog_or_had_one_since_the_last_one(world: World) -> None:
    world.unread = 8193
    world.log.tick(0, 1)
    world.read()
    assert world.beat().behind
    world.unread = 8192
    world.log.tick(1, 2)
    world.read()
    assert not world.beat().behind
    world.unread = 8193
    world.log.tick(2, 3)
    world.read()
    world.unread = 0
    world.log.tick(3, 4)
    world.read()
    assert world.beat().behind
    assert not world.beat().behind


def test_a_backlog_is_large_from_131_073_events_on(world: World) -> None:
    for unread, large in ((131_073, True), (131_072, False)):
        world.unread = unread
        world.log.tick(0, unread)
        world.read()
        assert world.workload.far_behind == large


def test_a_commit_is_what_the_next_owner_needs(world: World) -> None:
    world.log.tick(0, 1).tick(5000, 2)
    world.read()
    offset, metadata = world.agent.checkpoint()[TRADES]
    assert offset == 1
    assert slices_from(metadata).upto == 2
    assert world.restore(offset, metadata) == 1
    # What was read before is not read yet, so there is nothing to say, and nothing to commit.
    assert world.agent.checkpoint() == {}
    world.read()
    assert world.agent.checkpoint() == {TRADES: (offset, metadata)}


def test_a_lane_is_idle_that_has_been_silent_to_the_logs_end(world: World) -> None:
    world.log.tick(0, 1).tick(0, 2, source="t")
    world.read()
    world.now += IDLE_SECONDS - 1
    world.log.tick(1, 3)
    world.read()
    assert world.idle() == set()
    world.now += 1
    assert world.idle() == {"t"}
    world.log.beat(2, "t")
    assert world.idle() == {"t"}  # nobody has read it yet
    world.read()
    assert world.idle() == set()


def test_a_source_without_a_lane_is_idle_when_the_partition_has_waited(world: World) -> None:
    assert not world.beat().idle
    world.now += IDLE_SECONDS
    assert world.beat().idle
    # From here on a lane of its own speaks for its source; any other has still been silent.
    world.log.tick(0, 1)
    world.read()
    assert world.beat().idle
    assert world.idle() == set()


def test_nobody_is_idle_before_the_log_has_been_read_to_its_end(world: World) -> None:
    world.log.tick(0, 1, source="t").tick(0, 2).tick(0, 3)
    world.read(1)
    world.now += 10 * IDLE_SECONDS
    world.read(2)
    assert world.idle() == set()
    assert not world.beat().idle
    world.read()
    assert world.idle() == {"t"}


def test_nobody_is_idle_because_the_broker_is_away(world: World) -> None:
    world.log.tick(0, 1)
    world.read()
    for _ in range(2 * IDLE_SECONDS):
        world.now += 1
        world.unheard_seconds += 1
        assert world.idle() == set()
    # It is back, and the log ends where it did.
    world.unheard_seconds = 0.5
    assert world.idle() == {"s"}


def test_nobody_is_idle_whose_records_may_lie_behind_an_open_transaction(world: World) -> None:
    world.log.tick(0, 1)
    world.held_back = 2
    world.read()
    for _ in range(2 * IDLE_SECONDS):
        world.now += 1
        assert world.idle() == set()
    # It is over, and had nothing of this source.
    world.held_back = 0
    assert world.idle() == {"s"}


def test_a_lane_is_idle_beside_one_so_busy_that_the_end_is_never_reached(world: World) -> None:
    world.log.tick(0, 1, source="t")
    world.read()
    for second in range(2 * IDLE_SECONDS):
        world.now += 1
        # All that there was a moment ago has been read, and there are ten more by now.
        world.read()
        for number in range(10):
            world.log.tick(1000 * second, 10 * second + number)
        world.read(world.log.end - 1)
    assert world.idle() == {"t"}


def test_sources_without_end_do_not_stop_commits(world: World) -> None:
    for number in range(200):
        world.log.beat(0, f"source-{number}")
    world.read()
    offset, metadata = world.agent.checkpoint()[TRADES]
    assert offset == 200
    assert [lane.source for lane in slices_from(metadata).lanes] == [f"source-{number}" for number in range(64)]
    for number in range(100):
        world.log.tick(0, 1, source=f"source-{number}")
    world.read()
    refused = [key for topic, _, key, _ in world.put_records if topic == "dead-letters"]
    assert refused == [f"trades|0|{offset}".encode() for offset in range(264, 300)]


RETIRED_SECONDS = IDLE_SECONDS + 60


def test_a_lane_that_is_idle_past_the_horizon_holds_the_commit_back_no_longer(world: World) -> None:
    world.log.tick(1500, 1)
    world.read()
    world.now += RETIRED_SECONDS - 1
    world.beat()
    world.beat()
    assert world.agent.checkpoint()[TRADES][0] == 0
    world.now += 1
    world.beat()
    # Its last slice ends at 2000; what it holds had been published.
    frame = world.beat()
    assert frame.lanes[0].frontier_ms == HOUR_MS + 2000
    offset, metadata = world.agent.checkpoint()[TRADES]
    assert offset == 1
    assert slices_from(metadata).lanes[0].frontier_ms == HOUR_MS + 2000
    # For whoever it was, that slice is over; later ones are not.
    world.log.tick(1600, 2).tick(2000, 3)
    world.read()
    assert [topic for topic, *_ in world.put_records if topic != "slices"] == ["late"]
    assert world.agent.slicers[0].tallies.counted == 2


def test_a_retired_lane_stays_so_with_the_next_owner(world: World) -> None:
    world.log.tick(1500, 1).tick(60_000, 2, source="t")
    world.read()
    world.now += RETIRED_SECONDS
    world.log.tick(60_000, 3, source="t")
    world.read()
    world.beat()
    offset, metadata = world.agent.checkpoint()[TRADES]
    assert offset == 1
    assert world.restore(offset, metadata) == 1
    world.log.tick(1600, 2)
    world.read()
    assert [topic for topic, *_ in world.put_records if topic != "slices"] == ["late"]


def test_while_a_log_is_read_from_far_behind_no_lane_is_retired(world: World) -> None:
    world.log.tick(0, 1).tick(0, 2, source="t").tick(0, 3, source="t")
    world.read(1)
    world.now += 10 * RETIRED_SECONDS
    world.read(2)
    frame = world.beat()
    assert {lane.source: lane.frontier_ms - HOUR_MS for lane in frame.lanes} == {"s": -2000, "t": -2000}


def test_a_commit_past_the_logs_end_is_of_another_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.log.tick(0, 1).tick(0, 2).tick(0, 3)
    world.read()
    offset, metadata = 3, world.agent.checkpoint()[TRADES][1]
    # The topic is created anew, and has two records by now.
    world.log = Log().tick(0, 1).tick(0, 2)
    assert world.restore(offset, metadata) == 0
    assert "trades, partition 0: the commit is at offset 3, but the log ends at 2" in caplog.text
    world.read()
    assert world.agent.slicers[0].tallies.counted == 2


def test_ages_of_silence_begin_anew_with_an_owner(world: World) -> None:
    world.log.tick(0, 1).beat(9000)
    world.read()
    offset, metadata = world.agent.checkpoint()[TRADES]
    world.now += 10 * IDLE_SECONDS
    world.restore(offset, metadata)
    assert world.idle() == set()
    world.now += IDLE_SECONDS
    assert world.idle() == {"s"}
    assert world.beat().lanes[0].frontier_ms == HOUR_MS + 7000


@pytest.mark.parametrize("metadata", ["", "set by hand", "{}", "[1]", '[2, 0, [["s"]]]'])
def test_a_commit_that_is_not_ours_says_where_to_read_on(world: World, metadata: str) -> None:
    world.log.tick(0, 1).tick(0, 2).tick(0, 3)
    assert world.restore(1, metadata) == 1
    world.read()
    assert world.agent.slicers[0].tallies.counted == 2


def test_a_partition_of_a_backlog_is_as_far_as_its_slowest_lane(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workload, "_MAX_SLICES_AHEAD", 0)
    world.unread = 8193
    # Lateness is 2 s: the frontiers are 18 s and 48 s.
    world.log.tick(20_000, 1).tick(50_000, 2, source="t")
    world.read()
    world.workload.record_finals("trades", HOUR_MS + 8_000, open_ahead=1)
    assert world.workload.held == set()
    world.workload.record_finals("trades", HOUR_MS + 7_999, open_ahead=1)
    assert world.workload.held == {TRADES}
    # What has happened in the last half minute is read, whoever is behind.
    monkeypatch.setattr(slicing, "time", lambda: (HOUR_MS + 50_000 + slicing.LIVE_MS) / 1000 - 0.001)
    world.log.tick(50_000, 3)
    world.read()
    assert world.workload.held == set()
    monkeypatch.setattr(slicing, "time", lambda: (HOUR_MS + 50_000 + slicing.LIVE_MS) / 1000)
    world.log.tick(50_000, 4)
    world.read()
    assert world.workload.held == {TRADES}
    # So little is left that it is read to its end, whoever is behind.
    world.unread = 8192
    world.log.tick(50_001, 5)
    world.read()
    assert world.workload.held == set()
