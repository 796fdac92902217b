"""What of a block is news."""

from typing import Any

import pytest

from tests.recent.made import T0, bar, block
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.block import Block
from tickertape.stream.recent.held import Held
from tickertape.stream.recent.judge import Changes, Judge
from tickertape.stream.recent.selection import Selection
from tickertape.stream.recent.sinks import sinks_of

SINKS = sinks_of(Settings())


def judge(topic: str = "bars", most_series: int = 100, selection: Selection | None = None) -> Judge:
    return Judge(SINKS[topic], 60_000, most_series, selection)


def newer(judge: Judge, *blocks: Block) -> list[Held]:
    found: Changes = {}
    for one in blocks:
        judge.judge(one, found)
    return list(found.values())


def test_of_a_block_the_highest_record_of_each_result_is_news_in_the_order_of_offsets() -> None:
    found = newer(
        judge(),
        block(bar("A", 0, 1.0, 1), bar("B", 0, 5.0, 1), bar("A", 0, 2.0, 3), bar("A", 0, 1.5, 2), start=7),
    )
    assert [(held.series.symbol, held.offset, held.revision) for held in found] == [("B", 8, 1), ("A", 9, 3)]
    assert found[1].appended_ms == T0 + 9


def test_a_provisional_after_the_final_is_old_and_a_final_with_more_events_corrects_it() -> None:
    mine = judge()
    (final,) = newer(mine, block(bar("A", 0, 1.0, 4, final=True), bar("A", 0, 9.0, 9)))
    assert (final.final, final.revision, final.corrected) == (True, 4, False)
    assert newer(mine, block(bar("A", 0, 9.0, 10), bar("A", 0, 1.0, 4, final=True), start=2)) == []
    (corrected,) = newer(mine, block(bar("A", 0, 2.0, 5, final=True), start=4))
    assert corrected.corrected
    assert corrected.json.endswith(b',"final":true,"revision":5,"corrected":true}')


def test_a_correction_in_the_same_read_is_marked() -> None:
    finals = bar("A", 0, 1.0, 4, final=True), bar("A", 0, 2.0, 5, final=True), bar("A", 0, 3.0, 6, final=True)
    (held,) = newer(judge(), block(finals[0], finals[1]), block(finals[2], start=2))
    assert (held.revision, held.corrected) == (6, True)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"no JSON",
        b"[1]",
        b'{"symbol":"A"}',
        b'{"symbol":"A","source":"all","resolution":"9s","start_ms":0,"final":true,"revision":1}',
        b'{"symbol":"A","source":"all","resolution":"1s","start_ms":0,"final":true,"revision":1,"x":"\xff"}',
        b'{"symbol":"A","source":"all","resolution":"1s","start_ms":1e99,"final":true,"revision":1}',
    ],
)
def test_what_is_no_result_is_counted_and_passed_over(value: bytes | None) -> None:
    mine = judge()
    assert [held.offset for held in newer(mine, block(value, bar("A", 0, 1.0, 1)))] == [1]
    assert mine.unreadable == 1


def test_a_foreign_record_on_several_lines_is_held_on_one() -> None:
    text = b'{"symbol": "A",\r\n "source": "all", "resolution": "1s", "start_ms": 0, "final": false, "revision": 1}\n'
    (held,) = newer(judge(), block(text))
    assert held.value == b'{"symbol":"A","source":"all","resolution":"1s","start_ms":0,"final":false,"revision":1}'


def test_series_beyond_the_most_are_left_out_and_counted() -> None:
    mine = judge(most_series=2)
    found = newer(mine, block(*[bar(symbol, 0, 1.0, 1) for symbol in "ABCDA"]))
    assert [held.series.symbol for held in found] == ["A", "B"]
    assert (mine.left_out, [series.symbol for series in mine.series]) == (2, ["A", "B"])


def test_the_kind_is_read_where_it_says_which_result_it_is() -> None:
    rsi: dict[str, Any] = bar("A", 0, 1.0, 1, kind="rsi", resolution="1m", final=True)
    found = newer(judge("indicators"), block(rsi, rsi | {"kind": "ema"}, rsi | {"kind": "no such"}))
    assert [held.series.kind for held in found] == ["rsi", "ema"]
    # A rule may have any name: its file is where workers run.
    found = newer(judge("signals"), block(rsi | {"rule": "up"}, rsi | {"rule": "down"}))
    assert [held.series.kind for held in found] == ["up", "down"]


def test_only_selected_series_are_held() -> None:
    mine = judge(selection=Selection(symbols=frozenset("A")))
    found = newer(mine, block(bar("A", 0, 1.0, 1), bar("B", 0, 1.0, 1), bar("A", 0, 1.0, 1, source="s")))
    assert [(held.series.symbol, held.series.source) for held in found] == [("A", "all")]
