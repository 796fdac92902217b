"""Sends one channel's messages, one after another, with retries."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic, time
from typing import Protocol

from tickertape.schemas.alert import Alert, Due, Fact, Outcome, Sending, Sent
from tickertape.stream.alerts.claim import Claim
from tickertape.stream.alerts.define.channel import Channel
from tickertape.stream.alerts.define.http import REQUEST_SECONDS, Http
from tickertape.stream.alerts.define.message import Message, NotSent, Refused
from tickertape.stream.alerts.outbox import Outbox
from tickertape.stream.errors import name_and_text
from tickertape.stream.telemetry import metrics

log = logging.getLogger(__name__)

# The pause after a failed try. It doubles with each further one, and is a random part of that, but at least half.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 300.0
# A plug-in may take this long, whatever it does.
SEND_SECONDS = REQUEST_SECONDS + 5.0
TICK_SECONDS = 0.1


class Ledger(Protocol):
    """Records facts."""

    async def record(self, fact: Fact) -> None:
        """Return once a fact is acknowledged, and the outbox has it."""


#: Returns a picture of the price for an alert; empty if there is none.
Picture = Callable[[Alert], Awaitable[bytes]]


class Sender:
    """Sends what is due for a channel.

    The order is what makes each message arrive once: what it holds is recorded, the claim is checked, it is sent, and
    the outcome is recorded. A process that dies after sending and before recording leaves a message without an outcome,
    which its successor sends once more with the same id.

    Parameters
    ----------
    channel
        The channel.
    outbox
        What is due.
    ledger
        Where facts are recorded.
    claim
        Says whether this process may send.
    http
        For the channel.
    picture
        Makes pictures.
    """

    def __init__(
        self, channel: Channel, outbox: Outbox, ledger: Ledger, claim: Claim, http: Http, picture: Picture
    ) -> None:
        self._channel, self._outbox, self._ledger, self._claim = channel, outbox, ledger, claim
        self._http, self._picture = http, picture
        self._failures = 0
        self._not_before = 0.0

    async def run(self) -> None:
        """Send until another process takes over.

        Raises
        ------
        Lost
            Another process sends.
        BrokerError
            A fact wasn't recorded.
        """
        while True:
            if monotonic() >= self._not_before and (next_ := await self._next()) is not None:
                await self._turn(*next_)
            else:
                await asyncio.sleep(TICK_SECONDS)

    async def _next(self) -> tuple[Sending, Sequence[Due]] | None:
        name = self._channel.name
        if (found := self._outbox.unfinished(name)) is None:
            if (packed := self._outbox.pack(name, _now_ms())) is None:
                return None
            await self._ledger.record(packed)
            found = self._outbox.unfinished(name)
        return found

    async def _turn(self, sending: Sending, members: Sequence[Due]) -> None:
        if _now_ms() > max(due.expires_ms for due in members):
            await self._over(sending, members, "too old")
            return
        alerts = [due.alert for due in members]
        wants_picture = self._channel.takes_pictures and any(due.picture for due in members)
        picture = await self._picture(alerts[-1]) if wants_picture else b""
        message = Message(sending.id, sending.stage, alerts, sending.reply_to, picture)
        async with self._claim.sending():
            try:
                ref = await asyncio.wait_for(self._channel.send(message, self._http), SEND_SECONDS)
            except Refused as error:
                log.error("%s refuses a message: %s", self._channel.name, why := self._channel.hide(str(error)))
                await self._over(sending, members, "refused", why=why)
            except Exception as error:  # a plug-in may raise anything
                self._failed(error)
            else:
                await self._over(sending, members, "sent", ref=ref)

    async def _over(
        self, sending: Sending, members: Sequence[Due], outcome: Outcome, *, ref: str = "", why: str = ""
    ) -> None:
        self._failures = 0
        now_ms = _now_ms()
        await self._ledger.record(
            Sent(
                sending.id, sending.channel, sending.stage, [due.alert.id for due in members], outcome, now_ms, ref, why
            )
        )
        if outcome == "sent":
            for due in members:
                metrics.ALERT_AGE.labels(sending.channel).observe(max(0, now_ms - due.alert.end_ms) / 1000)

    def _failed(self, error: Exception) -> None:
        after = error.after_seconds if isinstance(error, NotSent) else 0.0
        pause = min(FIRST_PAUSE_SECONDS * 2.0 ** min(self._failures, 20), LONGEST_PAUSE_SECONDS)
        self._failures += 1
        # What the channel asks for is kept to; senders that failed together don't come back together.
        pause = max(after, pause * random.uniform(0.5, 1.0))
        self._not_before = monotonic() + pause
        metrics.ALERT_FAILURES.labels(self._channel.name).inc()
        why = self._channel.hide(str(error) if isinstance(error, NotSent) else name_and_text(error))
        log.warning("%s: not sent (%s); trying again in %.1f s", self._channel.name, why, pause)


def _now_ms() -> int:
    return int(time() * 1000)
