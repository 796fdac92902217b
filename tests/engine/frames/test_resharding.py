"""Frames of some shards made frames of another number: the same results, wherever it happens."""

from typing import TypeAlias

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.blocks import EPOCH, HOUR_MS, Log, slicer, unpacked
from tests.engine.logs import logs
from tests.engine.made_frames import Frame, Window, Windows, frame, owned, upsert
from tickertape.schemas.checkpoint import Views, WindowCheckpoint
from tickertape.schemas.frame import NEVER_MS
from tickertape.stream.engine.frames.resharding import Resharding, merged
from tickertape.stream.engine.slices.slicer import Slicer
from tickertape.stream.kafka.partition import partition_for

# By murmur2 modulo 3: shards 0, 1 and 2.
SYMBOLS = "DAF"


class Pipeline:
    """Partitions, shards and their owners; a reader keeps the highest (final, revision)."""

    def __init__(self, slicers: list[Slicer], shards: int) -> None:
        self.slicers = slicers
        self.logs: list[list[Frame]] = [[] for _ in range(shards)]
        self.read = [0] * shards
        self.owners = [_owned(Views()) for _ in range(shards)]
        self.holds: dict[str, Window] = {}

    def fold(self, partition: int, log: Log, start: int, end: int, *, everyone: bool) -> None:
        slicer, n = self.slicers[partition], len(self.logs)
        slicer.fold(log.block(start, end))
        for shard, one in slicer.flush(lambda symbol: partition_for(symbol, n), n, everyone=everyone):
            self.logs[shard].append(one)

    def publish(self, shard: int) -> None:
        for at in range(self.read[shard], len(self.logs[shard])):
            self.owners[shard].apply_frame(0, at, self.logs[shard][at])
        self.read[shard] = len(self.logs[shard])
        for _, _, key, value in self.owners[shard].flush():
            window, name = msgspec.json.decode(value, type=Window), key.decode()
            if name not in self.holds or (window.final, window.revision) >= (
                self.holds[name].final,
                self.holds[name].revision,
            ):
                self.holds[name] = window

    def reshard(self, shards: int) -> None:
        """Have every owner commit, and begin with other shards from what the commits need."""
        commits, resharding = [], Resharding(len(self.logs), shards, slice_ms=1000, epoch=EPOCH)
        new: list[list[Frame]] = [[] for _ in range(shards)]
        for shard, log in enumerate(self.logs):
            offset, views = self.owners[shard].checkpoint(0, self.read[shard])
            commits.append(WindowCheckpoint(upto=self.read[shard], topics={"trades": views}))
            for one in log[offset:]:
                for to, part in resharding.split(shard, one):
                    new[to].append(part)
            for to, part in resharding.lanes():
                new[to].append(part)
        for to, part in resharding.lanes(end=True):
            new[to].append(part)
        views = merged(commits).get("trades", Views())
        self.logs, self.read = new, [0] * shards
        self.owners = [_owned(views, settled=False) for _ in range(shards)]
        for shard in range(shards):
            before = dict(self.holds)
            self.publish(shard)
            assert self.holds == before, "nothing is published before all is known again"
            self.owners[shard].start_publishing(0)


def _owned(views: Views, *, settled: bool = True) -> Windows:
    return owned(views, settled=settled)


Story: TypeAlias = tuple[list[Log], list[tuple[str, int, int]], int]


@st.composite
def _stories(draw: st.DrawFn) -> Story:
    """Draw logs of two partitions, the turns of their readers and of shards' owners, and how many shards there are."""
    inputs = [draw(logs(partition, opened=True, closed=True)) for partition in range(2)]
    turns = draw(
        st.lists(
            st.tuples(st.sampled_from(["fold", "fold", "publish", "reshard"]), st.integers(0, 3), st.integers(1, 8)),
            max_size=14,
        )
    )
    return inputs, turns, draw(st.integers(1, 3))


def played(story: Story, most_sources: int) -> tuple[Pipeline, Pipeline]:
    """Play a story on shards that are changed, and on one that isn't."""
    inputs, turns, shards = story
    changed, plain = (
        Pipeline([slicer(log, partitions=2, most_sources=most_sources) for log in inputs], n) for n in (shards, 1)
    )
    read = [0, 0]
    for kind, which, size in [*turns, ("fold", 0, 999), ("fold", 1, 999)]:
        match kind:
            case "fold":
                at = which % 2
                end = min(read[at] + size, inputs[at].end)
                for pipeline in (changed, plain):
                    # Frames that go only where something has changed leave some shards behind.
                    pipeline.fold(at, inputs[at], read[at], end, everyone=which < 2 or size == 999)
                read[at] = end
            case "publish":
                changed.publish(which % len(changed.logs))
            case "reshard":
                for shard in range(len(changed.logs)):
                    changed.publish(shard)
                changed.reshard(size % 3 + 1)
    for pipeline in (changed, plain):
        for shard in range(len(pipeline.logs)):
            pipeline.publish(shard)
    return changed, plain


