"""What a worker's metrics say of its partitions: through commits, takeovers and losses."""

import time
from collections.abc import Iterator

import pytest
from faust.types import TP
from msgspec.structs import replace
from prometheus_client import generate_latest

from schemas.frame import Frame, Lane, Tallies
from stream.engine.checkpoint import SliceCheckpoint, Views, WindowCheckpoint, to_metadata
from stream.engine.report import Latency, Report
from stream.engine.transport import LogEnd, Position
from stream.metrics import WORKER
from tests.engine.frames import frame, upsert

TRADES, SHARD = TP("trades", 7), TP("slices", 3)


def value(name: str, **labels: object) -> float | None:
    return WORKER.get_sample_value(f"tickertape_{name}", {key: str(label) for key, label in labels.items()})


def of_trades(name: str, **labels: object) -> float | None:
    return value(name, topic="trades", partition=7, **labels)


def slices(upto: int, watermark_ms: int = 0, **tallies: int) -> str:
    lanes = [Lane("binance", watermark_ms, watermark_ms - 2000)]
    return to_metadata(SliceCheckpoint(upto=upto, lanes=lanes, tallies=Tallies(**tallies), partitions=9))


def position(committed: int | None, metadata: str, end: int = 1000) -> Position:
    return Position(begin=0, end=end, committed=committed, metadata=metadata, partitions=8)


class Reader:
    """Has read as far as it says."""

    def __init__(self, topic: str, read: int | None) -> None:
        self.topic = topic
        self._read = read

    def read(self, _: int) -> int | None:
        return self._read


@pytest.fixture
def report() -> Iterator[Report]:
    report = Report(lambda tp: LogEnd(500, 0.0, 500) if tp == TRADES else None)
    yield report
    report.own({}, ("trades", "slices"))


def test_records_are_counted_by_commit_and_by_nobody_else(report: Report) -> None:
    before = of_trades("records_total", outcome="counted") or 0.0
    report.own({TRADES: position(None, "")}, ("trades", "slices"))
    # It is there before there is anything to count: else the first would not be an increase. So are those of partitions
    # that may come.
    assert of_trades("records_total", outcome="late") is not None
    assert value("records_total", topic="trades", partition=6, outcome="late") == 0
    assert of_trades("records_total", outcome="counted") == before
    report.committed({TRADES: (90, slices(100, counted=95, late=5))})
    report.committed({TRADES: (190, slices(200, counted=194, late=5, heartbeats=1))})
    assert of_trades("records_total", outcome="counted") == before + 194
    # Somebody else reads from there on.
    report.own({}, ("trades", "slices"))
    assert of_trades("records_total", outcome="counted") == before + 194
    report.own({TRADES: position(290, slices(300, counted=294, late=5, heartbeats=1))}, ("trades", "slices"))
    report.committed({TRADES: (300, slices(310, counted=303, late=5, heartbeats=2))})
    assert of_trades("records_total", outcome="counted") == before + 194 + 9


def test_a_commit_of_a_partition_that_was_taken_away_meanwhile_still_counts(report: Report) -> None:
    before = of_trades("records_total", outcome="counted") or 0.0
    report.own({TRADES: position(None, "")}, ("trades",))
    report.own({}, ("trades",))
    report.committed({TRADES: (10, slices(10, counted=10))})
    assert of_trades("records_total", outcome="counted") == before + 10
    assert of_trades("committed_offset") is None


def test_a_commit_of_another_log_is_no_beginning(report: Report) -> None:
    before = of_trades("records_total", outcome="counted") or 0.0
    # The log ends before the commit: the topic was created anew.
    report.own({TRADES: position(900, slices(900, counted=900), end=10)}, ("trades",))
    report.committed({TRADES: (10, slices(10, counted=10))})
    assert of_trades("records_total", outcome="counted") == before + 10


