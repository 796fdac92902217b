"""The view, its takeovers and the balance: without Kafka."""

import time
from typing import Any

import msgspec
import pytest
from aiokafka.structs import ConsumerRecord

from tickertape.schemas.frame import Frame, Lane, Tallies, to_records
from tickertape.stream.kafka.admin.topics import PartitionState
from tickertape.stream.kafka.partition import partition_for
from tickertape.stream.terminal import table
from tickertape.stream.terminal.balance import balance
from tickertape.stream.terminal.takeover import Takeover
from tickertape.stream.terminal.view import View
from tickertape.stream.top.cells import GAP, fitting

EPOCH = "1000-5000"
NOW_MS = int(time.time() * 1000)
START_MS = NOW_MS - NOW_MS % 1000
NOTHING = dict.fromkeys(Tallies.__struct_fields__, 0)


def record(topic: str, key: str, value: bytes) -> ConsumerRecord:
    return ConsumerRecord(topic, 0, 0, NOW_MS, 1, key.encode(), value, None, 0, 0, ())


def bar(count: int, *, start_ms: int = START_MS, symbol: str = "BTC-USD", width: str = "1s", **other: Any) -> Any:
    fields = {"symbol": symbol, "source": "sim", "resolution": width, "start_ms": start_ms, "open": 2.0, "close": 3.0}
    fields |= {"close_ms": start_ms, "volume": 5.0, "vwap": 2.5, "count": count, "final": False, "revision": count}
    return record("bars", f"{symbol}|sim|{width}|{start_ms}", msgspec.json.encode(fields | other))


def frame(upto: int, *, partition: int = 0, epoch: str = EPOCH) -> Any:
    lanes = [Lane("sim", NOW_MS, NOW_MS), Lane("other", 1, 1)]
    value = Frame("trades", partition, epoch, upto, 4, False, None, lanes, Tallies(), [], [], {})
    return record("slices", "", msgspec.msgpack.encode(value))


def talk(mentions: int, sentiment: float | None, *, start_ms: int = START_MS, source: str = "sim") -> Any:
    fields = {"symbol": "BTC-USD", "start_ms": start_ms, "mentions": mentions, "sentiment": sentiment}
    value = msgspec.json.encode(fields | {"final": False, "revision": mentions})
    return record("social", f"BTC-USD|{source}|1m|{start_ms}", value)


@pytest.fixture
def view() -> View:
    return View("sim", EPOCH, 4, START_MS)


def test_the_highest_revision_of_a_bar_holds(view: View) -> None:
    view.add_records([bar(3), bar(5), bar(4), bar(2, start_ms=START_MS + 1000)])
    assert view.trades == 7
    assert view.bars == 2


@pytest.mark.parametrize("width", ["1s", "1m"])
def test_a_final_bar_holds_against_any_open_one(view: View, width: str) -> None:
    # Where retention cut, a final bar may hold less than an open one before it.
    view.add_records(
        [bar(7, width=width), bar(5, width=width, final=True), bar(8, width=width), bar(4, width=width, final=True)]
    )
    if width == "1s":
        assert view.trades == 5
    minute = view.symbols["BTC-USD"].minute
    assert (minute and minute.count) == (5 if width == "1m" else None)
    view.add_records([bar(6, width=width, final=True)])
    assert view.trades == (6 if width == "1s" else 0)


def test_bars_of_an_earlier_run_or_of_another_source_do_not_count(view: View) -> None:
    view.add_records([bar(3, start_ms=START_MS - 1000), record("bars", "BTC-USD|all|1s|0", b"{}")])
    assert view.symbols == {}


def test_partitions_are_as_far_as_their_frames_say(view: View) -> None:
    view.add_records([frame(10), frame(8), frame(99, epoch="other"), frame(7, partition=3)])
    view.partitions[0].end = 13
    assert view.read == 17
    assert view.lag == 3
    assert view.is_live(2)
    assert not view.is_live(3)


def test_a_record_may_hold_the_frames_of_several_partitions(view: View) -> None:
    (value,) = to_records([frame(10).value, frame(7, partition=3).value])
    view.add_records([record("slices", "trades", value)])
    assert {partition: state.upto for partition, state in view.partitions.items()} == {0: 10, 3: 7}


def test_latency_is_that_of_open_bars_of_the_second(view: View) -> None:
    now_ms = int(time.time() * 1000)
    start_ms = now_ms - now_ms % 1000
    view.add_records([bar(1, start_ms=start_ms, close_ms=start_ms), bar(2, start_ms=START_MS - 5000)])
    assert all(0 <= latency < 1000 for latency in view.latencies_ms)
    assert len(view.latencies_ms) <= 1


def test_a_takeover_waits_for_each_partition_and_shard() -> None:
    symbols = {"BTC-USD": 0, "ETH-USD": 1}
    shards = {symbol: partition_for(symbol, 16) for symbol in symbols}
    takeover = Takeover({"trades": [0, 3], "slices": [shards["ETH-USD"]]}, symbols, 16, killed_ms=1000.0)
    takeover.note_bar("BTC-USD", 1000, 5000.0)
    assert takeover.seconds is None
    takeover.note_bar("BTC-USD", 1001, 2000.0)
    assert takeover.seconds is None
    takeover.note_bar("ETH-USD", 1500, 3500.0)
    assert takeover.seconds == 2.5
    takeover.note_bar("ETH-USD", 1600, 9000.0)
    assert takeover.seconds == 2.5


