"""The window agent without Kafka: where results go, what may be committed, and frames that can't be read."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from time import monotonic

import msgspec
import numpy as np
import pytest
from faust.types import TP
from msgspec import structs

from tests.engine.blocks import EPOCH, HOUR_MS
from tests.engine.made_frames import WINDOWING, Window, frame, upsert
from tickertape.schemas.checkpoint import WindowCheckpoint, is_long, to_metadata, windows_from
from tickertape.schemas.frame import to_records
from tickertape.schemas.refused import DeadLetter, LateSlice
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core import workload
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.core.keyed_topics import KeyedTopics
from tickertape.stream.engine.core.positions import Position
from tickertape.stream.engine.core.workload import Workload
from tickertape.stream.engine.windows.agent import WindowAgent
from tickertape.stream.kafka.partition import partition_for

SHARD = TP("slices", 0)


class World:
    """A shard with its agent, whose producer keeps what it is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.put_records: list[tuple[str, int, bytes, bytes]] = []
        settings = Settings()
        self.workload = Workload()
        assert settings.epoch == EPOCH
        self.keyed = KeyedTopics()
        self.agent = WindowAgent(
            [WINDOWING],
            settings,
            self,  # type: ignore[arg-type]  # it puts
            {"bars": 4},
            lambda _: None,
            self.workload,
            keyed=self.keyed,
        )
        monkeypatch.setattr(self.agent._pace, "ask", lambda *_: None)
        self.values: list[bytes | None] = []

    def send(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        self.put_records.append((topic, partition, key, value))

    def send_many(self, topic: str, partition: int, records: Sequence[tuple[bytes, bytes]]) -> None:
        self.put_records += [(topic, partition, key, value) for key, value in records]

    def send_later(self, send: Callable[[], None]) -> None:
        send()

    def restore(self, offset: int | None = None, metadata: str = "", begin: int = 0) -> int:
        end = len(self.values)
        position = Position(begin=begin, end=end, committed=offset, metadata=metadata, partitions=16)
        return self.agent.restore({SHARD: position})[SHARD]

    def read(self, *frames: bytes | None) -> None:
        start = len(self.values)
        self.values += frames
        self.reread(start)

    def reread(self, start: int) -> None:
        end = len(self.values)
        offsets = np.arange(start, end)
        self.agent.receive(Block("slices", 0, start, end, offsets, self.values[start:], np.zeros(end - start, int)))

    def bars(self) -> list[tuple[str, str, bool, int]]:
        """Flush; return symbol, resolution, whether final, and revision of what came for all sources."""
        self.put_records.clear()
        self.agent.flush()
        found = []
        for topic, partition, key, value in self.put_records:
            window = msgspec.json.decode(value, type=Window)
            assert topic == "bars"
            assert partition == partition_for(window.symbol, 4)
            assert key.startswith(window.symbol.encode())
            if window.source == "all":
                found.append((window.symbol, window.resolution, window.final, window.revision))
        return sorted(found)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(monkeypatch)
    assert world.restore() == 0
    return world


encode = msgspec.msgpack.Encoder().encode


def test_results_go_to_their_symbols_partition(world: World) -> None:
    world.read(encode(frame(2, upsert(0, 1.0), upsert(0, 1.0, 2.0, symbol="B"), lanes={"s": 1000})))
    assert world.bars() == [("A", "1s", True, 1), ("A", "3s", False, 1), ("B", "1s", True, 2), ("B", "3s", False, 2)]


def test_what_is_provisional_may_have_to_wait_and_finals_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.WINDOWING", replace(WINDOWING, provisional_seconds=60.0))
    world = World(monkeypatch)
    world.restore()
    world.read(encode(frame(1, upsert(0, 1.0), lanes={"s": 0})))
    assert world.bars() == [("A", "1s", False, 1), ("A", "3s", False, 1)]
    world.read(encode(frame(2, upsert(0, 1.0, 2.0), lanes={"s": 0})))
    assert world.bars() == []
    world.read(encode(frame(3, lanes={"s": 1000})))
    assert world.bars() == [("A", "1s", True, 2)]
    monkeypatch.setattr("tickertape.stream.engine.windows.agent.monotonic", lambda: monotonic() + 60)
    assert world.bars() == [("A", "3s", False, 2)]


def test_provisional_windows_longer_than_the_finest_come_four_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("tickertape.stream.engine.windows.agent.monotonic", lambda: clock[0])
    world = World(monkeypatch)
    world.restore()
    world.read(encode(frame(1, upsert(0, 1.0), lanes={"s": 0})))
    assert world.bars() == [("A", "1s", False, 1), ("A", "3s", False, 1)]
    world.read(encode(frame(2, upsert(0, 1.0, 2.0), lanes={"s": 0})))
    clock[0] += 0.24
    assert world.bars() == [("A", "1s", False, 2)]
    clock[0] += 0.01
    assert world.bars() == [("A", "3s", False, 2)]
    # The frontier closes both: finals never wait.
    world.read(encode(frame(3, lanes={"s": 3000})))
    assert world.bars() == [("A", "1s", True, 2), ("A", "3s", True, 2)]


def test_no_provisional_result_while_this_worker_has_a_backlog_of_the_topic(world: World) -> None:
    world.workload.record_backlog(TP("trades", 3), behind=True)
    world.read(encode(frame(1, upsert(0, 1.0), lanes={"s": 0})))
    assert world.bars() == []
    # The frontier closes the second: finals never wait.
    world.read(encode(frame(2, lanes={"s": 1000})))
    assert world.bars() == [("A", "1s", True, 1)]
    world.workload.record_backlog(TP("trades", 3), behind=False)
    assert world.bars() == [("A", "3s", False, 1)]


def test_a_backlog_of_another_topic_holds_nothing(world: World) -> None:
    world.workload.record_backlog(TP("quotes", 3), behind=True)
    world.read(encode(frame(1, upsert(0, 1.0), lanes={"s": 0})))
    assert world.bars() == [("A", "1s", False, 1), ("A", "3s", False, 1)]


def test_no_provisional_result_while_frames_tell_of_another_workers_backlog(world: World) -> None:
    world.read(encode(frame(1, upsert(0, 1.0), lanes={"s": 0}, partitions=2)))
    world.read(encode(frame(1, lanes={"s": 0}, partition=1, partitions=2, behind=True)))
    assert world.bars() == []
    # The other partition's frames change nothing.
    world.read(encode(frame(2, upsert(0, 1.0, 2.0), lanes={"s": 0}, partitions=2)))
    assert world.bars() == []
    world.read(encode(frame(2, lanes={"s": 0}, partition=1, partitions=2)))
    assert world.bars() == [("A", "1s", False, 2), ("A", "3s", False, 2)]


def test_frames_report_whether_all_sources_promise_where_their_keys_lie(world: World) -> None:
    world.read(encode(frame(1, keyed=True)), encode(frame(1, partition=1, keyed=False)))
    assert not world.keyed.is_keyed("trades")
    assert world.keyed.is_keyed("quotes")
    world.read(encode(frame(2, partition=1, keyed=True)))
    assert world.keyed.is_keyed("trades")
    # The partition may have no further frames here.
    world.read(encode(frame(3, partition=1, keyed=False)))
    world.restore()
    assert world.keyed.is_keyed("trades")


def test_a_backlog_counts_no_longer_once_its_owner_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("tickertape.stream.engine.windows.backlogs.monotonic", lambda: clock[0])
    world = World(monkeypatch)
    world.restore()
    world.read(encode(frame(1, upsert(0, 1.0), lanes={"s": 0}, behind=True)))
    clock[0] += 4.9
    assert world.bars() == []
    clock[0] += 0.1
    assert world.bars() == [("A", "1s", False, 1), ("A", "3s", False, 1)]


def test_the_frames_of_a_record_are_applied_one_after_the_other(world: World) -> None:
    one = frame(5, upsert(0, 1.0), lanes={"s": 1000}, partitions=2)
    # A frame's lanes cover what it holds itself, and not what is sent later: by then it is a zombie's.
    zombie = frame(4, upsert(0, 1.0, 2.0), lanes={"s": 0}, partitions=2)
    other = frame(7, upsert(0, 1.0, 2.0, 3.0), lanes={"s": 1000}, partition=1, partitions=2)
    world.read(*to_records([encode(made) for made in (one, zombie, other)]))
    assert world.bars() == [("A", "1s", True, 4), ("A", "3s", False, 4)]
    assert world.agent.read(0) == 1


def test_a_record_with_a_bad_frame_is_one_dead_letter_and_none_of_it_counts(world: World) -> None:
    good = frame(1, upsert(0, 1.0), lanes={"s": 1000})
    bad = structs.replace(good, partition=1, columns=good.columns | {"total": b""})
    world.read(*to_records([encode(good), encode(bad)]))
    (letter,) = [msgspec.json.decode(value, type=DeadLetter) for topic, *_, value in world.put_records]
    assert (letter.topic, letter.offset) == ("slices", 0)
    assert world.bars() == []


def test_frames_without_slices_wait_for_more_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    world, asked = World(monkeypatch), []
    monkeypatch.setattr(world.agent._pace, "ask", lambda *seconds: asked.append(seconds))
    world.restore()
    world.bars()
    world.read(encode(frame(1, lanes={"s": 0})))
    world.read(encode(frame(2, upsert(0, 1.0), lanes={"s": 0})))
    world.bars()
    world.read(encode(frame(3, lanes={"s": 0})))
    assert asked == [(0.1,), (), (0.1,)]


def test_the_next_fetch_does_not_wait_for_the_flush_of_frames_without_slices(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    processed: list[int] = []
    world.bars()
    monkeypatch.setattr(world.workload, "record_processed", lambda: processed.append(1))
    world.read(encode(frame(1, upsert(0, 1.0), lanes={"s": 0})))
    assert processed == []
    world.bars()
    world.read(encode(frame(2, lanes={"s": 0})))
    assert processed == [1]


def test_a_record_that_is_no_frame_is_one_dead_letter(world: World) -> None:
    world.read(encode(frame(1, lanes={"s": 0})), b"\xc1", None, b"\x9c\xa1\xff" + bytes(20), b"\x90")
    world.read(encode(frame(2, upsert(0, 1.0), lanes={"s": 0})))
    letters = [msgspec.json.decode(value, type=DeadLetter) for topic, *_, value in world.put_records]
    assert [(letter.topic, letter.partition, letter.offset) for letter in letters] == [
        ("slices", 0, i) for i in (1, 2, 3, 4)
    ]
    assert all(letter.reason.startswith("not a frame: ") for letter in letters)
    assert world.put_records[0][:3] == ("dead-letters", 0, b"slices|0|1")
    assert world.bars() == [("A", "1s", False, 1), ("A", "3s", False, 1)]


def test_the_next_owner_does_not_tell_of_bad_frames_again(world: World) -> None:
    world.read(b"\xc1", encode(frame(1, upsert(0, 1.0), lanes={"s": 0})))
    _, metadata = world.agent.checkpoint()[SHARD]
    world.put_records.clear()
    world.restore(0, metadata)
    world.values.append(b"\xc1")
    world.reread(0)
    assert [key for topic, _, key, _ in world.put_records if topic == "dead-letters"] == [b"slices|0|2"]


@pytest.mark.parametrize("metadata", ["set by hand", "{}", "[-1, 7]"])
def test_a_commit_that_is_not_ours_says_where_to_read_on(world: World, metadata: str) -> None:
    world.read(encode(frame(1, upsert(0, 1.0), lanes={"s": 0})))
    assert world.restore(1, metadata) == 1


def test_a_large_dead_letter_has_its_digest(world: World) -> None:
    large = b"\xc1" * 70_000
    world.read(large)
    letter = msgspec.json.decode(world.put_records[0][3], type=DeadLetter)
    assert letter.sha256 == sha256(large).hexdigest()


def test_the_next_owner_is_silent_until_it_knows_all_again(world: World) -> None:
    world.read(encode(frame(1, upsert(0, 1.0), lanes={"s": 1000})), encode(frame(2, lanes={"s": 1500})))
    offset, metadata = world.agent.checkpoint()[SHARD]
    assert offset == 0
    assert windows_from(metadata).upto == 2
    assert world.restore(offset, metadata) == 0
    assert world.agent.checkpoint() == {}
    assert world.bars() == []
    world.reread(0)
    assert world.bars() == [("A", "3s", False, 1)]
    again, same = world.agent.checkpoint()[SHARD]
    assert (again, windows_from(same)) == (offset, windows_from(metadata))


def test_a_frame_without_a_column_that_the_agent_has_by_now_stops_nothing(world: World) -> None:
    old = frame(1, upsert(0, 1.0), lanes={"s": 0})
    del old.columns["greatest_id"]
    world.read(encode(old), encode(frame(2, upsert(1000, 1.0), lanes={"s": 0})))
    ((topic, _, key, value),) = world.put_records
    assert (topic, key) == ("dead-letters", b"slices|0|0")
    reason = msgspec.json.decode(value, type=DeadLetter).reason
    assert reason.startswith("not a frame: it has no greatest_id: the agent may have changed since")
    assert world.bars() == [("A", "1s", False, 1), ("A", "3s", False, 1)]


def test_a_slice_past_the_horizon_is_told_of_with_the_checkpoint_under_its_own_key(world: World) -> None:
    world.read(
        encode(frame(1, lanes={"s": 0}, partition=1, partitions=2, idle="s")),
        encode(frame(1, lanes={"s": 90_000}, partitions=2)),
    )
    world.agent.checkpoint()
    world.read(encode(frame(2, upsert(29_000, 1.0, 2.0), lanes={"s": 500}, partition=1, partitions=2)))
    world.read(encode(frame(3, upsert(29_000, 1.0, 2.0, 3.0), lanes={"s": 500}, partition=1, partitions=2)))
    world.agent.flush()
    assert world.put_records == []
    _, metadata = world.agent.checkpoint()[SHARD]
    ((topic, partition, key, value),) = world.put_records
    assert (topic, partition, key) == ("late", 0, b"trades|1|s|A|%d" % (HOUR_MS + 29_000))
    late = msgspec.json.decode(value, type=LateSlice)
    # 90 s less a horizon of 60 s.
    assert (late.offset, late.events, late.late_by_ms) == (3, 3, 0)
    world.put_records.clear()
    world.agent.checkpoint()
    assert world.put_records == []
    # The next owner reads it again from the shard's beginning, and tells of nothing.
    assert world.restore(0, metadata) == 0
    world.reread(0)
    world.agent.checkpoint()
    assert world.put_records == []


def test_a_commit_past_the_shards_end_is_of_another_log(world: World) -> None:
    world.read(*(encode(frame(upto, lanes={"s": 9000})) for upto in (1, 2, 3)))
    offset, metadata = world.agent.checkpoint()[SHARD]
    assert offset == 3
    # The topic is created anew; what the commit knew is of slices that are not in it.
    world.values = [encode(frame(1, upsert(0, 1.0), lanes={"s": 0}))]
    assert world.restore(offset, metadata) == 0
    world.reread(0)
    assert world.bars() == [("A", "1s", False, 1), ("A", "3s", False, 1)]


def test_windows_whose_frames_retention_took_are_incomplete(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.read(
        encode(frame(1, upsert(0, 1.0), lanes={"s": 0})),
        encode(frame(2, upsert(1000, 1.0), lanes={"s": 0})),
        encode(frame(3, lanes={"s": 3000})),
    )
    world.agent.flush()
    assert not any(msgspec.json.decode(value, type=Window).incomplete for *_, value in world.put_records)
    metadata = to_metadata(WindowCheckpoint(upto=2))
    world.put_records.clear()
    assert world.restore(0, metadata, begin=1) == 1
    assert "slices, partition 0: retention deleted frames of open windows" in caplog.text
    world.reread(1)
    world.agent.flush()
    windows = [msgspec.json.decode(value, type=Window) for *_, value in world.put_records]
    assert {(w.resolution, w.source, w.start_ms - HOUR_MS, w.count, w.incomplete) for w in windows} == {
        ("1s", "s", 1000, 1, True),
        ("1s", "all", 1000, 1, True),
        ("3s", "s", 0, 1, True),
        ("3s", "all", 0, 1, True),
    }


def test_frames_that_no_open_window_needs_are_no_loss(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.read(encode(frame(1, upsert(0, 1.0), lanes={"s": 0})), encode(frame(2, lanes={"s": 3000})))
    # What is read from offset 0 only fills windows without events; open ones need nothing below 2.
    assert world.restore(0, to_metadata(WindowCheckpoint(upto=2, needed=2)), begin=1) == 1
    assert "retention deleted frames" not in caplog.text
    assert world.restore(0, to_metadata(WindowCheckpoint(upto=2, needed=0)), begin=1) == 1
    assert "retention deleted frames" in caplog.text


def test_a_shard_of_hundreds_of_sources_is_taken_up_from_its_commit(world: World) -> None:
    world.restore()
    crowd = {sha256(str(i).encode()).hexdigest()[:24]: 0 for i in range(500)}
    world.read(encode(frame(1, upsert(0, 1.0), lanes={"s": 0} | crowd)))
    offset, metadata = world.agent.checkpoint()[SHARD]
    assert is_long(metadata)
    world.restore(offset, metadata)
    world.reread(offset)
    # A lateness of 2 s: every lane at 3 s makes the bars that end there final.
    world.read(encode(frame(3, upsert(1000, 1.0), lanes=dict.fromkeys(("s", *crowd), 3000))))
    assert sorted(bar for bar in world.bars() if bar[2]) == [
        ("A", "1s", True, 1),
        ("A", "1s", True, 1),
        ("A", "3s", True, 2),
    ]


def test_who_reads_on_hears_how_far_results_are_final(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workload, "_MAX_SLICES_AHEAD", 1)
    ahead = TP("trades", 0)
    world.workload.record_backlog(ahead, behind=True, at_ms=HOUR_MS + 11_000)
    # Final is 0. With a lateness of 2 s, slices from 12 s on are beyond 10 s ahead of it: one.
    world.read(encode(frame(3, upsert(0, 1.0), upsert(11_000, 1.0), upsert(12_000, 1.0), lanes={"s": 0})))
    world.agent.flush()
    assert world.workload.held == set()
    world.read(encode(frame(4, upsert(13_000, 1.0), lanes={"s": 0})))
    world.agent.flush()
    assert world.workload.held == {ahead}
    # From 13 s on there is one.
    world.read(encode(frame(5, lanes={"s": 1000})))
    world.agent.flush()
    assert world.workload.held == set()
