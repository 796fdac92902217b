"""A run of chaos: Kafka, workers and feeds, struck for a while; then everything that they left is held to the truth."""

import asyncio
import logging
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct, field
from rich.console import Console

from tickertape.schemas.heartbeat import Heartbeat, to_headers
from tickertape.schemas.refused import DeadLetter, Late
from tickertape.schemas.topics import BARS, DEAD_LETTERS, HOUR_MS, LATE, POSTS, QUOTES, SLICES, TRADES
from tickertape.stream.chaos import logs, verdict
from tickertape.stream.chaos.busy import busy
from tickertape.stream.chaos.faults import FAULTS, Stage, freeze_all_but_one
from tickertape.stream.chaos.feed import TOPICS
from tickertape.stream.chaos.feed import Plan as FeedPlan
from tickertape.stream.chaos.report import Summary, by_fault
from tickertape.stream.chaos.schedule import Blow, blows
from tickertape.stream.chaos.truth import Bars, Entry, Truth
from tickertape.stream.chaos.watch import Ear, Recovery, Sink
from tickertape.stream.cluster.supervisor import Slot, Supervisor, environment
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.define.discovery import configured
from tickertape.stream.engine.define.recipes import Recursion
from tickertape.stream.engine.worker.coordinator import FRAME_SECONDS
from tickertape.stream.kafka.admin import members, topics
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.clients.reader import Reader
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka
from tickertape.stream.replay.verify import NOT_YET, verify

SOURCES = ("x", "y")
# Of even and of odd seeds: with the first a zombie wakes while slices are open that it has something of; with the
# second they are soon closed, and what a commit has passed is not read again.
LATENESS_MS = (12_000, 2000)
RULES = Path(__file__).with_name("signals.toml")
SETTINGS = Settings(
    group="chaos",
    session_seconds=6.0,
    coalesce_ms=100,
    # Often, so that a worker is frozen in the midst of a commit, and one that was removed learns of it from a commit.
    commit_seconds=0.2,
    partitions={TRADES.name: 4, QUOTES.name: 2, POSTS.name: 2, SLICES.name: 8},
    signals=str(RULES),
)
# No fault is to take a worker's place for long: it is met by the next one soon.
HEALTHY_SECONDS = 5.0
# Whatever the fault, and however busy the machine is, by then all is well, or something is stuck.
READY_SECONDS = 120.0
SETTLED_SECONDS = 180.0
FINAL_SECONDS = 180.0
CLOSED_SECONDS = 60.0
TICK_SECONDS = 0.1
MORE_FREEZES = 8

Say = Callable[[str], None]


class Plan(Struct, frozen=True, kw_only=True):
    """What a run is to do.

    Attributes
    ----------
    seed
        Decides the faults and the trades.
    minutes
        For how long it strikes; longer, where by then not every kind has come.
    workers
        How many there are while nothing is wrong.
    rate
        Records a second, of all sources.
    symbols
        How many.
    faults
        The kinds.
    busy
        How many cores other processes are to keep busy all the while.
    """

    seed: int
    minutes: float = 5.0
    workers: int = 3
    busy: int = 0
    rate: float = 1500.0
    symbols: int = 20
    faults: list[str] = field(default_factory=lambda: list(FAULTS))

    @property
    def repro(self) -> str:
        """The command that runs it again."""
        kinds = "" if self.faults == list(FAULTS) else "".join(f" --fault {fault}" for fault in self.faults)
        load = f" --busy {self.busy}" if self.busy else ""
        return f"tickertape chaos --seed {self.seed} --minutes {self.minutes:g} --workers {self.workers}{load}{kinds}"