def test_where_a_partition_stands(report: Report) -> None:
    report.own({TRADES: position(90, slices(100, counted=100))}, ("trades", "slices"))
    # What an owner reads again below what is read already is not behind.
    report.look([Reader("trades", 95), Reader("slices", None)])
    assert (of_trades("read_offset"), of_trades("end_offset"), of_trades("lag_records")) == (100, 500, 400)
    report.look([Reader("trades", 480), Reader("slices", None)])
    assert (of_trades("read_offset"), of_trades("lag_records")) == (480, 20)
    report.committed({TRADES: (470, slices(480, 1_700_000_000_500, counted=480))})
    assert of_trades("committed_offset") == 470
    assert of_trades("watermark_timestamp_seconds", source="binance") == 1_700_000_000.5
    assert value("topic_partitions", topic="trades") == 9
    assert value("owned_partitions", topic="trades") == 1
    assert value("owned_partitions", topic="slices") == 0


def test_gauges_go_with_their_partition(report: Report) -> None:
    report.own({TRADES: position(90, slices(100))}, ("trades",))
    report.look([Reader("trades", 480)])
    report.committed({TRADES: (470, slices(480, 1_700_000_000_500))})
    report.own({}, ("trades",))
    shown = generate_latest(WORKER).decode()
    gauges = [line for line in shown.splitlines() if 'partition="7"' in line and "records_total" not in line]
    assert gauges == []
    assert value("owned_partitions", topic="trades") == 0


def test_a_checkpoint_that_stands_is_not_old(report: Report) -> None:
    report.own({TRADES: position(90, slices(100))}, ("trades",))
    taken_up = of_trades("checkpoint_timestamp_seconds")
    time.sleep(0.01)
    report.stands({TRADES: (90, slices(100))})
    assert of_trades("checkpoint_timestamp_seconds") > taken_up  # type: ignore[operator]  # both are there


def windows(**final: int) -> tuple[int, str]:
    return 0, to_metadata(WindowCheckpoint(upto=5, topics={"trades": Views(8, final, final)}))


def test_results_are_final_up_to_where_the_last_shard_is(report: Report) -> None:
    other = TP("slices", 4)
    report.own({SHARD: position(None, ""), other: position(None, "")}, ("slices",))
    report.committed({SHARD: windows(all=5000, binance=6000), other: windows(all=4000)})
    assert value("final_timestamp_seconds", topic="trades", source="all") == 4
    # The other shard has nothing final of it yet.
    assert value("final_timestamp_seconds", topic="trades", source="binance") is None


def counted() -> tuple[float, float]:
    count = value("event_to_result_seconds_count", topic="bars") or 0.0
    return count, value("event_to_result_seconds_sum", topic="bars") or 0.0


def of(age_seconds: float, *upserts: bool) -> Frame:
    lane = Lane("s", int((time.time() - age_seconds) * 1000), 0)
    return replace(frame(2, *[upsert(0, 1.0) for _ in upserts]), lanes=[lane])


def test_gauges_go_with_their_source(report: Report) -> None:
    report.own({TRADES: position(None, ""), SHARD: position(None, "")}, ("trades", "slices"))
    for source in ("gone", "there"):
        lanes = [Lane(source, 5000, 3000)]
        report.committed({TRADES: (9, to_metadata(SliceCheckpoint(upto=9, lanes=lanes)))})
        views = Views(1, {}, {source: 4000, "all": 4000})
        report.committed({SHARD: (9, to_metadata(WindowCheckpoint(upto=9, topics={"trades": views})))})
    assert of_trades("watermark_timestamp_seconds", source="there") == 5
    assert value("final_timestamp_seconds", topic="trades", source="there") == 4
    assert of_trades("watermark_timestamp_seconds", source="gone") is None
    assert value("final_timestamp_seconds", topic="trades", source="gone") is None
    # A partition that has lost its source takes nothing of another's.
    other = TP("trades", 8)
    report.own({TRADES: position(None, ""), other: position(None, "")}, ("trades", "slices"))
    report.committed({TRADES: (9, slices(9, 5000))})
    report.committed({other: (9, to_metadata(SliceCheckpoint(upto=9)))})
    assert of_trades("watermark_timestamp_seconds", source="binance") == 5


def test_latency_is_that_of_the_frame_that_waited_longest() -> None:
    latency, (count, total) = Latency(), counted()
    latency.hear(of(60.0))  # no upserts, nothing waits
    latency.hear(of(3.0, True))
    latency.hear(of(1.0, True))
    latency.published("trades", "bars")
    latency.clear()
    latency.published("trades", "bars")
    assert counted()[0] == count + 1
    assert counted()[1] - total == pytest.approx(3.0, abs=0.5)
