"""Time from end to end, without Kafka: logs through slicers and windows, with the record marked that closes a window.

Lateness is 2 s, so a window that ends at 1000 is final once its lane has been at 3000. Results are of all sources.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import pytest

from tests.engine.blocks import HOUR_MS, TICKS, Log, slicer, tallied
from tests.engine.made_frames import WINDOWING, Shard, Window, owned
from tickertape.schemas.checkpoint import slices_from, to_metadata
from tickertape.schemas.frame import Frame
from tickertape.schemas.refused import DeadLetter, Late
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.slices.slicer import AWAKE, Idle, Slicer
from tickertape.stream.engine.windows.windows import Windows
from tickertape.stream.engine.worker.pipeline import Pipeline

ASLEEP = Idle(frozenset("st"), rest=True)


class Held(NamedTuple):
    """What a reader holds of a window."""

    count: int
    total: float
    final: bool
    incomplete: bool


@dataclass
class Line:
    """Partitions with their slicers, and one shard with its windows."""

    logs: list[Log]
    horizon_ms: int = 60_000
    refused: list[Late | DeadLetter] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shard = Shard(self.horizon_ms)
        self.slicers = [slicer(log, partitions=len(self.logs)) for log in self.logs]

    def read(self, *, idle: tuple[Idle, ...] = ()) -> "Line":
        """Read all that the logs hold, and publish; ``idle`` is by partition."""
        for partition, (log, owner) in enumerate(zip(self.logs, self.slicers, strict=True)):
            if owner.read < log.end:
                self.refused += owner.fold(log.block(owner.read))
            asleep = idle[partition] if idle else AWAKE
            self.shard.apply_frames(*(frame for _, frame in owner.flush(lambda _: 0, 1, everyone=True, idle=asleep)))
        self.shard.flush()
        return self

    def restart(self, partition: int = 0, *, lateness_ms: int = 2000, begin: int = 0, now: int = 0) -> Slicer:
        """Give a partition to another owner, who knows but the commit."""
        offset, saved = self.slicers[partition].checkpoint()
        owner = self.slicers[partition] = slicer(
            self.logs[partition],
            partitions=len(self.logs),
            lateness_ms=lateness_ms,
            checkpoint=slices_from(to_metadata(saved)),
            committed=offset,
            begin=begin,
            now=now,
        )
        return owner

    def seconds(self, symbol: str = "A", source: str = "all") -> dict[int, Held]:
        """Return what a reader holds of the windows of a second."""
        return {
            start: Held(window.count, window.total, window.final, window.incomplete)
            for (name, resolution, start, of), window in sorted(self.shard.holds.items())
            if (name, resolution, of) == (source, "1s", symbol)
        }


def final(count: int, total: float, *, incomplete: bool = False) -> Held:
    return Held(count, total, final=True, incomplete=incomplete)


def open_(count: int, total: float, *, incomplete: bool = False) -> Held:
    return Held(count, total, final=False, incomplete=incomplete)


def test_a_late_record_is_told_with_by_how_much_and_changes_no_result() -> None:
    log = Log().tick(400, 1, 1.0).tick(600, 2, 2.0)
    log.tick(2999, 3, 4.0)
    line = Line([log]).read()
    assert line.seconds() == {0: open_(2, 3.0), 2000: open_(1, 4.0)}
    log.tick(800, 4, 8.0)  # in time
    log.tick(3250, 5, 16.0)  # it closes the window that ends at 1000: the frontier is 1250
    log.tick(900, 6, 32.0)  # late by 250 ms
    log.tick(1000, 7, 64.0)  # in time: its window ends at 2000
    line.read()
    assert line.seconds() == {
        0: final(3, 11.0),
        1000: open_(1, 64.0),
        2000: open_(1, 4.0),
        3000: open_(1, 16.0),
    }
    (late,) = line.refused
    assert isinstance(late, Late)
    assert (late.offset, late.time_ms - HOUR_MS, late.frontier_ms - HOUR_MS, late.late_by_ms) == (5, 900, 1250, 250)
    assert (late.source, late.symbol, msgspec.json.decode(late.value)["id"]) == ("s", "A", 6)


def test_a_record_from_the_future_closes_nothing() -> None:
    log = Log().tick(500, 1, 1.0)
    log.tick(600_000, 2, 2.0, received=700, appended=700)  # by its own clock it would close everything
    log.beat(90_000, appended=700)  # a heartbeat further ahead than an event may be: neither does that
    log.tick(900, 3, 4.0)
    line = Line([log]).read()
    assert line.seconds() == {0: open_(2, 5.0)}
    assert [(one.offset, one.reason) for one in line.refused if isinstance(one, DeadLetter)] == [
        (1, "event time is 599300 ms past its receipt, and skew_ms is 5000"),
        (2, "a heartbeat 89300 ms ahead of its append time, and skew_ms is 5000"),
    ]
    log.tick(5700, 4, 8.0, received=700, appended=700)  # by as much as is allowed: it closes 0 to 3000
    log.tick(950, 5, 16.0, appended=950)
    line.read()
    assert line.seconds() == {0: final(2, 5.0), 5000: open_(1, 8.0)}
    assert [one.late_by_ms for one in line.refused if isinstance(one, Late)] == [2700]


def test_a_quiet_symbol_is_final_by_what_others_of_its_lane_say() -> None:
    log = Log().tick(0, 1, 1.0).tick(100, 1, 2.0, symbol="B")
    log.tick(3000, 2, 4.0, symbol="B")  # it closes what ends at 1000, of A too
    line = Line([log]).read()
    assert line.seconds("A") == {0: final(1, 1.0)}
    assert line.seconds("B") == {0: final(1, 2.0), 3000: open_(1, 4.0)}


def test_where_all_symbols_are_quiet_a_heartbeat_closes() -> None:
    log = Log().tick(0, 1, 1.0)
    line = Line([log]).read()
    log.beat(2999)
    assert line.read().seconds() == {0: open_(1, 1.0)}
    log.beat(3000)  # it closes what ends at 1000
    assert line.read().seconds() == {0: final(1, 1.0)}


def test_an_idle_partition_holds_nothing_back_once_its_owner_says_so() -> None:
    busy, quiet = Log(0).tick(0, 1, 1.0), Log(1).tick(0, 1, 2.0, symbol="B")
    busy.tick(60_000, 2, 4.0)  # it would close all up to 58 000
    line = Line([busy, quiet]).read()
    assert line.seconds("A") == {0: open_(1, 1.0), 60_000: open_(1, 4.0)}
    line.read(idle=(AWAKE, ASLEEP))  # this does
    assert line.seconds("A") == {0: final(1, 1.0), 60_000: open_(1, 4.0)}
    # What the quiet one has open comes out too.
    assert line.seconds("B") == {0: final(1, 2.0)}


def test_a_partition_that_is_empty_holds_back_until_its_owner_calls_it_idle() -> None:
    busy = Log(0).tick(0, 1, 1.0).tick(3000, 2, 4.0)
    line = Line([busy, Log(1)]).read()
    assert line.seconds() == {0: open_(1, 1.0), 3000: open_(1, 4.0)}
    line.read(idle=(AWAKE, ASLEEP))  # it closes what ends at 1000
    assert line.seconds() == {0: final(1, 1.0), 3000: open_(1, 4.0)}


def test_a_partition_that_was_silent_for_minutes_corrects_what_is_final() -> None:
    busy, quiet = Log(0).tick(0, 1, 1.0), Log(1).tick(500, 9, 2.0)
    line = Line([busy, quiet], horizon_ms=600_000).read()
    busy.tick(180_000, 2, 4.0)  # three minutes on, it closes all up to 178 000
    line.read(idle=(AWAKE, ASLEEP))
    assert line.seconds() == {0: final(2, 3.0), 180_000: open_(1, 4.0)}
    # It wakes with what it had all the while: in its own lane nothing of it is late.
    quiet.tick(700, 10, 8.0).tick(61_000, 11, 16.0).tick(180_500, 12, 32.0)
    line.read()
    assert line.seconds() == {0: final(3, 11.0), 61_000: final(1, 16.0), 180_000: open_(2, 36.0)}
    assert line.refused == []
    assert line.shard.windows.late() == []
    # The revision is the count: a reader takes the correction for the newer one.
    assert line.shard.holds["all", "1s", 0, "A"].revision == 3


def test_past_the_horizon_a_slice_is_told_of_and_no_result_changes() -> None:
    busy, quiet = Log(0).tick(0, 1, 1.0), Log(1).tick(500, 9, 2.0)
    line = Line([busy, quiet], horizon_ms=60_000).read()
    busy.tick(182_000, 2, 4.0)  # closes all up to 180 000, and the results up to 120 000 for good
    line.read(idle=(AWAKE, ASLEEP))
    quiet.tick(700, 10, 8.0).tick(119_999, 11, 16.0)  # both past the horizon
    quiet.tick(120_000, 12, 32.0)  # the first that isn't
    line.read()
    assert line.seconds() == {0: final(2, 3.0), 120_000: final(1, 32.0), 182_000: open_(1, 4.0)}
    assert [
        (one.time_ms - HOUR_MS, one.events, one.late_by_ms, one.input_partition, one.missing_in)
        for one in line.shard.windows.late()
    ] == [(0, 1, 119_000, 1, ["s", "all"]), (119_000, 1, 0, 1, ["s", "all"])]
    # They were counted, for in their lane they were not late.
    assert tallied(line.slicers[1].tallies) == {"counted": 4}


@pytest.mark.parametrize("before", [500, 8000])
def test_another_lateness_holds_from_where_the_next_owner_goes_on(before: int) -> None:
    log = Log().tick(0, 1, 1.0)
    line = Line([log])
    line.restart(lateness_ms=before)
    log.tick(4000, 2, 2.0)  # the frontier is at 3500, or at -4000
    line.read()
    line.restart(lateness_ms=2000)
    log.tick(900, 3, 4.0)
    log.tick(4500, 4, 8.0)  # the frontier would be at 2500
    log.tick(3200, 5, 16.0)
    line.read()
    if before == 500:
        # It never moves back: what was final stays so, though now there would have been time.
        assert line.seconds() == {0: final(1, 1.0), 3000: open_(1, 16.0), 4000: open_(2, 10.0)}
        assert [one.late_by_ms for one in line.refused if isinstance(one, Late)] == [2500]
    else:
        # The one at 900 meets what the old lateness left; from the next one on the new one holds.
        assert line.seconds() == {0: final(2, 5.0), 3000: open_(1, 16.0), 4000: open_(2, 10.0)}
        assert line.refused == []


def test_another_width_of_slices_reads_the_log_anew_and_mixes_nothing() -> None:
    log = Log().tick(100, 1, 1.0).tick(600, 2, 2.0).tick(1200, 3, 4.0).beat(9000)
    one_second, half = Settings(), Settings(slice_ms=500)
    assert [Pipeline(settings, "0").conf.id for settings in (one_second, half)] == [
        "tickertape-1000-5000",
        "tickertape-500-5000",
    ]
    frames: list[Frame] = []
    for settings in (one_second, half):
        owner = Slicer(
            TICKS,
            0,
            1,
            slice_ms=settings.slice_ms,
            skew_ms=settings.skew_ms,
            lateness_ms=2000,
            epoch=settings.epoch,
            checkpoint=None,
            committed=None,
            begin=0,
        )
        owner.fold(log.block())
        frames += [frame for _, frame in owner.flush(lambda _: 0, 1, everyone=True)]
    assert [len(frame.columns["slice_ms"]) // 8 for frame in frames] == [2, 3]
    # The shard holds what both epochs wrote; whoever reads it takes its own.
    for settings in (one_second, half):
        windows = Windows(WINDOWING, slice_ms=settings.slice_ms, horizon_ms=60_000, epoch=settings.epoch)
        windows.assign(0, owned().checkpoint(0, 0)[1])
        windows.start_publishing(0)
        for offset, frame in enumerate(frames):
            windows.apply_frame(0, offset, frame)
        results = [msgspec.json.decode(value, type=Window) for _, _, _, value in windows.flush()]
        assert {
            (window.resolution, window.start_ms - HOUR_MS): (window.count, window.total, window.final)
            for window in results
            if window.source == "all"
        } == {("1s", 0): (2, 3.0, True), ("1s", 1000): (1, 4.0, True), ("3s", 0): (3, 7.0, True)}


def test_what_retention_took_past_the_commit_is_counted_and_its_windows_are_marked() -> None:
    log = Log().tick(0, 1, 1.0).tick(3100, 2, 2.0)  # closes what ends at 1000
    line = Line([log]).read()
    log.tick(3200, 3, 4.0).tick(3300, 4, 8.0)  # offsets 2 and 3: no worker runs, and retention takes them
    log.tick(3400, 5, 16.0).tick(6500, 6, 32.0)
    log.tick(20_000, 7, 64.0)  # closes what ends at 18 000
    owner = line.restart(begin=4, now=6600)
    line.read()
    assert tallied(owner.tallies) == {"counted": 4, "late": 1, "lost": 2}
    # Offset 4 is of the slice that was open: what was published of it stands, and it is closed.
    assert [(one.offset, one.late_by_ms) for one in line.refused if isinstance(one, Late)] == [(4, 0)]
    # What was lost may have been of any time up to now and the skew: the windows up to 12 000 are marked. The one at
    # 0 was final before, and stays as it was told.
    assert line.seconds() == {
        0: final(1, 1.0),
        3000: final(1, 2.0, incomplete=True),
        6000: final(1, 32.0, incomplete=True),
        20_000: open_(1, 64.0),
    }
    assert line.shard.windows.late() == []
