"""Blocks wait for each other, so that few of them are folded together."""

from typing import Any

import pytest

from tests.engine.blocks import TICKS
from tests.engine.slices.partition_world import TRADES, World
from tickertape.schemas.checkpoint import slices_from
from tickertape.schemas.frame import Tallies
from tickertape.stream.engine.core.table import Columns


def waiting(monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a world in which a fold is worth it from three records on."""
    world = World(monkeypatch, fold_records=3)
    world.restore()
    world.log.tick(0, 1).tick(0, 2).tick(0, 3).tick(0, 4)
    return world


def test_small_blocks_wait_for_a_flush_and_are_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    world = waiting(monkeypatch)
    world.read(1)
    world.read(2)
    assert world.agent.slicers[0].tallies.counted == 0
    assert world.agent.read(0) == 2
    offset, metadata = world.agent.checkpoint()[TRADES]
    assert offset == 0
    assert slices_from(metadata).tallies.counted == slices_from(metadata).upto == 2


def test_as_many_as_are_worth_it_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    world = waiting(monkeypatch)
    world.read(1)
    world.read(3)
    assert world.agent.slicers[0].tallies.counted == 3


def test_what_is_fetched_again_while_it_waits_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = waiting(monkeypatch)
    for start, end in ((0, 2), (1, 2), (0, 1), (1, 3)):
        world.agent.receive(world.log.block(start, end))
    world.beat()
    assert world.agent.slicers[0].tallies == Tallies(counted=3)


def test_a_new_owner_knows_nothing_of_what_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    world = waiting(monkeypatch)
    world.read(2)
    assert world.restore() == 0
    assert world.agent.read(0) == 0
    world.beat()
    assert world.agent.slicers[0].tallies.counted == 0


def test_a_fold_that_fails_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = waiting(monkeypatch)
    world.read(1)
    lift, calls = type(TICKS.aggregate).lift, []

    def fail_at_first(self: Any, events: Columns) -> Columns:
        calls.append(events)
        if len(calls) == 1:
            raise RuntimeError("broken")
        return lift(self, events)

    monkeypatch.setattr(type(TICKS.aggregate), "lift", fail_at_first)
    # Half of it is done: the same records would be repeats. What comes next ends the worker, which commits nothing.
    for call in (world.agent.flush, world.agent.checkpoint, world.read):
        with pytest.raises(RuntimeError, match="broken"):
            call()
    assert world.put_records == []