def partition(number: int, upto: int, tallies: dict[str, int], *, start: int = 0) -> PartitionState:
    return PartitionState(
        partition=number, start=start, end=upto, committed=0, upto=upto, lag=0, tallies=NOTHING | tallies
    )


def judged(view: View, sent: dict[str, int], after: list[PartitionState], before: list[PartitionState]) -> Any:
    return balance(view, sent, before=before, after=after, seconds=2.0, takeovers=[1.0, 3.0], workers=2)


def test_the_balance_of_a_run(view: View) -> None:
    view.add_records([bar(3), bar(4, symbol="ETH-USD")])
    before = [partition(0, 10, {"counted": 10})]
    after = [partition(0, 14, {"counted": 13, "heartbeats": 1}), partition(1, 4, {"counted": 4})]
    found = judged(view, {"BTC-USD": 3, "ETH-USD": 4}, after, before)
    assert found.ok
    assert (found.read, found.events, found.bars, found.partitions) == (8, 7, 2, 2)
    assert found.tallies == NOTHING | {"counted": 7, "heartbeats": 1}
    assert (found.takeover_seconds, found.events_per_second) == (3.0, 3.5)
    assert "read 8 = counted 7 + late 0 + rejected 0 + repeated 0 + unmatched 0 + heartbeats 1" in str(found)
    assert "lost 0, doubled 0" in str(found)


@pytest.mark.parametrize(
    ("sent", "tallies", "lost", "doubled", "law"),
    [
        ({"BTC-USD": 5}, {"counted": 4}, 1, 0, "lost"),
        ({"BTC-USD": 3}, {"counted": 4}, 0, 1, "twice"),
        ({"BTC-USD": 5}, {"counted": 4, "late": 1}, 0, 0, ""),
        ({"BTC-USD": 4}, {"counted": 3}, 0, 0, "add up"),
        ({"BTC-USD": 4}, {"counted": 4, "lost": 2}, 2, 0, "lost"),
    ],
)
def test_a_broken_law_is_named(
    view: View, sent: dict[str, int], tallies: dict[str, int], lost: int, doubled: int, law: str
) -> None:
    view.add_records([bar(4)])
    upto = 4 if law == "add up" else sum(tallies.values())
    found = judged(view, sent, [partition(0, upto, tallies)], [])
    assert (found.lost, found.doubled) == (lost, doubled)
    assert found.ok == (not law)
    assert all(law in line for line in found.broken)


def test_what_is_not_read_breaks_a_law(view: View) -> None:
    state = msgspec.structs.replace(partition(0, 4, {"counted": 4}), end=5)
    view.add_records([bar(4)])
    assert judged(view, {"BTC-USD": 4}, [state], []).broken == ["1 records were not read"]


def test_a_symbols_row(view: View) -> None:
    view.add_records([bar(7, close=61_234.5, open=61_000.0), frame(10)])
    view.add_records([bar(3, width="1m", volume=123_456_789.0, vwap=61_000.25)])
    view.partitions[view.symbols["BTC-USD"].partition].end = 60_000
    found = table.symbols(view)
    assert (found.sort, found.falling) == ("trades", True)
    texts = {key: cell.text for key, cell in found.rows["BTC-USD"].items() if key not in ("rate", "age")}
    change = "+0.38%"  # 61,234.5 / 61,000 - 1
    expected = {"symbol": "BTC-USD", "last": "61,234.5", "change": change, "trades": "7"}
    lag = "59,990" if view.symbols["BTC-USD"].partition == 0 else "60,000"
    assert texts == expected | {"vwap": "61,000.2", "volume": "123.5M", "lag": lag}
    assert found.rows["BTC-USD"]["change"].style == "green"


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_table_fits(width: int) -> None:
    shown = fitting(table.SYMBOLS, width)
    assert shown[0].key == "symbol"
    assert sum(column.width + GAP for column in shown) <= width
    assert all(len(column.label) < column.width or column.left for column in shown), "a mark of the order fits too"


def test_prices_have_six_digits() -> None:
    prices = (61_837.62, 0.350123, 4.34, 123_456.7)
    assert [table.price(value) for value in prices] == ["61,837.6", "0.35012", "4.34000", "123,457"]


def test_what_is_said_of_a_symbol_stands_beside_its_price(view: View) -> None:
    # Of no symbol that is traded; then two that count, an older record, and another network's.
    view.add_records([talk(1, 0.5), bar(3), talk(12, -0.34), talk(11, 0.9), talk(50, 0.9, source="all")])
    state = view.symbols["BTC-USD"]
    assert state.talk is not None
    assert (state.talk.mentions, state.talk.sentiment) == (12, -0.34)
    row = table.symbols(view).rows["BTC-USD"]
    assert (row["posts"].text, row["mood"].text, row["mood"].style) == ("12", "-0.34", "red")
    # A new minute begins, and nobody has scored what is said.
    view.add_records([talk(2, None, start_ms=START_MS + 60_000)])
    assert (state.talk.mentions, state.talk.sentiment) == (2, None)
    assert "mood" not in table.symbols(view).rows["BTC-USD"]


def test_a_signal_is_told_of_once(view: View) -> None:
    def signal(*, final: bool) -> Any:
        value = {"rule": "rally", "symbol": "BTC-USD", "field": "change_10s", "value": 0.002, "final": final}
        return record("signals", f"BTC-USD|all|1s|{START_MS}|rally", msgspec.json.encode(value))

    view.add_records([signal(final=False)])
    view.add_records([signal(final=True)])
    assert [(one.rule, one.symbol, one.value) for one in view.signals] == [("rally", "BTC-USD", 0.002)]
