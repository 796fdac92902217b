"""A chaos run: inject faults into Kafka, workers and feeds, then compare everything written with the oracle."""

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

from tickertape.schemas.refused import DeadLetter, Late
from tickertape.schemas.topics import BARS, DEAD_LETTERS, LATE, POSTS, QUOTES, SLICES, TRADES
from tickertape.schemas.trade import Trade
from tickertape.stream.chaos.busy import busy
from tickertape.stream.chaos.faults import FAULTS, Stage, freeze_all_but_one
from tickertape.stream.chaos.oracle import logs, verdict
from tickertape.stream.chaos.oracle.bundles import events_of
from tickertape.stream.chaos.oracle.feed import SOURCES, TOPICS, Places
from tickertape.stream.chaos.oracle.feed import Plan as FeedPlan
from tickertape.stream.chaos.oracle.truth import Bars, Entry, Position, Truth
from tickertape.stream.chaos.report import Summary, by_fault
from tickertape.stream.chaos.schedule import Blow, blows
from tickertape.stream.chaos.waits import send_first_heartbeats, wait_until_final, wait_until_owned
from tickertape.stream.chaos.watch import Recovery, Sink, WorkerLog
from tickertape.stream.cluster.slot import Slot
from tickertape.stream.cluster.supervisor import Supervisor
from tickertape.stream.configuration.environment import environment
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.define.discovery import configured
from tickertape.stream.engine.define.recipes import Recursion
from tickertape.stream.kafka.admin import topics
from tickertape.stream.kafka.clients.reader import Reader
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka
from tickertape.stream.progress.meter import Count
from tickertape.stream.progress.shown import NOWHERE, Progress
from tickertape.stream.replay.verify import NOT_YET, verify

# The lateness for even and for odd seeds. With the first, a zombie wakes while slices with its records are still open.
# With the second, slices are closed soon, and records before a commit are not read again.
LATENESS_MS = (12_000, 2000)
RULES = Path(__file__).with_name("signals.toml")
SETTINGS = Settings(
    group="chaos",
    session_seconds=6.0,
    coalesce_ms=100,
    # Commits are frequent, so that some workers are frozen during a commit, and removed ones learn of it from a commit.
    commit_seconds=0.2,
    partitions={TRADES.name: 4, QUOTES.name: 2, POSTS.name: 2, SLICES.name: 8},
    # Short, so that they are warm soon. Several share the bars that they follow.
    indicators="macd(3, 6, 2)@1s; stochrsi(4, 3, 2)@1s; sar@1s; obv@1s",
    signals=str(RULES),
)
# Short, so that a killed process is soon restarted for the next fault.
HEALTHY_SECONDS = 5.0
# After this time something is stuck, whatever the fault and however busy the machine.
SETTLED_SECONDS = 180.0
CLOSED_SECONDS = 60.0
TICK_SECONDS = 0.1
MORE_FREEZES = 8

Say = Callable[[str], None]


