"""A broker that for a moment has forgotten what is committed, as one that hung for long does."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.types import TP

from stream.engine import transport
from stream.engine.transport import ConsumerThread, Position

FIRST, SECOND = TopicPartition("trades", 0), TopicPartition("trades", 1)
Commits = dict[TopicPartition, OffsetAndMetadata]


def positions(answers: list[Commits], least: dict[TP, int]) -> tuple[dict[TP, Position], int]:
    """Return positions as a broker that answers so, the last for ever, and how often it was asked."""
    asked = 0

    async def fetch(_: list[TopicPartition]) -> Commits:
        nonlocal asked
        asked += 1
        return answers[min(asked, len(answers)) - 1]

    async def offsets(tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(tps, 0)

    consumer = SimpleNamespace(
        beginning_offsets=offsets,
        end_offsets=offsets,
        partitions_for_topic=lambda _: {0, 1},
        _coordinator=SimpleNamespace(fetch_committed_offsets=fetch),
    )
    # What the broker answers is all that matters; it can't be made to forget at will.
    thread = SimpleNamespace(_ensure_consumer=lambda: consumer)
    found = asyncio.run(ConsumerThread.positions(thread, [FIRST, SECOND], least))  # type: ignore[arg-type]
    return found, asked


def test_what_this_worker_has_committed_is_asked_for_again() -> None:
    new = {FIRST: OffsetAndMetadata(7, "ours"), SECOND: OffsetAndMetadata(9, "another's since")}
    old = {FIRST: OffsetAndMetadata(6, "older"), SECOND: OffsetAndMetadata(9, "another's since")}
    found, asked = positions([{}, old, new], {TP(*FIRST): 7, TP(*SECOND): 8})
    assert asked == 3
    assert (found[TP(*FIRST)].committed, found[TP(*SECOND)].committed) == (7, 9)


def test_where_it_never_was_committed_nobody_waits() -> None:
    found, asked = positions([{}], {TP("trades", 5): 3})
    assert asked == 1
    assert found[TP(*FIRST)].committed is None


def test_a_broker_that_has_really_forgotten_is_believed_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "FORGETFUL_SECONDS", 0.3)
    found, asked = positions([{}], {TP(*FIRST): 7})
    assert asked > 1
    assert found[TP(*FIRST)].committed is None