@given(_stories())
@settings(max_examples=300)
def test_finals_are_the_same_whenever_the_shards_are_changed(story: Story) -> None:
    changed, plain = played(story, most_sources=64)
    assert all(window.final for pipeline in (changed, plain) for window in pipeline.holds.values())
    assert changed.holds == plain.holds


@given(_stories(), st.integers(1, 2))
def test_results_are_the_same_where_sources_make_room(story: Story, most_sources: int) -> None:
    changed, plain = played(story, most_sources)
    # Of a source that there is no room for, nothing tells that a result is final.
    results = [
        {name: (window.count, window.total) for name, window in pipeline.holds.items()} for pipeline in (changed, plain)
    ]
    assert results[0] == results[1]


def test_a_new_shard_is_told_the_least_that_the_old_ones_have_heard() -> None:
    resharding = Resharding(2, 1, slice_ms=1000, epoch=EPOCH)
    # One old shard has heard that the lane is at 1000, the other still has an upsert before that to come.
    assert resharding.split(0, frame(1, lanes={"s": 1000})) == []
    ((shard, told),) = resharding.split(1, frame(1, upsert(0, 1.5), lanes={"s": 0}))
    assert (shard, [lane.frontier_ms for lane in told.lanes]) == (0, [HOUR_MS])
    assert unpacked(told) == dict([upsert(0, 1.5)])


def test_what_is_left_of_who_made_room_is_not_passed_over() -> None:
    resharding = Resharding(2, 1, slice_ms=1000, epoch=EPOCH)
    # One old shard has heard that `s` made room for `t`, the other still has an upsert of it to come.
    ((_, told),) = resharding.split(0, frame(9, upsert(70_000, 2.5, source="t"), lanes={"t": 60_000}, evicted=1000))
    assert told.evicted_ms == NEVER_MS
    ((_, told),) = resharding.split(1, frame(1, upsert(0, 1.5), lanes={"s": 0}))
    assert unpacked(told) == dict([upsert(0, 1.5)])
    resharding.split(0, frame(2, lanes={"s": 0}))
    resharding.split(1, frame(9, lanes={"t": 60_000}, evicted=1000))
    assert [{lane.source for lane in told.lanes} for _, told in resharding.lanes()] == [{"s", "t"}]
    ((_, end),) = resharding.lanes(end=True)
    assert ([lane.source for lane in end.lanes], end.evicted_ms) == (["t"], HOUR_MS + 1000)


def test_a_new_shard_knows_no_less_of_who_was_forgotten_than_any_old_one() -> None:
    some = Views(1, {"all": 90, "s": 70}, {"all": 90, "s": 75}, [], 40)
    found = merged(
        [WindowCheckpoint(topics={"trades": one}) for one in (some, Views(1, {"all": 80}, {"all": 85}, [], 60))]
    )
    assert found["trades"] == Views(1, {"all": 80, "s": 60}, {"all": 85, "s": 60}, [], 60)


def test_what_an_old_shard_had_passed_is_left_out() -> None:
    resharding = Resharding(1, 2, slice_ms=1000, epoch=EPOCH)
    resharding.split(0, frame(2, lanes={"s": 1000}))
    assert resharding.split(0, frame(1, upsert(0, 9.0))) == []
    assert [unpacked(told) for _, told in resharding.split(0, frame(1, upsert(1000, 9.0)))] == [
        dict([upsert(1000, 9.0)])
    ]


def test_a_frame_goes_to_the_shards_of_its_symbols() -> None:
    resharding = Resharding(1, 3, slice_ms=1000, epoch=EPOCH)
    upserts = [upsert(0, 1.0, symbol=symbol) for symbol in SYMBOLS]
    split = resharding.split(0, frame(1, *upserts))
    assert {shard: unpacked(told) for shard, told in split} == {
        partition_for(one[0].symbol, 3): dict([one]) for one in upserts
    }


def test_another_epoch_is_left_out() -> None:
    assert Resharding(1, 2, slice_ms=1000, epoch=EPOCH).split(0, frame(1, upsert(0, 1.0), epoch="500-5000")) == []


def test_who_is_idle_is_said_at_the_end() -> None:
    resharding = Resharding(1, 1, slice_ms=1000, epoch=EPOCH)
    resharding.split(0, frame(1, lanes={"s": 0}, idle="s", resting=True))
    for end in (False, True):
        ((_, told),) = resharding.lanes(end=end)
        assert (told.idle, [lane.idle for lane in told.lanes]) == (end, [end])


def test_a_new_shard_knows_what_all_old_ones_do() -> None:
    old = [
        WindowCheckpoint(5, {"trades": Views(4, {"all": 10, "s": 10}, {"all": 20, "s": 20})}),
        WindowCheckpoint(9, {"trades": Views(2, {"all": 8, "s": 11}, {"all": 21, "s": 19})}),
    ]
    assert merged(old) == {"trades": Views(4, {"all": 8, "s": 10}, {"all": 20, "s": 19})}
