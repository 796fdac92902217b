"""A commit and a restore never cross, and a commit that is given up is not sent again."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import CommitFailedError, GroupCoordinatorNotAvailableError
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from tickertape.stream.engine.fetch.transport import Consumer, ConsumerThread
from tickertape.stream.engine.fetch.turns import Turns

COMMIT = {TopicPartition("trades", 0): OffsetAndMetadata(7, "")}


def test_what_was_checkpointed_before_a_restore_is_over() -> None:
    turns = Turns()
    turn = turns.now()
    assert turn is not None
    assert turns.is_on(turn)
    with turns.restoring():
        assert not turns.is_on(turn)
        assert turns.now() is None
        with turns.restoring():  # another begins before it ends
            pass
        assert turns.now() is None
    assert turns.now() is not None
    assert not turns.is_on(turn)


def test_a_restore_waits_for_the_answer_and_the_answer_for_nobody() -> None:
    async def run() -> list[str]:
        turns, answer, order = Turns(), asyncio.Event(), list[str]()

        async def commit() -> bool:
            await answer.wait()
            order.append("answered")
            return True

        async def restore() -> None:
            with turns.restoring():
                await turns.answered()
                order.append("read")

        sender = asyncio.create_task(turns.send(commit()))
        await asyncio.sleep(0)
        restoring = asyncio.create_task(restore())
        await asyncio.sleep(0.01)
        # Who has sent it is cancelled, as where a worker stops; it is in flight all the same.
        sender.cancel()
        await asyncio.sleep(0.01)
        assert order == []
        answer.set()
        await restoring
        return order

    assert asyncio.run(run()) == ["answered", "read"]


def test_who_has_sent_what_is_forgotten_waits_no_longer() -> None:
    async def run() -> bool:
        turns, never = Turns(), asyncio.Event()

        async def commit() -> bool:
            await never.wait()
            return True

        sender = asyncio.create_task(turns.send(commit()))
        await asyncio.sleep(0.01)
        turns.forget()
        await turns.answered()
        return await sender

    assert asyncio.run(run()) is False


class Group:
    """A coordinator that knows of a membership, and is away at first."""

    generation = 3

    def __init__(self, *, away: int) -> None:
        self.sent: list[int] = []
        self._away = away

    async def ensure_coordinator_known(self) -> None: ...

    async def _do_commit_offsets(self, *_: object) -> None:
        self.sent.append(self.generation)
        if len(self.sent) <= self._away:
            raise GroupCoordinatorNotAvailableError


def commit(group: Group, is_on: Any) -> bool:
    thread: Any = SimpleNamespace(_ensure_consumer=lambda: SimpleNamespace(_coordinator=group))
    return asyncio.run(ConsumerThread.commit_while(thread, COMMIT, is_on))


def test_a_commit_is_sent_again_while_the_coordinator_is_away() -> None:
    group = Group(away=2)
    assert commit(group, lambda: True) is True
    assert group.sent == [3, 3, 3]


def test_a_commit_is_not_sent_again_after_its_turn_whatever_the_membership() -> None:
    group = Group(away=1)

    def is_on() -> bool:
        if group.sent:
            group.generation = 4  # the group has shared out anew meanwhile
        return not group.sent

    assert commit(group, is_on) is False
    assert group.sent == [3]


def test_a_turn_that_ends_while_the_coordinator_is_looked_for_is_over() -> None:
    class Looking(Group):
        looked = False

        async def ensure_coordinator_known(self) -> None:
            self.looked = True

    group = Looking(away=0)
    assert commit(group, lambda: not group.looked) is False
    assert group.sent == []


def test_nobody_commits_without_a_membership() -> None:
    group = Group(away=0)
    # The broker would take it if the group were empty.
    group.generation = -1
    with pytest.raises(CommitFailedError):
        commit(group, lambda: True)
    assert group.sent == []


def test_the_last_commit_is_made_after_one_that_is_under_way() -> None:
    class Stopping(Consumer):  # type: ignore[misc]  # Faust's is untyped here
        """A consumer of which commits alone matter."""

        def __init__(self) -> None:
            self.app = SimpleNamespace(client_only=False)
            self.loop = asyncio.get_running_loop()
            self.commits: list[str] = []
            self.answer = asyncio.Event()

        async def force_commit(self, *_: object, **__: object) -> bool:
            self.commits.append("begun")
            await self.answer.wait()
            self.commits.append("made")
            return True

    async def run() -> list[str]:
        consumer = Stopping()
        regular = asyncio.create_task(consumer.commit())
        await asyncio.sleep(0)
        last = asyncio.create_task(consumer.commit_and_end_transactions())
        await asyncio.sleep(0)
        consumer.answer.set()
        await asyncio.gather(regular, last)
        return consumer.commits

    # Faust would have made do with the first, which knows less.
    assert asyncio.run(run()) == ["begun", "made", "begun", "made"]
