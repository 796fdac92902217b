"""A topic has a backlog while this worker has one, or while any shard's newest frames tell of one."""

from faust.types import TP

from tests.engine.made_frames import frame
from tickertape.stream.engine.core.workload import Workload
from tickertape.stream.engine.windows.backlogs import Backlogs


def test_each_shard_knows_what_its_own_frames_have_brought() -> None:
    backlogs = Backlogs(Workload())
    for shard in (0, 1):
        backlogs.note_frames(shard, [frame(1, behind=True)])
    # Shard 0 has been read to the end of the backlog, shard 1 not yet: what it holds is still old news.
    backlogs.note_frames(0, [frame(2)])
    assert backlogs.has("trades")
    backlogs.note_frames(1, [frame(2)])
    assert not backlogs.has("trades")


def test_a_backlog_of_this_worker_counts_without_frames_and_only_for_its_topic() -> None:
    workload = Workload()
    backlogs = Backlogs(workload)
    workload.record_backlog(TP("trades", 3), behind=True)
    assert (backlogs.has("trades"), backlogs.has("quotes")) == (True, False)


def test_after_a_rebalance_frames_have_reported_nothing() -> None:
    backlogs = Backlogs(Workload())
    backlogs.note_frames(0, [frame(1, behind=True)])
    backlogs.clear()
    assert not backlogs.has("trades")
