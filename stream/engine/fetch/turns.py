"""Commits and restores of one worker, kept apart."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any


class Turns:
    """Says when a worker may commit and when it may read what is committed.

    A turn ends when a restore begins. What was checkpointed in a turn is not sent after its end, and nothing is
    checkpointed while a restore is under way. A restore reads positions once the broker has answered the commit that
    is in flight. Without this, a worker could restore what an earlier commit says while a later one arrives, and then
    commit less than is committed.

    All of it happens in one event loop; `is_on` may be called from any thread.
    """

    def __init__(self) -> None:
        self._turn = 0
        self._restores = 0
        self._in_flight: asyncio.Task[bool] | None = None

    def now(self) -> int | None:
        """Return the turn that a checkpoint may be made in, or None while a restore is under way."""
        return None if self._restores else self._turn

    def is_on(self, turn: int) -> bool:
        """Return whether what was checkpointed in a turn may be sent."""
        return turn == self._turn

    def end(self) -> None:
        """End the turn: the state that it speaks of is given up."""
        self._turn += 1

    @contextmanager
    def restoring(self) -> Iterator[None]:
        """End the turn, and have nothing checkpointed in the meantime."""
        self.end()
        self._restores += 1
        try:
            yield
        finally:
            self._restores -= 1

    async def send(self, commit: Coroutine[Any, Any, bool]) -> bool:
        """Send a commit, and return what it returns, or False where it is forgotten before.

        It goes on where its caller is cancelled.
        """
        task = self._in_flight = asyncio.create_task(commit)
        await asyncio.wait((task,))
        return not task.cancelled() and task.result()

    async def answered(self) -> None:
        """Wait until no commit is in flight."""
        if self._in_flight is not None:
            await asyncio.wait((self._in_flight,))

    def forget(self) -> None:
        """Wait no longer for the commit that is in flight: it is sure to be refused if it arrives."""
        if self._in_flight is not None:
            self._in_flight.cancel()
            self._in_flight = None