class Plan(Struct, frozen=True, kw_only=True):
    """The parameters of a run.

    Attributes
    ----------
    seed
        The seed of the faults and the trades.
    minutes
        How long faults are injected: longer if some kind has not occurred by then.
    workers
        The number of workers outside of faults.
    rate
        Trades per second, of all sources together.
    symbols
        The number of symbols.
    faults
        The kinds of faults.
    busy
        The number of cores that other processes keep busy during the run.
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
        """The command that repeats the run."""
        kinds = "" if self.faults == list(FAULTS) else "".join(f" --fault {fault}" for fault in self.faults)
        load = f" --busy {self.busy}" if self.busy else ""
        return f"tickertape chaos --seed {self.seed} --minutes {self.minutes:g} --workers {self.workers}{load}{kinds}"


def run(plan: Plan, say: Say, progress: Progress = NOWHERE) -> Summary:
    """Perform a run on an embedded Kafka.

    Parameters
    ----------
    plan
        The run's parameters.
    say
        Called with each line about what happens.
    progress
        Where the time of the faults is shown.

    Raises
    ------
    EmbeddedKafkaError
        Kafka can't start.
    BrokerError
        Kafka failed, but not by an injected fault.
    """
    # The broker's absence is intended, so the clients' log lines about it are suppressed.
    for name in ("aiokafka", "kafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with _folder(say) as folder, EmbeddedKafka(folder / "kafka") as kafka, busy(plan.busy):
        settings = msgspec.structs.replace(
            SETTINGS,
            broker=kafka.broker,
            lateness_ms={TRADES.name: LATENESS_MS[plan.seed % 2]},
            # A run is short, so recursions use the finest resolution only.
            resolutions={
                recipe.output.kind: [min(recipe.of.resolutions, key=recipe.of.resolutions.__getitem__)]
                for recipe in configured(SETTINGS).recipes
                if isinstance(recipe, Recursion)
            },
        )
        topics.create(settings)
        return asyncio.run(_Run(plan, settings, kafka, folder, say, progress).run())


@contextmanager
def _folder(say: Say) -> Iterator[Path]:
    """Yield a temporary folder, which is kept if something went wrong."""
    folder = Path(tempfile.mkdtemp(prefix="tickertape-chaos-"))
    kept = True
    try:
        yield folder
        kept = (folder / "differences").exists()
    finally:
        if kept:
            say(f"workers.log and Kafka's data are kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


class _Run:
    def __init__(
        self, plan: Plan, settings: Settings, kafka: EmbeddedKafka, folder: Path, say: Say, progress: Progress
    ) -> None:
        self._progress = progress
        self._plan, self._settings, self._kafka, self._folder, self._say = plan, settings, kafka, folder, say
        self._sink = Sink()
        self._worker_log = WorkerLog(folder / "workers.log")
        self._series = [(f"S{n:02d}-USD", source) for n in range(plan.symbols) for source in SOURCES]
        self._differences: list[str] = []
        self._supervisor = Supervisor(
            settings, plan.workers, self._worker_log.note_line, healthy_seconds=HEALTHY_SECONDS
        )

    async def run(self) -> Summary:
        plan, settings = self._plan, self._settings
        await send_first_heartbeats(settings, int(time.time() * 1000))
        reading: asyncio.Task[None] | None = None
        feeds: dict[str, Slot] = {}
        try:
            self._supervisor.start()
            reader = Reader(settings, [BARS.name], from_beginning=True)
            reading = asyncio.create_task(self._read(reader))
            self._differences += await wait_until_owned(settings, plan.workers)
            began_ms = int(time.time() * 1000)
            plans = [
                FeedPlan(source, plan.seed, plan.rate / len(SOURCES), plan.symbols, began_ms, str(self._folder))
                for source in SOURCES
            ]
            stage = Stage(settings, self._kafka, self._supervisor, feeds, plan.workers, self._folder, [], self._refused)
            stage.use(0, settings.partitions[TRADES.name])
            feeds |= {feed.source: self._feed(feed) for feed in plans}
            began, seconds = time.monotonic(), plan.minutes * 60
            with self._progress.of("struck for", "s", lambda: Count(time.monotonic() - began, seconds)):
                await self._strike(stage)
            await asyncio.to_thread(_end, feeds)
            truth, values = await self._truth()
            bars = await asyncio.to_thread(truth.bars)
            self._differences += await wait_until_final(settings, self._sink, bars)
            await asyncio.to_thread(self._supervisor.stop)
            return await self._judge(plans, truth, bars, values)
        finally:
            if reading is not None:
                reading.cancel()
            await asyncio.to_thread(_end, feeds)
            await asyncio.to_thread(self._supervisor.stop)
            self._worker_log.close()

    def _feed(self, feed: FeedPlan) -> Slot:
        command = [sys.executable, "-m", "tickertape.stream.chaos.oracle.feed", msgspec.json.encode(feed).decode()]
        return Slot(
            command,
            environment(self._settings),
            f"feed-{feed.source}",
            self._worker_log.note_line,
            lambda _: True,
            healthy_seconds=HEALTHY_SECONDS,
        )

    async def _read(self, reader: Reader) -> None:
        async with reader:
            while True:
                self._sink.add_records(await reader.read())

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
        """Freeze workers until a zombie has published and a commit has failed: both are a matter of timing."""
        rng = random.Random(self._plan.seed)
        for _ in range(MORE_FREEZES):
            if "freeze" not in self._plan.faults or self._differences or await asyncio.to_thread(self._has_bitten):
                return
            await self._settled("freeze", lambda: asyncio.to_thread(freeze_all_but_one, stage, rng))

    def _has_bitten(self) -> bool:
        return (
            self._worker_log.refused + self._worker_log.given_up > 0
            and verdict.zombie_frames(logs.frames(self._kafka.data)) > 0
        )

    def _refused(self) -> int:
        return self._worker_log.refused

    async def _blow(self, stage: Stage, blow: Blow) -> None:
        await asyncio.to_thread(FAULTS[blow.fault], stage, random.Random(blow.seed))

    async def _settled(self, fault: str, strike: Callable[[], Awaitable[object]], *, patient: bool = True) -> None:
        """Inject a fault, and, if `patient`, wait for the recovery."""
        recovery = Recovery(fault, self._series)
        self._sink.recoveries.append(recovery)
        self._say(fault)
        await strike()
        recovery.over()
        lasted = f"{fault}: lasted {recovery.lasted_seconds:.1f} s"
        if not patient:
            self._say(f"{lasted}; the next fault doesn't wait for the recovery")
            return
        await self._wait_for(recovery)
        if recovery.settled_seconds is not None:
            self._say(f"{lasted}, recovered after {recovery.settled_seconds:.1f} s")

    async def _wait_for(self, recovery: Recovery) -> None:
        until = time.monotonic() + SETTLED_SECONDS
        while not recovery.complete and time.monotonic() < until:  # noqa: ASYNC110 - the reader completes it
            await asyncio.sleep(TICK_SECONDS)
        if not recovery.complete:
            stuck = ", ".join(f"{symbol} of {source}" for symbol, source in recovery.missing)
            self._differences.append(
                f"{recovery.fault}: no recovery within {SETTLED_SECONDS:g} s: no new bars of {stuck}"
            )

    async def _truth(self) -> tuple[Truth, set[bytes]]:
        """Read back the input log, and compute its expected results."""
        self._say("the feeds have closed every bar; computing the expected results")
        entries: list[Entry] = []
        values: set[bytes] = set()
        async for r in logs.read(self._settings, [TRADES.name]):
            at, events = (r.partition, r.offset, r.timestamp), events_of(r.value or b"", dict(r.headers))
            if events is None:
                entries.append(Entry(*at, r.value, tuple(r.headers)))
            else:
                found = [msgspec.json.encode(msgspec.convert(event, Trade)) for event in events]
                entries += [Entry(*at, value, (), index) for index, value in enumerate(found)]
                values.update(found)
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
        again = verdict.read_again(commits, self._worker_log.taken_up)
        differences += verdict.of_bars(holder.held, bars)
        places = msgspec.json.decode(plans[0].places.read_bytes(), type=Places)
        differences += verdict.of_provisional(holder.held, [from_ms for from_ms, _ in places])
        differences += verdict.of_tallies(trades.partitions, truth)
        for state in others:
            differences += verdict.of_reading(state)
        differences += verdict.of_refused(LATE.name, late, truth.late)
        differences += verdict.of_refused(DEAD_LETTERS.name, dead, truth.rejected)
        differences += verdict.of_commits(commits)
        for plan in plans:
            differences += verdict.of_feed(plan, values)
        self._say("replaying the retained records")
        agree: dict[str, int] = {}
        for topic in TOPICS:
            folder = self._folder / f"replay-{topic.name}"
            folder.mkdir()
            for compared in await verify(settings, topic.name, 1, folder, NOWHERE):
                agree[compared.output] = compared.agree
                differences += compared.differences
                if not_yet := compared.left_out[NOT_YET]:
                    differences.append(f"{compared.output}: {not_yet} {NOT_YET}")
        zombie_frames = verdict.zombie_frames(logs.frames(self._kafka.data))
        differences += verdict.of_bites(
            Counter(recovery.fault for recovery in self._sink.recoveries),
            read_again=again[TRADES.name],
            refused=self._worker_log.refused,
            given_up=self._worker_log.given_up,
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
            slices_read_again=again[SLICES.name],
            refused=self._worker_log.refused,
            given_up=self._worker_log.given_up,
            zombie_frames=zombie_frames,
            restarts=self._supervisor.restarts,
            differences=differences,
        )


def _places(refused: Late | DeadLetter) -> list[Position]:
    """Return the place of a refused trade; none for other records, which the oracle doesn't cover."""
    return [(refused.partition, refused.offset, refused.index)] if refused.topic == TRADES.name else []


def _end(feeds: dict[str, Slot]) -> None:
    """Stop the feeds; each closes every bar before it ends."""
    for feed in feeds.values():
        feed.end()
    for feed in feeds.values():
        feed.join(time.monotonic() + CLOSED_SECONDS)
