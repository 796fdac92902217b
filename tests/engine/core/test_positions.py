"""A commit that speaks of another log."""

import pytest
from faust.types import TP

from tickertape.stream.engine.core.positions import Position

SECOND = TP("trades", 1)


@pytest.mark.parametrize("committed", [None, 0, 6, 7])
def test_a_commit_up_to_the_logs_end_holds(committed: int | None, caplog: pytest.LogCaptureFixture) -> None:
    position = Position(begin=3, end=7, committed=committed, metadata="what it knew", partitions=2)
    assert position.valid(SECOND) == position
    assert caplog.text == ""


def test_past_the_logs_end_it_is_of_a_topic_that_was_there_before(caplog: pytest.LogCaptureFixture) -> None:
    position = Position(begin=0, end=7, committed=8, metadata="what it knew", partitions=2)
    assert position.valid(SECOND) == Position(begin=0, end=7, committed=None, metadata="", partitions=2)
    assert [record.getMessage() for record in caplog.records] == [
        "trades, partition 1: the commit is at offset 8, but the log ends at 7: the topic was recreated and is read "
        "from its beginning"
    ]
