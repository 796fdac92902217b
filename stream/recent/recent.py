"""Keeps up with all sinks: shelves of the newest results, the board, and rounds for those who follow."""

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from heapq import merge

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.block import Block
from tickertape.stream.recent.board import Board
from tickertape.stream.recent.columns import Column, available
from tickertape.stream.recent.held import Held, Series
from tickertape.stream.recent.judge import Changes, Judge
from tickertape.stream.recent.rounds import Rounds
from tickertape.stream.recent.selection import Selection
from tickertape.stream.recent.shelf import Shelves
from tickertape.stream.recent.sinks import Sink
from tickertape.stream.recent.tailing import Tail, existing, of_topic
from tickertape.stream.results.stream import STRAGGLER_MS

log = logging.getLogger(__name__)

# The bounds on what strangers can make a topic hold: series of one topic, and records read of a partition's past.
MOST_SERIES = 100_000
MOST_PAST_RECORDS = 500_000


class Recent:
    """The recent past of all sinks, in memory.

    Parameters
    ----------
    settings
        The connection settings, ``recent_seconds``, ``recent_mib`` and ``horizon_ms``.
    sinks
        The sinks by topic; those that don't exist on the broker are left out.
    columns
        The columns of the board. Those whose results nobody publishes are left out.

    Attributes
    ----------
    shelves
        The results.
    board
        Their newest numbers by symbol.
    rounds
        By topic: what the last reads brought.
    number
        The number of the last round.
    ended
        True once there will be no more rounds.
    begun
        Set once it is known where reading begins. Whoever follows a topic earlier would go on from its first record.
    caught_up
        Set once what the topics held at the start has been read.
    """

    def __init__(self, settings: Settings, sinks: Mapping[str, Sink], columns: Sequence[Column]) -> None:
        self._settings = settings
        self.sinks = dict(sinks)
        widths = {
            column: width_ms
            for column in available(list(columns), self.sinks)
            if (width_ms := self.sinks[column.topic].width_ms(column.kind, column.resolution))
        }
        self.board = Board(widths)
        self.shelves = Shelves(settings.recent_mib << 20)
        self.rounds: dict[str, Rounds] = {topic: Rounds({}) for topic in sinks}
        self._judges = {topic: Judge(sink, settings.horizon_ms, MOST_SERIES) for topic, sink in self.sinks.items()}
        # By topic: results whose windows begin earlier may have been appended before reading began.
        self._complete_from_ms = dict.fromkeys(self.sinks, 0)
        # The partitions whose first record hasn't been read, and was appended after others that were passed over.
        self._passed_over: set[tuple[str, int]] = set()
        self.number = 0
        self.ended = False
        self.begun = asyncio.Event()
        self.caught_up = asyncio.Event()
        self._next = asyncio.Event()

    async def run(self) -> None:
        """Read for ever.

        Raises
        ------
        BrokerError
            Kafka can't be reached, or denies access.
        """
        topics = await existing(self._settings, list(self.sinks))
        for topic in self.sinks.keys() - set(topics):
            log.warning("there is no topic %s: its results are not shown", topic)
        # What is newer depends on earlier records, as far back as corrections reach.
        past_ms = max(int(self._settings.recent_seconds * 1000), self._settings.horizon_ms + STRAGGLER_MS)
        async with Tail(self._settings, topics) as tail:
            await self._begin(tail, int(time.time() * 1000) - past_ms, topics)
            self.begun.set()
            ends = await tail.ends()
            while True:
                blocks = await tail.read()
                await self.take(blocks)
                if not self.caught_up.is_set() and await tail.has_read(ends):
                    self.caught_up.set()

    async def round_after(self, number: int) -> None:
        """Wait until there is a later round than this one, or until `end` was called."""
        while self.number <= number and not self.ended:
            await self._next.wait()

    def end(self) -> None:
        """Tell those who follow that there will be no more rounds."""
        self.ended = True
        self._next.set()

    @property
    def series(self) -> Iterator[tuple[str, Series]]:
        """All series, with their topics."""
        for topic, judge in self._judges.items():
            for series in judge.series:
                yield topic, series

    @property
    def left_out(self) -> int:
        """The number of results that were left out because their topics have too many series."""
        return sum(judge.left_out for judge in self._judges.values())

    @property
    def unreadable(self) -> int:
        """The number of records that are no results."""
        return sum(judge.unreadable for judge in self._judges.values())

    def newest(self, topic: str, selection: Selection) -> list[Held]:
        """Return the result with the latest window of each series that is selected, by series."""
        found: dict[Series, Held] = {}
        for place, shelf in self.shelves:
            if place.topic != topic:
                continue
            some = shelf.between(0, _EVER_MS, selection) if selection.finals else shelf.newest.values()
            found |= {held.series: held for held in some if selection.has(held.series)}
        return [found[series] for series in sorted(found)]

    def between(
        self, topic: str, selection: Selection, from_ms: int, to_ms: int, *, newest_first: bool = False
    ) -> Iterator[Held]:
        """Yield what is held of the selected results whose windows begin from one event time up to another.

        They come in the order of `in_order`, or in the opposite one. Take what is needed before the next read.
        """
        shelves = [
            shelf.between(from_ms, to_ms, selection, newest_first=newest_first)
            for place, shelf in self.shelves
            if place.topic == topic and _may_have(selection, place.kind, place.resolution)
        ]
        return merge(*shelves, key=in_order, reverse=newest_first)

    def complete_from_ms(self, topic: str, selection: Selection) -> int:
        """Return the event time from which memory holds all selected results."""
        found = self._complete_from_ms[topic]
        for place, shelf in self.shelves:
            if place.topic == topic and _may_have(selection, place.kind, place.resolution):
                found = max(found, shelf.complete_from_ms)
        return found

    async def _begin(self, tail: Tail, since_ms: int, topics: Sequence[str]) -> None:
        found = await tail.begin(since_ms, MOST_PAST_RECORDS)
        begins = await tail.begins()
        for topic in topics:
            self.rounds[topic] = Rounds(of_topic(found, topic))
        self._passed_over = {(tp.topic, tp.partition) for tp, offset in found.items() if offset > begins[tp]}

    async def take(self, blocks: Sequence[Block]) -> None:
        """Take what has been read: it becomes a round."""
        found: dict[str, Changes] = {}
        after: dict[str, dict[int, int]] = {}
        for block in blocks:
            self._note_first(block)
            self._judges[block.topic].judge(block, found.setdefault(block.topic, {}))
            after.setdefault(block.topic, dict(self.rounds[block.topic].position))[block.partition] = block.end
            # Requests are answered between two blocks.
            await asyncio.sleep(0)
        if not blocks:
            return
        self.number += 1
        now = asyncio.get_running_loop().time()
        for topic, changes in found.items():
            for held in changes.values():
                self.shelves.put(topic, held, self._complete_from_ms[topic])
            self.board.add(topic, self.rounds[topic].add(self.number, now, after[topic], changes.values()))
        self.shelves.fit()
        before, self._next = self._next, asyncio.Event()
        before.set()

    def _note_first(self, block: Block) -> None:
        """Note from when on a partition's results are known, with the first of them that is read."""
        if (block.topic, block.partition) not in self._passed_over or not len(block):
            return
        self._passed_over.discard((block.topic, block.partition))
        # A result is appended after its window began; the broker's clock may be behind event time by the skew.
        since_ms = int(block.appended_ms[0]) + self._settings.skew_ms
        self._complete_from_ms[block.topic] = max(self._complete_from_ms[block.topic], since_ms)


_EVER_MS = 1 << 62


def in_order(held: Held) -> tuple[int, Series]:
    """Return what sorts results: by start, then by series."""
    return held.start_ms, held.series


def _may_have(selection: Selection, kind: str, resolution: str) -> bool:
    return (selection.kinds is None or kind in selection.kinds) and (
        selection.resolutions is None or resolution in selection.resolutions
    )
