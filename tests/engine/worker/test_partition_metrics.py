"""What a worker's metrics say of its partitions: through commits, takeovers and losses."""

import time
from collections.abc import Iterator

import pytest
from faust.types import TP
from prometheus_client import generate_latest

from tickertape.schemas.checkpoint import SliceCheckpoint, Views, WindowCheckpoint, to_metadata
from tickertape.schemas.frame import Lane, Tallies
from tickertape.stream.engine.core.positions import LogEnd, Position
from tickertape.stream.engine.worker.partition_metrics import PartitionMetrics
from tickertape.stream.telemetry.registries import WORKER

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
def report() -> Iterator[PartitionMetrics]:
    report = PartitionMetrics(lambda tp: LogEnd(500, 0.0, 500) if tp == TRADES else None)
    yield report
    report.assign({}, ("trades", "slices"))


def test_records_are_counted_by_commit_and_by_nobody_else(report: PartitionMetrics) -> None:
    before = of_trades("records_total", outcome="counted") or 0.0
    report.assign({TRADES: position(None, "")}, ("trades", "slices"))
    # It is there before there is anything to count: else the first would not be an increase. So are those of partitions
    # that may come.
    assert of_trades("records_total", outcome="late") is not None
    assert value("records_total", topic="trades", partition=6, outcome="late") == 0
    assert of_trades("records_total", outcome="counted") == before
    report.committed({TRADES: (90, slices(100, counted=95, late=5))})
    report.committed({TRADES: (190, slices(200, counted=194, late=5, heartbeats=1))})
    assert of_trades("records_total", outcome="counted") == before + 194
    # Somebody else reads from there on.
    report.assign({}, ("trades", "slices"))
    assert of_trades("records_total", outcome="counted") == before + 194
    report.assign({TRADES: position(290, slices(300, counted=294, late=5, heartbeats=1))}, ("trades", "slices"))
    report.committed({TRADES: (300, slices(310, counted=303, late=5, heartbeats=2))})
    assert of_trades("records_total", outcome="counted") == before + 194 + 9


def test_a_commit_of_a_partition_that_was_taken_away_meanwhile_still_counts(report: PartitionMetrics) -> None:
    before = of_trades("records_total", outcome="counted") or 0.0
    report.assign({TRADES: position(None, "")}, ("trades",))
    report.assign({}, ("trades",))
    report.committed({TRADES: (10, slices(10, counted=10))})
    assert of_trades("records_total", outcome="counted") == before + 10
    assert of_trades("committed_offset") is None


def test_a_commit_of_another_log_is_no_beginning(report: PartitionMetrics) -> None:
    before = of_trades("records_total", outcome="counted") or 0.0
    # The log ends before the commit: the topic was created anew.
    report.assign({TRADES: position(900, slices(900, counted=900), end=10)}, ("trades",))
    report.committed({TRADES: (10, slices(10, counted=10))})
    assert of_trades("records_total", outcome="counted") == before + 10


def test_where_a_partition_stands(report: PartitionMetrics) -> None:
    report.assign({TRADES: position(90, slices(100, counted=100))}, ("trades", "slices"))
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


def test_gauges_go_with_their_partition(report: PartitionMetrics) -> None:
    report.assign({TRADES: position(90, slices(100))}, ("trades",))
    report.look([Reader("trades", 480)])
    report.committed({TRADES: (470, slices(480, 1_700_000_000_500))})
    report.assign({}, ("trades",))
    shown = generate_latest(WORKER).decode()
    gauges = [line for line in shown.splitlines() if 'partition="7"' in line and "_total{" not in line]
    assert gauges == []
    assert value("owned_partitions", topic="trades") == 0


def test_a_checkpoint_that_stands_is_not_old(report: PartitionMetrics) -> None:
    report.assign({TRADES: position(90, slices(100))}, ("trades",))
    taken_up = of_trades("checkpoint_timestamp_seconds")
    time.sleep(0.01)
    report.stands({TRADES: (90, slices(100))})
    assert of_trades("checkpoint_timestamp_seconds") > taken_up  # type: ignore[operator]  # both are there


def windows(**final: int) -> tuple[int, str]:
    return 0, to_metadata(WindowCheckpoint(upto=5, topics={"trades": Views(8, final, final)}))


def test_results_are_final_up_to_where_the_last_shard_is(report: PartitionMetrics) -> None:
    other = TP("slices", 4)
    report.assign({SHARD: position(None, ""), other: position(None, "")}, ("slices",))
    report.committed({SHARD: windows(all=5000, binance=6000), other: windows(all=4000)})
    assert value("final_timestamp_seconds", topic="trades", source="all") == 4
    # The other shard has nothing final of it yet.
    assert value("final_timestamp_seconds", topic="trades", source="binance") is None


def test_gauges_go_with_their_source(report: PartitionMetrics) -> None:
    report.assign({TRADES: position(None, ""), SHARD: position(None, "")}, ("trades", "slices"))
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
    report.assign({TRADES: position(None, ""), other: position(None, "")}, ("trades", "slices"))
    report.committed({TRADES: (9, slices(9, 5000))})
    report.committed({other: (9, to_metadata(SliceCheckpoint(upto=9)))})
    assert of_trades("watermark_timestamp_seconds", source="binance") == 5
