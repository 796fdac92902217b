"""Add partitions and workers while feeds and workers run: ``tickertape scale``."""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from tickertape.schemas.control import Step
from tickertape.schemas.topics import BARS, POSTS, QUOTE_BARS, QUOTES, SOCIAL, TRADES, Topic
from tickertape.stream.cluster.slot import Say
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.define.discovery import discover
from tickertape.stream.errors import BrokerError, ConfigError
from tickertape.stream.kafka.admin import members, topics
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.clients.reader import Reader
from tickertape.stream.kafka.stores.control import Control, write_schedule, write_workers
from tickertape.stream.progress.shown import NOWHERE, Counting, Progress

# The topic on which results of an input topic appear first.
RESULTS = {TRADES.name: BARS, QUOTES.name: QUOTE_BARS, POSTS.name: SOCIAL}
# A step begins this far ahead, so every feed has read it before it has events of that time.
LEAD_SECONDS = 4.0
# Workers find new partitions within two seconds; a worker that starts or joins takes longer.
SHARED_SECONDS = 90.0
CAUGHT_UP_SECONDS = 60.0
# If no records are appended for this long, no feed is running.
QUIET_SECONDS = 4.0
POLL_SECONDS = 0.25


class ScaleOutcome(Struct, frozen=True, kw_only=True):
    """The outcome of ``tickertape scale``.

    Attributes
    ----------
    topic
        The topic's name.
    before, after
        The previous and the new number of partitions.
    workers
        The requested number of workers for each ``tickertape up``; None if it wasn't changed.
    from_ms
        The event time from which feeds use all partitions; None if the schedule wasn't changed.
    in_force
        True if the workers own all partitions, and event time has reached the new step if there is one.
    caught_up
        True if the records that were present at that moment have been read and committed.
    seconds
        How long scaling took.
    longest_gap_seconds
        The longest time without a new result of the topic while scaling; None if there was no result.
    """

    topic: str
    before: int
    after: int
    workers: int | None
    from_ms: int | None
    in_force: bool
    caught_up: bool
    seconds: float
    longest_gap_seconds: float | None


def run(
    settings: Settings, topic: str, partitions: int, workers: int | None, say: Say, progress: Progress = NOWHERE
) -> ScaleOutcome:
    """Add partitions to a topic, and make feeds use them once the workers own them all.

    If a call is interrupted, the next call continues it.

    Parameters
    ----------
    settings
        The settings; ``broker`` is set, ``group`` and ``epoch`` name the workers' group.
    topic
        The topic's name; the topic must be ``growable``.
    partitions
        The new number of partitions. If the topic already has that many, no partitions are added.
    workers
        The number of workers that each ``tickertape up`` of the group must run from now on; None leaves it unchanged.
    say
        Receives each line about the progress.
    progress
        Where is shown how far workers have caught up.

    Raises
    ------
    ConfigError
        The topic doesn't exist, isn't growable, or already has more.
    BrokerError
        Kafka can't be reached, or the workers don't take over the partitions.
    """
    return asyncio.run(scale(settings, topic, partitions, workers, say, progress))


async def scale(
    settings: Settings, topic: str, partitions: int, workers: int | None, say: Say, progress: Progress = NOWHERE
) -> ScaleOutcome:
    """See `run`, which runs this in an event loop of its own."""
    declared = {known.name: known for known in discover(settings.agents).topics}
    chosen = declared.get(topic)
    if chosen is None:
        raise ConfigError(f"unknown topic {topic}; the topics are {', '.join(declared)}")
    async with (
        Producer(settings) as producer,
        Control(settings) as control,
        Reader(settings, [RESULTS.get(topic, BARS).name], from_beginning=False) as reader,
    ):
        results = asyncio.create_task(_watch(reader, stamps := set[int]()))
        try:
            report = await _Scaling(settings, chosen, partitions, workers, say, progress).run(producer, control)
        finally:
            results.cancel()
            with suppress(asyncio.CancelledError):
                await results
    gap = _longest_gap_seconds(stamps)
    longest = "no results were published" if gap is None else f"longest time without a result {gap:.1f} s"
    say(f"{report.seconds:.1f} s in total; {longest}")
    return replace(report, longest_gap_seconds=gap)


