"""Follow a topic from a position, or from now on: each change of a result once, in order."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from tickertape.stream.recent.held import Held
from tickertape.stream.recent.history import History, Step
from tickertape.stream.recent.recent import Recent
from tickertape.stream.recent.rounds import Position, Round, place
from tickertape.stream.recent.selection import Selection
from tickertape.stream.recent.sinks import Sink

# A client that has waited so long is told the position, so that it knows that all is well.
QUIET_SECONDS = 5.0

#: Writes changes between two positions as a client gets them. Without changes it tells the position alone.
Form = Callable[[Step], bytes]


class FellBehind(Exception):  # noqa: N818 - of the client
    """A client hasn't taken what was sent for so long that it is forgotten here."""


class Following:
    """One client's way along a topic.

    Parameters
    ----------
    recent, history
        What has just come, and what came before.
    sink, selection
        Which results.
    form
        How they are written. Clients with equal selections and the same form share what is written.
    position
        Where to go on; None: from now on.
    """

    def __init__(
        self,
        recent: Recent,
        history: History,
        sink: Sink,
        selection: Selection,
        form: Form,
        position: Position | None = None,
    ) -> None:
        self._recent = recent
        self._history = history
        self._sink = sink
        self._selection = selection
        self._form = form
        self._rounds = recent.rounds[sink.topic]
        self.position = dict(self._rounds.position if position is None else position)

    async def parts(self) -> AsyncGenerator[bytes]:
        """Yield what the client is sent, until the server ends.

        Raises
        ------
        FellBehind
            The client was too slow.
        Gone
            Its position is not on the topic.
        BrokerError
            Kafka can't be reached, or denies access.
        """
        clock = asyncio.get_running_loop().time
        told = float("-inf")
        if self._is_before(self._rounds.begins):
            past = self._history.since(self._sink, self._selection, self.position, lambda: self._rounds.begins)
            async with aclosing(past) as steps:
                async for step in steps:
                    self.position = step.after
                    if step.changes or clock() - told >= QUIET_SECONDS:
                        told = clock()
                        yield self._form(step)
        if clock() - told >= QUIET_SECONDS:
            told = clock()
            yield self._form(Step(self.position, [], self.position))
        # The rounds that are known have all that comes after the position, and some that came before it.
        number = -1
        while not self._recent.ended:
            seen = self._recent.number
            for one in self._rounds.after(number):
                if self._is_before(one.before):
                    raise FellBehind
                number = one.number
                if part := self._part(one):
                    told = clock()
                    yield part
            if clock() - told >= QUIET_SECONDS:
                told = clock()
                yield self._form(Step(self.position, [], self.position))
            try:
                async with asyncio.timeout(QUIET_SECONDS):
                    await self._recent.round_after(seen)
            except TimeoutError:
                continue

    def _is_before(self, other: Position) -> bool:
        """Return whether the position is before another in some partition."""
        return any(self.position.get(number, 0) < offset for number, offset in other.items())

    def _part(self, one: Round) -> bytes:
        """Return what a round brings after the position, and go on to its end; empty if it brings nothing."""
        before = self.position
        if before == one.before:
            self.position = one.after
            key = self._form, self._selection
            if key not in one.encoded:
                changes = self._selection.of(one.changes)
                step = Step(before, sorted(changes, key=place), one.after)
                one.encoded[key] = self._form(step) if changes else b""
            return one.encoded[key]
        self.position = before | {number: max(end, before.get(number, 0)) for number, end in one.after.items()}
        changes = [held for held in self._selection.of(one.changes) if held.offset >= before.get(held.partition, 0)]
        return self._form(Step(before, sorted(changes, key=place), self.position)) if changes else b""


def as_events(step: Step) -> bytes:
    """Write server-sent events: one for each result, with the id after which to go on; at the end the last id."""
    position = dict(step.before)
    events = []
    for held in step.changes:
        position[held.partition] = held.offset + 1
        events.append(b"id: %s\ndata: %s\n\n" % (text_of(position), held.json))
    # An id without data is remembered by clients, and is no event.
    return b"%sid: %s\n\n" % (b"".join(events), text_of(step.after))


def as_message(step: Step) -> bytes:
    """Write one message with all results, and the id after which to go on."""
    return b'{"id":"%s","results":[%s]}' % (text_of(step.after), b",".join(map(_json, step.changes)))


def _json(held: Held) -> bytes:
    return held.json


def text_of(position: Position) -> bytes:
    """Return a position as the id of an event: ``0:123,1:456``."""
    return b",".join([b"%d:%d" % one for one in sorted(position.items())])
