"""Read results that are no longer in memory from their topic."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiokafka.structs import TopicPartition

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.clients.reader import Ends, Reader
from tickertape.stream.recent.held import Held, Series
from tickertape.stream.recent.judge import Changes, Judge
from tickertape.stream.recent.rounds import Position, place
from tickertape.stream.recent.selection import Selection
from tickertape.stream.recent.sinks import Sink
from tickertape.stream.recent.tailing import Tail, of_topic, on_topic
from tickertape.stream.results.stream import STRAGGLER_MS

# Bounds on one reading, and on how many go on at once.
MOST_SECONDS = 15.0
MOST_RESULTS = 200_000
MOST_READINGS = 4


class TooMuch(Exception):  # noqa: N818 - of what was asked for
    """More is asked for than may be read at once; its text says what to do."""


class Gone(Exception):  # noqa: N818 - of the records
    """Kafka no longer has what is asked for; its text says what to do."""


class Step(NamedTuple):
    """Results that changed between two positions of a topic.

    Attributes
    ----------
    before, after
        The positions.
    changes
        The results, in the order of partitions and offsets.
    """

    before: Position
    changes: list[Held]
    after: Position


class History:
    """Reads the past of sinks. Each reading is bounded in time and memory, and few go on at once.

    Parameters
    ----------
    settings
        The connection settings, ``horizon_ms`` and ``skew_ms``.
    most_seconds
        How long one reading of a range may take.
    """

    def __init__(self, settings: Settings, most_seconds: float = MOST_SECONDS) -> None:
        self._settings = settings
        self._most_seconds = most_seconds
        self._room = asyncio.Semaphore(MOST_READINGS)

    async def between(
        self, sink: Sink, selection: Selection, from_ms: int, to_ms: int, as_of_ms: int | None = None
    ) -> list[Held]:
        """Return the selected results whose windows begin from one event time up to another, unordered.

        Parameters
        ----------
        sink, selection
            Which results.
        from_ms, to_ms
            Event times, ms.
        as_of_ms
            Only what had been appended by this time, by the broker's clock. None: all.

        Raises
        ------
        TooMuch
            It takes too long, or there are too many results.
        BrokerError
            Kafka can't be reached, or denies access.
        """
        try:
            async with self._turn(), asyncio.timeout(self._most_seconds):
                return await self._between(sink, selection, from_ms, to_ms, as_of_ms)
        except TimeoutError:
            raise TooMuch(
                f"reading {sink.topic} takes more than {self._most_seconds:g} s: ask for a later `from`"
            ) from None

    async def _between(
        self, sink: Sink, selection: Selection, from_ms: int, to_ms: int, as_of_ms: int | None
    ) -> list[Held]:
        judge = Judge(sink, self._settings.horizon_ms, MOST_RESULTS, selection)
        held: dict[tuple[Series, int], Held] = {}
        async with Tail(self._settings, [sink.topic]) as tail:
            ends = await (tail.ends() if as_of_ms is None else tail.offsets_at(as_of_ms + 1))
            # A result is appended after its window began. The broker's clock may be behind event time by the skew.
            await tail.go_to(await tail.offsets_at(from_ms - self._settings.skew_ms))
            while not await tail.has_read(ends):
                found: Changes = {}
                for block in await tail.read():
                    judge.judge(block.before(_end(ends, block.topic, block.partition)), found)
                    await asyncio.sleep(0)
                held |= {
                    result: one
                    for result, one in found.items()
                    if from_ms <= one.start_ms < to_ms and (one.final or not selection.finals)
                }
                if len(held) > MOST_RESULTS:
                    raise TooMuch(f"more than {MOST_RESULTS} results: ask for fewer symbols, or a shorter time")
        return list(held.values())

    async def since(
        self, sink: Sink, selection: Selection, position: Position, until: Callable[[], Position]
    ) -> AsyncGenerator[Step]:
        """Yield the selected results that changed after a position.

        It ends once it has come to where somebody else goes on.

        Parameters
        ----------
        sink, selection
            Which results.
        position
            All records before it have been handled, and those from it on haven't.
        until
            Returns where somebody else goes on; it may move.

        Raises
        ------
        TooMuch
            Too many read the past already.
        Gone
            Kafka has deleted records after the position, or never had those before it.
        BrokerError
            Kafka can't be reached, or denies access.
        """
        async with self._turn(), Tail(self._settings, [sink.topic]) as tail:
            await self._go_back(tail, sink.topic, position)
            judge = Judge(sink, self._settings.horizon_ms, MOST_RESULTS, selection)
            before = dict(position)
            while any(before.get(number, 0) < offset for number, offset in until().items()):
                found: Changes = {}
                after = dict(before)
                for block in await tail.read():
                    judge.judge(block, found)
                    after[block.partition] = max(after.get(block.partition, 0), block.end)
                    await asyncio.sleep(0)
                changes = [
                    held
                    for held in found.values()
                    if held.offset >= before.get(held.partition, 0) and (held.final or not selection.finals)
                ]
                yield Step(before, sorted(changes, key=place), after)
                before = after

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._most_seconds):
                await self._room.acquire()
        except TimeoutError:
            raise TooMuch("too many others read the past at the moment: try again later") from None
        try:
            yield
        finally:
            self._room.release()

    async def check(self, topic: str, position: Position) -> None:
        """Check that a topic has come as far as a position.

        Raises
        ------
        Gone
            It has never had so many records.
        """
        async with self._turn(), Tail(self._settings, [topic]) as tail:
            _check_end(topic, position, of_topic(await tail.ends(), topic))

    async def _go_back(self, tail: Tail, topic: str, position: Position) -> None:
        begins, ends = of_topic(await tail.begins(), topic), of_topic(await tail.ends(), topic)
        for number, begin in begins.items():
            if position.get(number, 0) < begin:
                raise Gone(f"{topic} no longer has the records after this id: begin without an id")
        _check_end(topic, position, ends)
        # Whether a record is newer depends on earlier ones, so the latest of these are read again.
        wanted = on_topic({number: position.get(number, 0) for number in begins}, topic)
        async with Reader(self._settings, [topic], from_beginning=True) as reader:
            await tail.go_to(await reader.before(wanted, self._settings.horizon_ms + STRAGGLER_MS))


def _check_end(topic: str, position: Position, ends: Position) -> None:
    if any(offset > ends.get(number, 0) for number, offset in position.items()):
        raise Gone(f"{topic} has never had so many records: it was made anew, so begin without an id")


def _end(ends: Ends, topic: str, partition: int) -> int:
    """Return the end of a partition; one that is newer than the ends has nothing before them."""
    return ends.get(TopicPartition(topic, partition), 0)
