"""The model agrees with the truth in every random history, and every mutation is found."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from .mutations import MUTATIONS
from .protocol import caught_at, rare
from .stage2 import Shard
from .words import ALL, EVER, NEVER, Frame, Result, Row, WindowCommit
from .world import CLASSES, World

HISTORIES = 400


@pytest.mark.slow
@pytest.mark.parametrize("kind", CLASSES)
def test_histories_agree_with_the_truth(kind: str) -> None:
    assert {seed: wrong for seed in range(HISTORIES) if (wrong := World(seed, kind).run())} == {}


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_caught(name: str) -> None:
    assert caught_at(name, rare().get(name)) is not None


def frame(upto: int, partitions: int, **frontiers: float) -> Frame:
    lanes = {source: (frontier, False) for source, frontier in frontiers.items()}
    return Frame(0, upto, partitions, False, None, lanes, [], Counter())


# A zombie's frame has fewer partitions or sources. Only the frames before the commit's offset have them all.
REMEMBERED: dict[str, tuple[Frame, Frame, dict[str, Any]]] = {
    "partitions": (frame(9, 2, s=50), frame(8, 1, s=90), {"partitions": 0}),
    "sources": (frame(9, 1, s=50, t=20), frame(8, 1, s=90), {"views": {ALL: (20, 20)}}),
}


@pytest.mark.parametrize("what", REMEMBERED)
def test_a_shard_remembers_all_partitions_and_sources(what: str) -> None:
    before, zombie, forgotten = REMEMBERED[what]
    log = [(before,), (zombie,)]
    first = Shard(log, WindowCommit(), EVER)
    first.block(1)
    first.flush()
    commit = first.checkpoint()
    final = first.views[ALL].final
    assert commit.offset == 1
    assert final == (20 if what == "sources" else NEVER)
    for kept, expected in ((commit, final), (replace(commit, **forgotten), 90)):
        shard = Shard(log, kept, EVER)
        shard.block(1)
        assert shard.views[ALL].final == expected


def test_a_forgotten_source_that_returns_adds_nothing_to_its_folded_windows() -> None:
    """It returns on a partition that has evicted no lane, and its earlier windows are published and forgotten."""
    said = replace(frame(9, 2, s=10), rows=[Row("s", "A", 0, 1, 1.0)])
    gone = [replace(frame(20, 2, t=500), evicted=10), replace(frame(20, 2, t=500), partition=1, rest=True)]
    back = replace(frame(30, 2, t=500, s=NEVER), partition=1, rows=[Row("s", "A", 1, 1, 5.0)])
    log = [(one,) for one in (said, *gone, back)]
    first = Shard(log, WindowCommit(), 100)
    first.block(3)
    published = first.flush().results
    assert published["A", "s", 3, 0] == Result(1, 1.0, final=True, incomplete=False)
    assert "s" not in first.views
    commit = first.checkpoint()
    assert commit.forgotten == 400
    for kept, overdue in ((commit, {"s", ALL}), (replace(commit, forgotten=NEVER), {ALL})):
        shard = Shard(log, kept, 100)
        shard.block(1)
        output = shard.flush()
        assert {name for name, _ in output.overdue} == overdue
        # Otherwise a result would be published that counts less than the final one.
        assert (("A", "s", 3, 0) in output.results) == (overdue == {ALL})
