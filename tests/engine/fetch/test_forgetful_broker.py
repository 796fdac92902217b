"""A broker that for a moment has forgotten what is committed, as one that hung for long does."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.types import TP

from tickertape.stream.engine.core.positions import Position
from tickertape.stream.engine.fetch import transport
from tickertape.stream.engine.fetch.transport import ConsumerThread
from tickertape.stream.engine.fetch.unpacking import Blocks

FIRST, SECOND = TopicPartition("trades", 0), TopicPartition("trades", 1)
Commits = dict[TopicPartition, OffsetAndMetadata]


def positions(
    answers: list[Commits], least: dict[TP, int] | None = None, *, frames: int = 0
) -> tuple[dict[TP, Position], int]:
    """Return positions by a broker that answers so, the last for ever, and how often it was asked."""
    asked = 0

    async def fetch(_: list[TopicPartition]) -> Commits:
        nonlocal asked
        asked += 1
        return answers[min(asked, len(answers)) - 1]

    async def offsets(tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: frames if tp.topic == "slices" else 0 for tp in tps}

    consumer = SimpleNamespace(
        beginning_offsets=offsets,
        end_offsets=offsets,
        partitions_for_topic=lambda _: {0, 1},
        _coordinator=SimpleNamespace(fetch_committed_offsets=fetch),
    )
    # What the broker answers is all that matters; it can't be made to forget at will.
    coordinator = SimpleNamespace(blocks=Blocks(frozenset({"trades", "slices"}), 1, 1))
    thread = SimpleNamespace(_ensure_consumer=lambda: consumer, app=SimpleNamespace(coordinator=coordinator))
    found = asyncio.run(ConsumerThread.positions(thread, [FIRST, SECOND], least or {}))  # type: ignore[arg-type]  # it has what is asked of it
    return found, asked


def test_what_this_worker_has_committed_is_asked_for_again() -> None:
    new = {FIRST: OffsetAndMetadata(7, "ours"), SECOND: OffsetAndMetadata(9, "another's since")}
    old = {FIRST: OffsetAndMetadata(6, "older"), SECOND: OffsetAndMetadata(9, "another's since")}
    found, asked = positions([{}, old, new], {TP(*FIRST): 7, TP(*SECOND): 8})
    assert asked == 3
    assert (found[TP(*FIRST)].committed, found[TP(*SECOND)].committed) == (7, 9)


def test_at_the_first_start_nobody_waits() -> None:
    found, asked = positions([{}])
    assert asked == 1
    assert found[TP(*FIRST)].committed is None


def test_where_there_are_frames_somebody_has_committed() -> None:
    found, asked = positions([{}, {}, {FIRST: OffsetAndMetadata(3, "another's")}], frames=12)
    assert asked == 3
    # The other one is new: a group's commits are all there or none.
    assert (found[TP(*FIRST)].committed, found[TP(*SECOND)].committed) == (3, None)


def test_a_broker_that_has_really_forgotten_is_believed_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "FORGETFUL_SECONDS", 0.3)
    found, asked = positions([{}], {TP(*FIRST): 7})
    assert asked > 1
    assert found[TP(*FIRST)].committed is None