def run(plan: Plan, say: Say) -> Summary:
    """Run it, with a Kafka of its own.

    Parameters
    ----------
    plan
        What to do.
    say
        Takes a line for each fault.

    Raises
    ------
    EmbeddedKafkaError
        Kafka can't start.
    BrokerError
        Kafka failed in a way that was not asked for.
    """
    # What clients say of a broker that is away is no news here.
    for name in ("aiokafka", "kafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with _folder(say) as folder, EmbeddedKafka(folder / "kafka") as kafka, busy(plan.busy):
        settings = msgspec.structs.replace(
            SETTINGS,
            broker=kafka.broker,
            lateness_ms={TRADES.name: LATENESS_MS[plan.seed % 2]},
            # A run is short, and so is what follows its bars.
            resolutions={
                recipe.output.kind: [min(recipe.of.resolutions, key=recipe.of.resolutions.__getitem__)]
                for recipe in configured(SETTINGS).recipes
                if isinstance(recipe, Recursion)
            },
        )
        topics.create(settings)
        return asyncio.run(_Run(plan, settings, kafka, folder, say).run())


@contextmanager
def _folder(say: Say) -> Iterator[Path]:
    """Yield a folder that stays if something went wrong."""
    folder = Path(tempfile.mkdtemp(prefix="tickertape-chaos-"))
    kept = True
    try:
        yield folder
        kept = (folder / "differences").exists()
    finally:
        if kept:
            say(f"what it left is in {folder}: workers.log, and Kafka's data")
        else:
            shutil.rmtree(folder, ignore_errors=True)


class _Run:
    def __init__(self, plan: Plan, settings: Settings, kafka: EmbeddedKafka, folder: Path, say: Say) -> None:
        self._plan, self._settings, self._kafka, self._folder, self._say = plan, settings, kafka, folder, say
        self._sink = Sink()
        self._ear = Ear(folder / "workers.log")
        self._series = [(f"S{n:02d}-USD", source) for n in range(plan.symbols) for source in SOURCES]
        self._differences: list[str] = []
        self._supervisor = Supervisor(settings, plan.workers, self._ear.note_line, healthy_seconds=HEALTHY_SECONDS)

    async def run(self) -> Summary:
        plan, settings = self._plan, self._settings
        await self._open(int(time.time() * 1000))
        reading: asyncio.Task[None] | None = None
        feeds: dict[str, Slot] = {}
        try:
            self._supervisor.start()
            reader = Reader(settings, [BARS.name], from_beginning=True)
            reading = asyncio.create_task(self._read(reader))
            await self._ready()
            began_ms = int(time.time() * 1000)
            plans = [
                FeedPlan(source, plan.seed, plan.rate / len(SOURCES), plan.symbols, began_ms, str(self._folder))
                for source in SOURCES
            ]
            stage = Stage(settings, self._kafka, self._supervisor, feeds, plan.workers, self._folder, [], self._refused)
            stage.use(0, settings.partitions[TRADES.name])
            feeds |= {feed.source: self._feed(feed) for feed in plans}
            await self._strike(stage)
            await asyncio.to_thread(_end, feeds)
            truth, values = await self._truth()
            bars = await asyncio.to_thread(truth.bars)
            await self._final(bars)
            await asyncio.to_thread(self._supervisor.stop)
            return await self._judge(plans, truth, bars, values)
        finally:
            if reading is not None:
                reading.cancel()
            await asyncio.to_thread(_end, feeds)
            await asyncio.to_thread(self._supervisor.stop)
            self._ear.close()

    async def _open(self, began_ms: int) -> None:
        """Tell every partition of every source, before any worker reads: no result goes out without one of them."""
        async with Producer(self._settings) as producer:
            for topic in TOPICS:
                for partition in range(await producer.partitions(topic.name)):
                    for source in SOURCES:
                        headers = to_headers(Heartbeat(source, began_ms - HOUR_MS))
                        producer.send(topic.name, partition, None, None, headers)

    def _feed(self, feed: FeedPlan) -> Slot:
        command = [sys.executable, "-m", "tickertape.stream.chaos.feed", msgspec.json.encode(feed).decode()]
        return Slot(
            command,
            environment(self._settings),
            f"feed-{feed.source}",
            self._ear.note_line,
            lambda _: True,
            healthy_seconds=HEALTHY_SECONDS,
        )

    async def _read(self, reader: Reader) -> None:
        async with reader:
            while True:
                self._sink.add_records(await reader.read())

    async def _ready(self) -> None:
        """Wait until the workers share all partitions."""
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            group = await asyncio.to_thread(members.describe, self._settings)
            if group.stable and len(group.owned) == self._plan.workers and all(group.owned.values()):
                return
            await asyncio.sleep(0.3)
        self._differences.append(f"the workers were not ready within {READY_SECONDS:g} s")

    async def _strike(self, stage: Stage) -> None:
        await self._settled("the start", lambda: asyncio.sleep(0))
        until = time.monotonic() + self._plan.minutes * 60
        for struck, blow in enumerate(blows(self._plan.seed, self._plan.faults)):
            over = time.monotonic() > until and struck >= len(self._plan.faults)
            if over or self._differences:
                break
            await self._settled(blow.fault, lambda: self._blow(stage, blow), patient=blow.patient)  # noqa: B023 - awaited here
            await asyncio.sleep(blow.pause_seconds)
        await self._freeze_until_it_bites(stage)
        for recovery in self._sink.recoveries:
            await self._wait_for(recovery)

    async def _freeze_until_it_bites(self, stage: Stage) -> None:
        """Freeze more of them, again and again, if none was a zombie so far: that is a matter of moments."""
        rng = random.Random(self._plan.seed)
        for _ in range(MORE_FREEZES):
            if "freeze" not in self._plan.faults or self._differences or await asyncio.to_thread(self._has_bitten):
                return
            await self._settled("freeze", lambda: asyncio.to_thread(freeze_all_but_one, stage, rng))

    def _has_bitten(self) -> bool:
        return self._ear.refused + self._ear.given_up > 0 and verdict.zombie_frames(logs.frames(self._kafka.data)) > 0

    def _refused(self) -> int:
        return self._ear.refused

    async def _blow(self, stage: Stage, blow: Blow) -> None:
        await asyncio.to_thread(FAULTS[blow.fault], stage, random.Random(blow.seed))

    async def _settled(self, fault: str, strike: Callable[[], Awaitable[object]], *, patient: bool = True) -> None:
        """Strike, and wait until all is well again, or not."""
        recovery = Recovery(fault, self._series)
        self._sink.recoveries.append(recovery)
        self._say(fault)
        await strike()
        recovery.over()
        lasted = f"{fault}: lasted {recovery.lasted_seconds:.1f} s"
        if not patient:
            self._say(f"{lasted}; the next strikes into its midst")
            return
        await self._wait_for(recovery)
        if recovery.settled_seconds is not None:
            self._say(f"{lasted}, all goes on after {recovery.settled_seconds:.1f} s")

    async def _wait_for(self, recovery: Recovery) -> None:
        until = time.monotonic() + SETTLED_SECONDS
        while not recovery.complete and time.monotonic() < until:  # noqa: ASYNC110 - the reader completes it
            await asyncio.sleep(TICK_SECONDS)
        if not recovery.complete:
            stuck = ", ".join(f"{symbol} of {source}" for symbol, source in recovery.missing)
            self._differences.append(
                f"{recovery.fault}: not recovered from within {SETTLED_SECONDS:g} s: no new bars of {stuck}"
            )

    async def _truth(self) -> tuple[Truth, set[bytes]]:
        """Read back what was fed, and work out what must come of it."""
        self._say("the feeds have closed every bar; working out the truth")
        entries: list[Entry] = []
        values: set[bytes] = set()
        async for r in logs.read(self._settings, [TRADES.name]):
            entries.append(Entry(r.partition, r.offset, r.timestamp, r.value, tuple(r.headers)))
            if r.value is not None:
                values.add(r.value)
        settings = self._settings
        truth = await asyncio.to_thread(
            Truth,
            entries,
            slice_ms=settings.slice_ms,
            skew_ms=settings.skew_ms,
            lateness_ms=settings.lateness_ms[TRADES.name],
        )
        return truth, values

    async def _final(self, bars: Bars) -> None:
        """Wait until all is read, and every bar is final."""
        expected = {"|".join(map(str, key)).encode() for key in bars}
        until = time.monotonic() + FINAL_SECONDS
        # Frames go on for ever; those that close the last windows come within a beat of the inputs' end being read.
        ends: dict[int, int] | None = None
        read_at: float | None = None
        while time.monotonic() < until:
            *inputs, slices = await asyncio.to_thread(topics.describe, self._settings, [*TOPICS, SLICES])
            if read_at is None and not any(state.lag for state in inputs):
                read_at = time.monotonic()
            if ends is None and read_at is not None and time.monotonic() > read_at + 2 * FRAME_SECONDS:
                ends = {state.partition: state.end for state in slices.partitions}
            read = ends is not None and all((s.upto or 0) >= ends[s.partition] for s in slices.partitions)
            if read and all(self._sink.final.get(key) for key in expected):
                return
            await asyncio.sleep(0.5)
        missing = sum(not self._sink.final.get(key) for key in expected)
        self._differences.append(f"stuck: {missing} bars are not final {FINAL_SECONDS:g} s after the feeds closed them")

    async def _judge(self, plans: list[FeedPlan], truth: Truth, bars: Bars, values: set[bytes]) -> Summary:
        settings, differences = self._settings, self._differences
        trades, *others = topics.describe(settings, TOPICS)
        holder, late, dead = verdict.Holder(), [], []
        async for r in logs.read(settings, [BARS.name, LATE.name, DEAD_LETTERS.name]):
            if r.topic == BARS.name:
                holder.add(r.key, r.value)
            elif r.topic == LATE.name:
                late += _places(msgspec.json.decode(r.value, type=Late))
            else:
                dead += _places(msgspec.json.decode(r.value, type=DeadLetter))
        commits = list(logs.commits(self._kafka.data, settings.consumer_group))
        again = verdict.read_again(commits, self._ear.taken_up)
        differences += verdict.of_bars(holder.held, bars)
        differences += verdict.of_tallies(trades.partitions, truth)
        for state in others:
            differences += verdict.of_reading(state)
        differences += verdict.of_refused(LATE.name, late, truth.late)
        differences += verdict.of_refused(DEAD_LETTERS.name, dead, truth.rejected)
        differences += verdict.of_commits(commits)
        for plan in plans:
            differences += verdict.of_feed(plan, values)
        self._say("replaying what the topics retain")
        agree: dict[str, int] = {}
        for topic in TOPICS:
            folder = self._folder / f"replay-{topic.name}"
            folder.mkdir()
            for compared in await verify(settings, topic.name, 1, folder, Console(quiet=True)):
                agree[compared.output] = compared.agree
                differences += compared.differences
                if not_yet := compared.left_out[NOT_YET]:
                    differences.append(f"{compared.output}: {not_yet} {NOT_YET}")
        zombie_frames = verdict.zombie_frames(logs.frames(self._kafka.data))
        differences += verdict.of_bites(
            Counter(recovery.fault for recovery in self._sink.recoveries),
            read_again=again[TRADES.name],
            refused=self._ear.refused,
            given_up=self._ear.given_up,
            zombie_frames=zombie_frames,
        )
        if differences:
            (self._folder / "differences").write_text("\n".join(differences))
        tallies = sum(truth.tallies.values(), Counter[str]())
        return Summary(
            ok=not differences,
            seed=self._plan.seed,
            minutes=self._plan.minutes,
            workers=self._plan.workers,
            faults=by_fault(self._sink.recoveries[1:]),
            events=len(truth.trades),
            bars=len(bars),
            agree=agree,
            tallies={name: tallies[name] for name in verdict.TALLIES},
            read_again=again[TRADES.name],
            frames_read_again=again[SLICES.name],
            refused=self._ear.refused,
            given_up=self._ear.given_up,
            zombie_frames=zombie_frames,
            restarts=self._supervisor.restarts,
            differences=differences,
        )


def _places(refused: Late | DeadLetter) -> list[tuple[int, int]]:
    """Return where a trade lies that was refused; the oracle knows of no others."""
    return [(refused.partition, refused.offset)] if refused.topic == TRADES.name else []


def _end(feeds: dict[str, Slot]) -> None:
    """Have the feeds close every bar and end."""
    for feed in feeds.values():
        feed.end()
    for feed in feeds.values():
        feed.join(time.monotonic() + CLOSED_SECONDS)
