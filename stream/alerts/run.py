"""``tickertape alerts run``: read signals, record what is due, and send it, while this process is the owner."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from time import monotonic, time
from typing import Any, cast

from tickertape.schemas.alert import Fact, Position, Sent, Skipped, encode, key_of
from tickertape.schemas.topics import ALERTS, SIGNALS
from tickertape.stream.alerts.claim import Claim, Lost, apply
from tickertape.stream.alerts.define.http import Http
from tickertape.stream.alerts.intake import Intake
from tickertape.stream.alerts.outbox import Outbox
from tickertape.stream.alerts.plan import Plan
from tickertape.stream.alerts.prices import Prices
from tickertape.stream.alerts.sender import Sender
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.clients.reader import Reader
from tickertape.stream.results.stream import Results, kinds_of
from tickertape.stream.telemetry import metrics

log = logging.getLogger(__name__)

TICK_SECONDS = 0.2
POSITION_SECONDS = 1.0
FORGET_SECONDS = 3600.0


class Book:
    """Records facts on the topic and in the outbox. One partition and one producer keep them in order.

    Parameters
    ----------
    producer
        Writes the facts.
    outbox
        Gets them too.
    """

    def __init__(self, producer: Producer, outbox: Outbox) -> None:
        self._producer, self._outbox = producer, outbox

    def note(self, facts: Iterable[Fact]) -> None:
        """Record facts, which are acknowledged some time later.

        Raises
        ------
        BrokerError
            An earlier one was not delivered.
        """
        for fact in facts:
            self._producer.send(ALERTS.name, 0, key_of(fact), encode(fact))
            self._outbox.apply(fact)
            match fact:
                case Skipped():
                    metrics.ALERTS.labels(fact.channel, fact.outcome).inc()
                case Sent():
                    metrics.ALERTS.labels(fact.channel, fact.outcome).inc(len(fact.members))

    async def record(self, fact: Fact) -> None:
        """Return once a fact, and all before it, are acknowledged.

        Raises
        ------
        BrokerError
            One was not delivered.
        """
        self.note([fact])
        await self._producer.flush()


async def run(settings: Settings, plan: Plan) -> None:
    """Send alerts until cancelled; while another process sends, wait. A message that is being sent is finished first.

    Parameters
    ----------
    settings
        The settings.
    plan
        Channels and routes.

    Raises
    ------
    BrokerError
        Kafka can't be reached, or refuses.
    """
    # Fails if a topic is missing, which a consumer of a group would wait for, or have made.
    async with Reader(settings, [SIGNALS.name, ALERTS.name], from_beginning=False):
        pass
    async with Producer(settings, name="tickertape-alerts") as producer, Claim(settings) as claim, Http() as http:
        while True:
            metrics.ALERTS_OWNER.set(0)
            log.info("waiting until no other process sends")
            try:
                outbox = await claim.outbox()
                metrics.ALERTS_OWNER.set(1)
                log.info("sending to %s; %d alerts are waiting", ", ".join(plan.channels), len(outbox.waiting))
                await _Desk(settings, plan, outbox, producer).serve(claim, http)
            except Lost:
                log.info("another process takes over")


class _Desk:
    """What runs while this process is the owner."""

    def __init__(self, settings: Settings, plan: Plan, outbox: Outbox, producer: Producer) -> None:
        self._settings, self._plan, self._outbox, self._producer = settings, plan, outbox, producer
        self._book = Book(producer, outbox)
        self._intake = Intake(plan, outbox, kinds_of(SIGNALS.name, settings)[1])

    async def serve(self, claim: Claim, http: Http) -> None:
        """Serve until the claim is lost."""
        picture = Prices(self._settings).picture
        position = await self._begin()
        results = Results(SIGNALS.name, settings=self._settings, position=position)
        senders = [
            Sender(channel, self._outbox, self._book, claim, http, picture).run()
            for channel in self._plan.channels.values()
        ]
        work = [self._watch(claim), self._follow(results), self._pass_time(results), *senders]
        tasks = [asyncio.create_task(one) for one in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await claim.release()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, claim: Claim) -> None:
        """Read what is recorded, by this process or by one that was frozen, until the claim is lost."""
        while not claim.lost:
            apply(self._outbox, await claim.read())
        raise Lost

    async def _follow(self, results: Results) -> None:
        async with aclosing(cast("AsyncGenerator[Any, None]", aiter(results))) as signals:
            async for signal in signals:
                self._book.note(list(self._intake.received(self._intake.alert_of(signal), now_ms())))
                await self._producer.room()

    async def _pass_time(self, results: Results) -> None:
        recorded, recorded_at, forgot_at = self._outbox.position, 0.0, monotonic()
        while True:
            self._book.note(list(self._intake.passed(now_ms())))
            self._show()
            # A signal is judged in the same step of the loop in which it is counted, so its facts come before this.
            if results.position != recorded and monotonic() - recorded_at >= POSITION_SECONDS:
                recorded, recorded_at = results.position, monotonic()
                self._book.note([Position(recorded)])
            if monotonic() - forgot_at >= FORGET_SECONDS:
                forgot_at = monotonic()
                self._outbox.forget(now_ms())
            await asyncio.sleep(TICK_SECONDS)

    def _show(self) -> None:
        waiting = dict.fromkeys(self._plan.channels, 0)
        for due in self._outbox.all_waiting():
            if due.channel in waiting:
                waiting[due.channel] += 1
        for channel, number in waiting.items():
            metrics.ALERTS_WAITING.labels(channel).set(number)

    async def _begin(self) -> dict[int, int]:
        """Return the position from which signals are read: where the last owner was, or what isn't too old yet."""
        async with Reader(self._settings, [SIGNALS.name], from_beginning=False) as reader:
            ends = {tp.partition: offset for tp, offset in (await reader.ends()).items()}
            young = await reader.offsets_at(now_ms() - int(self._plan.max_age_seconds * 1000))
        position = {tp.partition: offset for tp, offset in young.items()}
        # One past the end is of a topic that was deleted since.
        known = {at: offset for at, offset in self._outbox.position.items() if offset <= ends.get(at, -1)}
        return position | known


def now_ms() -> int:
    return int(time() * 1000)
