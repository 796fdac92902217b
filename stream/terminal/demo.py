"""Run the demo: a simulated market through Kafka and workers, a killed worker, and a balance at the end."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from aiokafka.structs import TopicPartition
from msgspec import Struct
from msgspec.structs import replace

from tickertape.schemas.topics import BARS, POSTS, QUOTES, SIGNALS, SLICES, SOCIAL, TRADES
from tickertape.stream.cluster import scale
from tickertape.stream.cluster.process_numbers import ProcessNumbers
from tickertape.stream.cluster.supervisor import Supervisor
from tickertape.stream.configuration.environment import environment
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.console.beside import Beside, PageOptions
from tickertape.stream.engine.define.discovery import discover
from tickertape.stream.errors import BrokerError, ConfigError
from tickertape.stream.kafka.admin import members, topics
from tickertape.stream.kafka.clients.reader import Reader
from tickertape.stream.kafka.embedded import guard
from tickertape.stream.kafka.embedded.broker import broker_for
from tickertape.stream.terminal.balance import Balance, balance, sent_by_symbol
from tickertape.stream.terminal.own_metrics import OwnMetrics
from tickertape.stream.terminal.screen import Screen
from tickertape.stream.terminal.takeover import Takeover
from tickertape.stream.terminal.view import View
from tickertape.stream.watch.state import Watch

SOURCE = "sim"
# What the pipeline reads.
READ = [TRADES, QUOTES, POSTS, SLICES]
RULES = Path(__file__).with_name("signals.toml")
KILL_AFTER_SECONDS = 10.0
# The feed starts once the workers own every partition, or after this time.
READY_SECONDS = 8.0
# A run of limited length waits this long for a takeover that is under way.
TAKEOVER_SECONDS = 15.0
# How long the demo waits for records in flight once the feed has stopped; less if the user ended the run.
CATCH_UP_SECONDS = 30.0
CATCH_UP_AFTER_QUIT_SECONDS = 6.0
TICK_SECONDS = 0.25
STOP_SECONDS = 9.0
MOST_PARTITIONS = 64
# The keys that the page's buttons stand for.
BUTTONS = {"kill": "k", "scale": "p"}
# So that a visitor sees indicators at once, and posts beside their baseline after two minutes, not after twenty.
RESOLUTIONS = {kind: ["1s", "5s", "1m", "5m", "15m", "1h"] for kind in ("bars", "bollinger", "ema", "rsi")} | {
    kind: ["5s", "1m", "5m", "1h"] for kind in ("social", "mentions")
}


class DemoOptions(Struct, frozen=True, kw_only=True):
    """The options of a demo.

    Attributes
    ----------
    seconds
        How long the market runs. None: until the user ends it.
    workers
        The number of workers.
    rate
        Trades per second.
    symbols
        The number of symbols.
    page
        Whether and where the page is served.
    """

    seconds: float | None = None
    workers: int = 2
    rate: float = 5000.0
    symbols: int = 20
    page: PageOptions = PageOptions()


def run(settings: Settings, options: DemoOptions, screen: Screen) -> Balance:
    """Run the demo: start Kafka, topics, workers and feed, and end them again.

    Parameters
    ----------
    settings
        The settings; without a broker, the demo runs an embedded Kafka.
    options
        The demo's options.
    screen
        The screen on which the demo is shown.

    Raises
    ------
    ConfigError
        Workers of the same group are already running, or ours can't run with these settings.
    BrokerError
        Kafka or the feed failed.
    EmbeddedKafkaError
        The embedded Kafka can't start.
    """
    if not settings.broker:
        screen.note("starting an embedded Kafka; it needs neither Docker nor an installed Java")
    with TemporaryDirectory(prefix="tickertape-demo-") as folder, broker_for(settings) as broker:
        if settings.broker:
            _wait_for_empty_group(settings)
        settings = replace(
            settings,
            broker=broker,
            signals=settings.signals or str(RULES),
            resolutions=RESOLUTIONS | settings.resolutions,
        )
        topics.create(settings, discover(settings.agents).topics)
        return asyncio.run(Demo(settings, options, screen, Path(folder)).run())


def _wait_for_empty_group(settings: Settings) -> None:
    """Wait until the group has no members of an earlier run, whose slots have the same names as ours."""
    deadline = time.monotonic() + settings.session_seconds + 2
    while members.describe(settings).owned:
        if time.monotonic() > deadline:
            raise ConfigError(
                f"workers of group {settings.group} are already running at {settings.broker}: end them, or unset the "
                "broker to run the demo on an embedded Kafka"
            )
        time.sleep(0.5)


class Demo:
    """One run, from the workers' start to their end.

    Parameters
    ----------
    settings
        The settings, with a broker on which the topics exist.
    options
        The demo's options.
    screen
        The screen on which the demo is shown.
    folder
        The folder for the feed's ledger and log.
    """

    def __init__(self, settings: Settings, options: DemoOptions, screen: Screen, folder: Path) -> None:
        self._settings = settings
        self._options = options
        self._screen = screen
        self._folder = folder
        (self._trades_before,) = topics.describe(settings, [TRADES])
        self._partitions = len(self._trades_before.partitions)
        self._own_metrics = OwnMetrics(settings)
        self._view = View(SOURCE, settings.epoch, self._partitions, int(time.time() * 1000), self._own_metrics)
        self._supervisor = Supervisor(settings, options.workers, self._show_line)
        self._page = Beside(
            settings, options.page, ProcessNumbers(self._supervisor), self._show_page_line, self._asked_by_page
        )
        self._stop_requested = asyncio.Event()
        self._watch = Watch(settings, READ, ProcessNumbers(self._supervisor))
        self._feeding = True
        self._kills = 0
        self._doubling = False
        self._takeovers: list[float] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> Balance:
        """Run the demo, and return its balance."""
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._stop_requested.set)
        settings, options = self._settings, self._options
        with self._supervisor.shown(), self._supervisor, self._page:
            self._screen.address = self._page.address
            topics_shown = sorted({BARS.name, SLICES.name, SOCIAL.name, SIGNALS.name, *self._own_metrics.topics})
            async with Reader(settings, topics_shown, from_beginning=False) as reader:
                self._spawn(self._read(reader))
                self._spawn(self._poll_log_ends(reader))
                try:
                    await self._wait_until_ready()
                    began = time.monotonic()
                    with Feed(settings, options, self._folder) as feed:
                        async with self._screen.view(f"demo at {settings.broker}", self._watch.now, self._press):
                            await self._run_until_done(feed, began)
                            seconds = time.monotonic() - began
                            self._feeding = False
                            await asyncio.to_thread(feed.stop)
                            sent = sent_by_symbol(feed.ledger)
                            await self._catch_up(sum(sent.values()), began)
                finally:
                    for task in self._tasks:
                        task.cancel()
                    await asyncio.gather(*self._tasks, return_exceptions=True)
            # The workers' last commits hold the tallies of all records.
            await asyncio.to_thread(self._supervisor.stop)
        (after,) = topics.describe(settings, [TRADES])
        return balance(
            self._view,
            sent,
            before=self._trades_before.partitions,
            after=after.partitions,
            seconds=seconds,
            takeovers=self._takeovers,
            workers=options.workers,
        )

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)

    async def _read(self, reader: Reader) -> None:
        while True:
            self._view.add_records(await reader.read())

    async def _poll_log_ends(self, reader: Reader) -> None:
        while True:
            for part, end in (
                await reader.ends([TopicPartition(TRADES.name, n) for n in range(self._partitions)])
            ).items():
                self._view.partitions[part.partition].end = end
            await asyncio.sleep(1.0)

    async def _wait_until_ready(self) -> None:
        """Wait until the workers own all partitions: a worker that joins later would make the others pause."""
        self._screen.note(f"starting {self._options.workers} workers")
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and not self._stop_requested.is_set():
            group = await asyncio.to_thread(members.describe, self._settings)
            if group.stable and len(group.owned) == self._options.workers and self._view.is_live(self._partitions):
                return
            self._raise_failure()
            await asyncio.sleep(0.2)

    async def _run_until_done(self, feed: "Feed", began: float) -> None:
        self._note(f"feeding {self._options.rate:,.0f} trades/s of {self._options.symbols} symbols")
        while not self._stop_requested.is_set():
            seconds = time.monotonic() - began
            if seconds >= KILL_AFTER_SECONDS and not self._kills:
                self._kill()
            if self._options.seconds is not None:
                patience_seconds = TAKEOVER_SECONDS if self._view.takeover else 0.0
                if seconds >= self._options.seconds + patience_seconds:
                    return
            feed.raise_if_ended()
            await self._tick(seconds)

    async def _tick(self, seconds: float) -> None:
        self._raise_failure()
        takeover = self._view.takeover
        if takeover is not None and takeover.seconds is not None:
            self._takeovers.append(takeover.seconds)
            self._note(f"the killed worker's partitions were taken over after {takeover.seconds:.1f} s")
            self._view.takeover = None
        while self._view.signals:
            signal = self._view.signals.popleft()
            self._screen.note(f"signal {signal.rule}: {signal.symbol}, {signal.field} {signal.value:+.4g}")
        self._view.mark()
        self._screen.show(self._view, seconds, self._options.seconds)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop_requested.wait(), TICK_SECONDS)

    async def _catch_up(self, sent: int, began: float) -> None:
        """Wait until the bars contain all trades that were sent."""
        patience_seconds = CATCH_UP_AFTER_QUIT_SECONDS if self._stop_requested.is_set() else CATCH_UP_SECONDS
        self._note("the feed has stopped; waiting for the last records")
        deadline = time.monotonic() + patience_seconds
        self._stop_requested.clear()
        missing = True
        while missing and time.monotonic() < deadline:
            await self._tick(time.monotonic() - began)
            missing = self._view.trades < sent or self._view.lag > 0

    def _raise_failure(self) -> None:
        """Raise the error of a task that failed, or of a worker that is not started again."""
        if self._supervisor.failure is not None:
            raise self._supervisor.failure
        for task in [task for task in self._tasks if task.done()]:
            self._tasks.discard(task)
            task.result()

    def _show_line(self, line: str) -> None:
        """Show a log line of a worker or the supervisor unless its level is INFO; called from their threads."""
        if " INFO " not in line:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._screen.note, line)

    def _show_page_line(self, line: str) -> None:
        """Show a line of the page's process; called from its thread."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._screen.note, line)

    def _asked_by_page(self, action: str) -> None:
        """Obey a button of the page; called from the thread of its process."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._press, BUTTONS.get(action, ""))

    def _note(self, text: str) -> None:
        """Show a note here and on the page."""
        self._screen.note(text)
        self._page.note(text)

    def _press(self, key: str) -> None:
        if not self._feeding:
            return
        if key == "q":
            self._stop_requested.set()
        elif key == "k":
            self._kill()
        elif key == "p":
            self._spawn(self._double_partitions())

    def _kill(self) -> None:
        if self._view.takeover is not None:
            self._note("one worker at a time: the partitions of the last killed one aren't taken over yet")
            return
        self._kills += 1
        self._spawn(self._kill_one())

    async def _kill_one(self) -> None:
        slot = self._supervisor.slots[(self._kills - 1) % self._options.workers]
        owned = (await asyncio.to_thread(members.describe, self._settings)).owned
        owned_by_victim = owned.get(self._supervisor.name(slot), {})
        symbols = {symbol: state.partition for symbol, state in self._view.symbols.items()}
        (slices,) = await asyncio.to_thread(topics.describe, self._settings, [SLICES])
        self._view.takeover = Takeover(owned_by_victim, symbols, len(slices.partitions), time.time() * 1000)
        self._supervisor.kill(slot)
        lost = ", ".join(_partitions(len(numbers), topic) for topic, numbers in sorted(owned_by_victim.items()))
        self._note(f"killed worker-{slot} (kill -9), which owned {lost or 'no partitions'}")

    async def _double_partitions(self) -> None:
        if self._doubling:
            return
        if self._partitions * 2 > MOST_PARTITIONS:
            self._note(f"{TRADES.name} has {self._partitions} partitions; the demo adds no more")
            return
        self._doubling = True
        partitions = self._partitions * 2
        await scale.scale(self._settings, TRADES.name, partitions, None, self._note)
        self._partitions = partitions
        self._view.spread_over(partitions)
        self._doubling = False


def _partitions(number: int, topic: str) -> str:
    return f"{number} partition{'' if number == 1 else 's'} of {topic}"


class Feed:
    """Runs ``tickertape feed simulate`` as a process that ends with this one, however this one ends.

    Parameters
    ----------
    settings
        The settings, with a broker.
    options
        The rate and the number of symbols.
    folder
        The folder for the feed's ledger and log.

    Attributes
    ----------
    ledger
        The file with the number of trades sent of each symbol, written when the feed stops.
    """

    def __init__(self, settings: Settings, options: DemoOptions, folder: Path) -> None:
        self.ledger = folder / "ledger.json"
        self._log = folder / "feed.log"
        amount = ["--rate", str(options.rate), "--symbols", str(options.symbols), "--source", SOURCE]
        command = [sys.executable, "-m", "tickertape", "feed", "simulate", *amount, "--ledger", str(self.ledger)]
        # The supervisor uses the configured port, so the feed takes a free one, or none if metrics are switched off.
        settings = replace(settings, metrics_port=min(settings.metrics_port, 0))
        with self._log.open("wb") as log:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), str(folder), *command],
                env=environment(settings),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                # Ctrl-C reaches all foreground processes of a terminal, but we stop the feed ourselves.
                start_new_session=True,
            )

    def raise_if_ended(self) -> None:
        """Raise BrokerError if the feed has ended."""
        if self._guard.poll() is not None:
            logged = self._log.read_text(errors="replace").strip().splitlines()
            raise BrokerError(f"the feed ended: {logged[-1] if logged else 'it logged no reason'}")

    def stop(self) -> None:
        """Stop the feed: it sends what it has buffered, writes its ledger and ends."""
        assert self._guard.stdin is not None
        with suppress(BrokenPipeError), self._guard.stdin as pipe:
            # "t" for tidily: the guard sends the feed SIGTERM, and the feed still sends what it has buffered.
            pipe.write(b"t")
        try:
            self._guard.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._guard.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._guard.poll() is None:
            self.stop()
