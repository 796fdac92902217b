"""When a member has the group share its partitions out anew."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import NodeNotReadyError
from aiokafka.structs import TopicPartition

from tickertape.stream.engine.fetch import unowned_partitions as lookout
from tickertape.stream.engine.fetch.unowned_partitions import watch_unowned

NEW, OTHER = {TopicPartition("trades", 2)}, {TopicPartition("trades", 3)}


class Group:
    """A group, and which of its partitions nobody owns at each look; None: the broker is away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *looks: set[TopicPartition] | None) -> None:
        self.looks = list(looks)
        self.shared_out_at: list[int] = []
        self._looked = 0
        monkeypatch.setattr(lookout, "LOOK_SECONDS", 0.0)
        monkeypatch.setattr(lookout, "_unowned", self._unowned)

    async def _unowned(self, _: Any) -> set[TopicPartition]:
        if self._looked == len(self.looks):
            raise asyncio.CancelledError
        self._looked += 1
        found = self.looks[self._looked - 1]
        if found is None:
            raise NodeNotReadyError
        return found

    def look(self) -> list[int]:
        """Look out; return after which looks it has asked."""
        coordinator = SimpleNamespace(request_rejoin=lambda: self.shared_out_at.append(self._looked))
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(watch_unowned(SimpleNamespace(_coordinator=coordinator)))
        return self.shared_out_at


@pytest.mark.parametrize(
    ("looks", "asks"),
    [
        # The one that leads sees to it.
        ([NEW, set(), NEW], []),
        ([set(), NEW, NEW, set()], [3]),
        ([NEW, OTHER, OTHER], [3]),
        ([NEW, None, NEW], [3]),
        # It asks until somebody has them.
        ([NEW, NEW, NEW], [2, 3]),
    ],
)
def test_asks_for_what_nobody_owns_at_two_looks(
    monkeypatch: pytest.MonkeyPatch, looks: list[set[TopicPartition] | None], asks: list[int]
) -> None:
    assert Group(monkeypatch, *looks).look() == asks
