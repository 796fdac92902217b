"""What waits between sockets and Kafka, and what of it goes when there is no more room."""

import asyncio
import logging

import pytest

from tickertape.stream.feeds.live.inbox import BATCH_MESSAGES, OVERHEAD_BYTES, Inbox, Message

FRAME = b"x" * 50
SIZE_BYTES = len(FRAME) + OVERHEAD_BYTES


def message(second: int) -> Message:
    return Message(second * 1_000_000_000, FRAME)


def seconds(messages: list[Message]) -> list[int]:
    return [received_ns // 1_000_000_000 for received_ns, *_ in messages]


def test_what_comes_goes_out_at_once_in_order_and_in_batches_that_are_decoded_in_milliseconds() -> None:
    async def scenario() -> None:
        inbox = Inbox("x", 1 << 30, loses=True)
        taking = asyncio.create_task(inbox.next_batch())
        await asyncio.sleep(0)
        inbox.add(message(1))
        assert seconds(await taking) == [1]
        for second in range(BATCH_MESSAGES + 2):
            inbox.add(message(second))
        assert seconds(await inbox.next_batch()) == list(range(BATCH_MESSAGES))
        assert seconds(await inbox.next_batch()) == [BATCH_MESSAGES, BATCH_MESSAGES + 1]
        assert len(inbox) == 0

    asyncio.run(scenario())


def test_without_room_the_oldest_go_and_it_is_told_when_that_begins_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def scenario() -> Inbox:
        inbox = Inbox("x", 4 * SIZE_BYTES, loses=True)
        assert all(inbox.add(message(second)) for second in range(10))
        assert len(caplog.messages) == 1
        assert seconds(await inbox.next_batch()) == [6, 7, 8, 9]
        inbox.add(message(10))
        return inbox

    assert asyncio.run(scenario()).dropped == 6
    assert caplog.messages == [
        "x: Kafka is away or slow, and the buffer is full with 4 messages: the oldest are dropped",
        "x: Kafka accepts messages again; 6 messages of 5.0 s were dropped",
    ]


def test_a_message_larger_than_the_room_is_kept_alone() -> None:
    async def scenario() -> None:
        inbox = Inbox("x", 100, loses=True)
        inbox.add(message(1))
        inbox.add(message(2))
        assert seconds(await inbox.next_batch()) == [2]

    asyncio.run(scenario())


def test_where_all_can_be_said_again_nothing_is_taken_until_half_is_free() -> None:
    async def scenario() -> None:
        inbox = Inbox("x", 1500 * SIZE_BYTES, loses=False)
        assert all(inbox.add(message(second)) for second in range(1500))
        assert not inbox.add(message(1500))
        waiting = asyncio.create_task(inbox.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        # 500 are left, a third.
        await inbox.next_batch()
        await waiting
        assert inbox.add(message(1500))
        assert inbox.dropped == 0

    asyncio.run(scenario())


def test_a_failure_is_raised_after_all_that_came_before_it() -> None:
    async def scenario() -> None:
        inbox = Inbox("x", 1 << 20, loses=True)
        inbox.add(message(1))
        inbox.fail(ValueError("first"))
        inbox.fail(ValueError("second"))
        assert seconds(await inbox.next_batch()) == [1]
        with pytest.raises(ValueError, match="first"):
            await inbox.next_batch()

    asyncio.run(scenario())
