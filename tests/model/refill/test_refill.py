"""In every random history each trade is sent or named as lost, and none is late where a line broke; each bug shows."""

import pytest

from .mutations import MUTATIONS
from .world import CLASSES, World

HISTORIES = 200


@pytest.mark.parametrize("kind", CLASSES)
def test_each_trade_is_sent_or_named_as_lost(kind: str) -> None:
    assert {seed: wrong for seed in range(HISTORIES) if (wrong := World(seed, kind).run())} == {}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_bug_shows(name: str) -> None:
    kind, bug = MUTATIONS[name]
    assert any(World(seed, kind, bug).run() for seed in range(HISTORIES))