async def _watch(reader: Reader, stamps: set[int]) -> None:
    """Collect the append times of results, ms."""
    while True:
        stamps |= {record.timestamp for record in await reader.read()}


def _longest_gap_seconds(stamps: set[int]) -> float | None:
    ordered = sorted(stamps)
    return max((b - a for a, b in pairwise(ordered)), default=0) / 1000 if ordered else None


class _Look(Struct, frozen=True):
    """The topic's state at one moment, from the broker and the workers' commits.

    Attributes
    ----------
    at_seconds
        The moment, by the monotonic clock.
    ends, uptos
        By partition: the log's end, and the offset up to which it has been read.
    watermark_ms
        The highest watermark of any lane; 0 without lanes.
    """

    at_seconds: float
    ends: list[int]
    uptos: list[int]
    watermark_ms: int


def _lag(look: _Look, mark: _Look) -> int:
    """Return how many of the records that were present at one look are still to be read at another."""
    return sum(max(0, end - upto) for upto, end in zip(look.uptos, mark.ends, strict=True))


class _Scaling:
    def __init__(
        self,
        settings: Settings,
        topic: Topic,
        partitions: int,
        workers: int | None,
        say: Say,
        progress: Progress,
    ) -> None:
        self._progress = progress
        self._settings = settings
        self._topic = topic
        self._partitions = partitions
        self._workers = workers
        self._say = say
        self._began = time.monotonic()

    async def run(self, producer: Producer, control: Control) -> ScaleOutcome:
        first, name = await self._look(), self._topic.name
        before, steps = len(first.ends), control.steps(name)
        topics.require_growable(self._topic, before, self._partitions)
        if steps and self._partitions < steps[-1].partitions:
            raise ConfigError(
                f"the schedule has feeds use {steps[-1].partitions} partitions of {name}: ask for that many or more"
            )
        if not steps and before < self._partitions:
            # Written before partitions are added: a feed that starts meanwhile sees the old number, or this step too.
            steps = (Step(0, before),)
            write_schedule(producer, name, steps)
        if self._workers is not None:
            write_workers(producer, self._settings.group, self._workers)
            self._say(f"each `tickertape up` of group {self._settings.group} must run {self._workers} workers")
        await producer.flush()
        await asyncio.to_thread(topics.add_partitions, self._settings, self._topic, self._partitions)
        self._say(f"{name} had {before} partitions, and now has {self._partitions}")
        owned = await self._shared()
        from_ms = None
        if steps and steps[-1].partitions < self._partitions:
            from_ms = max(await self._from_ms(first, owned=owned), self._border(steps[-1].from_ms))
            write_schedule(producer, name, (*steps, Step(from_ms, self._partitions)))
            await producer.flush()
            at = datetime.fromtimestamp(from_ms / 1000, UTC)
            self._say(f"feeds use all of them for event times from {at:%Y-%m-%d %H:%M:%S} UTC on")
        in_force = owned and (from_ms is None or await self._in_force(from_ms))
        return ScaleOutcome(
            topic=name,
            before=before,
            after=self._partitions,
            workers=self._workers,
            from_ms=from_ms,
            in_force=in_force,
            caught_up=in_force and await self._caught_up(await self._look(), "all records up to then are read"),
            seconds=time.monotonic() - self._began,
            longest_gap_seconds=None,
        )

    async def _look(self) -> _Look:
        (state,) = await asyncio.to_thread(topics.describe, self._settings, [self._topic])
        return _Look(
            time.monotonic(),
            [part.end for part in state.partitions],
            [part.start if part.upto is None else part.upto for part in state.partitions],
            max((part.watermark_ms or 0 for part in state.partitions), default=0),
        )

    async def _shared(self) -> bool:
        """Wait until the workers own all partitions; return False if no worker runs."""
        until = time.monotonic() + SHARED_SECONDS
        while True:
            group = await asyncio.to_thread(members.describe, self._settings)
            if not group.owned and self._workers is None:
                self._say(f"no worker of group {self._settings.group} runs: the next ones will own all partitions")
                return False
            all_of_it = group.share(self._topic.name, self._partitions)
            if all_of_it and self._as_many(set(group.owned)):
                self._say(f"{len(group.owned)} workers own all {self._partitions} partitions, after {self._seconds()}")
                return True
            if time.monotonic() > until:
                if all_of_it:
                    self._say(f"no `tickertape up` of the group runs {self._workers} workers yet; continuing anyway")
                    return True
                raise BrokerError(
                    f"the workers of group {self._settings.group} don't own all {self._partitions} partitions of "
                    f"{self._topic.name} after {SHARED_SECONDS:g} s: check their logs, then run this again"
                )
            await asyncio.sleep(POLL_SECONDS)

    def _as_many(self, slots: set[str]) -> bool:
        """Return whether each supervisor runs the requested number; its slots have its machine's name and a number."""
        if self._workers is None:
            return True
        numbers: dict[str, set[str]] = {}
        for slot in slots:
            machine, _, number = slot.rpartition("-")
            numbers.setdefault(machine, set()).add(number)
        wanted = {str(number) for number in range(self._workers)}
        return wanted in numbers.values() and all(found == wanted for found in numbers.values())

    async def _from_ms(self, first: _Look, *, owned: bool) -> int:
        """Return a slice's start that no watermark reaches before the feeds have read the schedule."""
        now_ms = int(time.time() * 1000)
        latest_ms = now_ms + self._settings.skew_ms + int(LEAD_SECONDS * 1000)
        mark = await self._look()
        # Records that are appended after this moment are covered by the speed of event time, below.
        if not owned or not await self._caught_up(mark, ""):
            # Events later than this are rejected as too early, so it is past every event that is sent now.
            return self._border(latest_ms)
        now = await self._look()
        if not now.watermark_ms:
            return self._border(now_ms + int(LEAD_SECONDS * 1000))
        speed = 1.0
        if first.watermark_ms:
            # Event time is faster than the clock while a recording is replayed.
            speed = max(1.0, (now.watermark_ms - first.watermark_ms) / 1000 / (now.at_seconds - first.at_seconds))
        ahead_seconds = now.at_seconds - mark.at_seconds + LEAD_SECONDS
        return self._border(min(now.watermark_ms + int(ahead_seconds * speed * 1000), latest_ms))

    def _border(self, after_ms: int) -> int:
        """Return the start of the next slice, because a frontier may be raised to the end of the current one."""
        return (after_ms // self._settings.slice_ms + 1) * self._settings.slice_ms

    async def _in_force(self, from_ms: int) -> bool:
        """Wait until event time reaches a step; return False if it doesn't within the time."""
        looks = [await self._look()]
        until = time.monotonic() + LEAD_SECONDS + CAUGHT_UP_SECONDS
        while looks[-1].watermark_ms < from_ms:
            quiet = [look for look in looks if look.ends == looks[-1].ends]
            if looks[-1].at_seconds - quiet[0].at_seconds > QUIET_SECONDS:
                self._say("no feed sends records: the new partitions are used once one does")
                return False
            if time.monotonic() > until:
                self._say("event time has not reached the step: the new partitions are used once it has")
                return False
            await asyncio.sleep(POLL_SECONDS)
            looks.append(await self._look())
        self._say(f"event time has reached the step, after {self._seconds()}")
        return True

    async def _caught_up(self, mark: _Look, done: str) -> bool:
        """Wait until all records that were present at a moment have been read and committed."""
        until = time.monotonic() + CAUGHT_UP_SECONDS
        lag = _lag(mark, mark)
        read = Counting(lag)
        with self._progress.of("read", "records", read):
            while left := _lag(await self._look(), mark):
                read.done = lag - left
                if time.monotonic() > until:
                    self._say(f"the workers lag: {self._topic.name} is not read up to {CAUGHT_UP_SECONDS:g} s ago")
                    return False
                await asyncio.sleep(POLL_SECONDS)
            read.done = lag
        if done:
            self._say(f"{done}, after {self._seconds()}")
        return True

    def _seconds(self) -> str:
        return f"{time.monotonic() - self._began:.1f} s"
