"""What keeps one of several feeds running: it is started again, later and later, whenever it fails."""

import asyncio
import logging
from contextlib import AsyncExitStack
from pathlib import Path

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import BrokerError, TickertapeError, name_and_text
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.live.live import Live
from tickertape.stream.feeds.publish.instruments import announced
from tickertape.stream.feeds.publish.publisher import Publisher
from tickertape.stream.feeds.publish.records import Records
from tickertape.stream.feeds.publish.resume import resumed
from tickertape.stream.feeds.publish.session import live_of
from tickertape.stream.feeds.together.followed import Followed
from tickertape.stream.feeds.together.plan import Plan
from tickertape.stream.feeds.together.status import State, Status
from tickertape.stream.progress.meter import Count, Meter
from tickertape.stream.telemetry.feed_metrics import FEED_FAILURES

log = logging.getLogger(__name__)

# The wait before a feed that has failed is started again; it doubles up to the longest. After a feed has run for the
# longest wait, it begins anew.
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 300.0


class Keeper:
    """One of several feeds.

    Parameters
    ----------
    plan
        What is to run.
    source
        Its source, for the first start.
    settings
        The settings.
    folder
        Where to record each message as it comes; None to record nothing.

    Attributes
    ----------
    live
        The feed since its last start.

    Raises
    ------
    InputError
        The folder can't be written to.
    """

    def __init__(self, plan: Plan, source: Source, settings: Settings, folder: Path | None) -> None:
        self._plan = plan
        self._settings = settings
        self._folder = folder
        self.live = self._made(source)
        self._publisher: Publisher | None = None
        self._meter: Meter | None = None
        self._sent_before = 0
        self._failures = 0
        self._why = ""
        self._is_stopped = False
        FEED_FAILURES.labels(plan.source)

    async def run(self, records: Records, control: Followed) -> None:
        """Run the feed until cancelled. Then it sends the rest.

        Parameters
        ----------
        records
            Where records are sent to.
        control
            The topic ``control``.

        Raises
        ------
        BrokerError
            Kafka can't be reached, or a record was not delivered. That is no failure of this feed alone.
        """
        try:
            await self._keep(records, control)
        finally:
            self._is_stopped = True

    async def _keep(self, records: Records, control: Followed) -> None:
        clock, wait_seconds = asyncio.get_running_loop().time, FIRST_WAIT_SECONDS
        while True:
            began = clock()
            try:
                if self._why:
                    # Connecting may request a list of instruments, and waits for it.
                    self.live = self._made(await asyncio.to_thread(self._plan.connect))
                    self._why = ""
                await self._once(records, control)
            except BrokerError:
                raise
            except Exception as error:
                if clock() - began > LONGEST_WAIT_SECONDS:
                    wait_seconds = FIRST_WAIT_SECONDS
                self._failed(error, wait_seconds)
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(2 * wait_seconds, LONGEST_WAIT_SECONDS)

    def status(self, now: float) -> Status:
        """Return what is shown of it; ``now`` is of a clock that never goes back, in seconds."""
        tally, filling = self.live.tally, self.live.filling
        publisher, symbols = self._publisher, self.live.source.symbols
        if self._meter is None:
            self._meter = Meter("fed", "events", now)
        events = self._sent_before + (publisher.events if publisher else 0)
        newest_ms = publisher.newest_ms if publisher else 0
        return Status(
            source=self._plan.source,
            state=self._state(tally.connections),
            connections=tally.connections,
            symbols=len(symbols),
            heard=len(self.live.heard.keys() & set(symbols)),
            events=events,
            rate=self._meter.state(now, Count(events, newest_ms=newest_ms)).rate,
            newest_ms=newest_ms,
            gaps=tally.gaps,
            missing=tally.missing,
            refilled=filling.refilled if filling else 0,
            refused=tally.streams["refused"],
            silent=tally.streams["silent"],
            failures=self._failures,
            why=self._why,
        )

    def _state(self, connections: int) -> State:
        if self._is_stopped:
            return "stopped"
        if self._why:
            return "failed"
        return "connected" if connections else "connecting"

    async def _once(self, records: Records, control: Followed) -> None:
        settings, live = self._settings, self.live
        self._sent_before += self._publisher.events if self._publisher else 0
        self._publisher = publisher = Publisher(
            records, kinds=live.source.kinds, control=control, spread=self._plan.spread, skew_ms=settings.skew_ms
        )
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(announced(settings, live.source.instruments))
            await stack.enter_async_context(resumed(live, records, control.stored))
            try:
                await publisher.feed(live.batches(), close=False)
            except asyncio.CancelledError:
                # The block ends as usual, so that the position is stored.
                await stack.aclose()
                raise

    def _failed(self, error: Exception, wait_seconds: float) -> None:
        self._failures += 1
        FEED_FAILURES.labels(self._plan.source).inc()
        self._why = str(error) if isinstance(error, TickertapeError) else name_and_text(error)
        log.error(
            "%s: the feed failed (%s); it is started again in %g s, and the others go on",
            self._plan.source,
            self._why,
            wait_seconds,
            exc_info=None if isinstance(error, TickertapeError) else error,
        )
        if tally := self.live.tally:
            log.info("%s: until then: %s", self._plan.source, tally)

    def _made(self, source: Source) -> Live:
        return live_of(self._settings, source, self._folder, redundant=self._plan.redundant)
