"""Keeps the commits and restores of one worker apart."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any


class Turns:
    """Decides when a worker may commit, and when it may read what is committed.

    - A turn ends when a restore begins. A checkpoint is not sent after the end of the turn it was made in.
    - No checkpoint is made during a restore.
    - A restore reads positions only after the broker has answered the commit in flight.

    Otherwise a worker could restore from one commit while a later one arrives, and then commit less than is committed.

    All of this runs in one event loop; `is_on` may be called from any thread.
    """

    def __init__(self) -> None:
        self._turn = 0
        self._restores = 0
        self._in_flight: asyncio.Task[bool] | None = None

    def now(self) -> int | None:
        """Return the turn for a checkpoint, or None during a restore."""
        return None if self._restores else self._turn

    def is_on(self, turn: int) -> bool:
        """Return whether a checkpoint of a turn may still be sent."""
        return turn == self._turn

    def end(self) -> None:
        """End the turn: the state behind its checkpoints is abandoned."""
        self._turn += 1

    @contextmanager
    def restoring(self) -> Iterator[None]:
        """End the turn, and allow no checkpoint until the context exits."""
        self.end()
        self._restores += 1
        try:
            yield
        finally:
            self._restores -= 1

    async def send(self, commit: Coroutine[Any, Any, bool]) -> bool:
        """Send a commit and return its result, or False if `forget` came first.

        The commit continues if the caller is cancelled.
        """
        task = self._in_flight = asyncio.create_task(commit)
        await asyncio.wait((task,))
        return not task.cancelled() and task.result()

    async def answered(self) -> None:
        """Wait until no commit is in flight."""
        if self._in_flight is not None:
            await asyncio.wait((self._in_flight,))

    def forget(self) -> None:
        """Stop waiting for the commit in flight: if it arrives, it is sure to be refused."""
        if self._in_flight is not None:
            self._in_flight.cancel()
            self._in_flight = None
