"""The order in which one channel's messages are recorded and sent, and what follows from the answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.alerts.made import alert
from tests.alerts.servers import DROP, Web, web
from tickertape.schemas.alert import Due, Fact, Sending, Sent
from tickertape.stream.alerts import sender
from tickertape.stream.alerts.channels.webhook import Webhook
from tickertape.stream.alerts.define.http import Http
from tickertape.stream.alerts.outbox import Outbox
from tickertape.stream.alerts.sender import Sender
from tickertape.stream.configuration.connection import Secret

FAR_MS = 1 << 50


class Ledger:
    """Remembers each fact, and how many requests the server had received by then."""

    def __init__(self, outbox: Outbox, server: Web) -> None:
        self.outbox, self.server = outbox, server
        self.facts: list[tuple[Fact, int]] = []

    async def record(self, fact: Fact) -> None:
        self.facts.append((fact, len(self.server.requests)))
        self.outbox.apply(fact)

    @property
    def outcomes(self) -> list[str]:
        return [fact.outcome for fact, _ in self.facts if isinstance(fact, Sent)]


class Free:
    """A claim that nobody else has."""

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        yield


async def picture(_: Any) -> bytes:
    return b"\x89PNG"


def due(symbol: str, *, expires_ms: int = FAR_MS, wants_picture: bool = False) -> Due:
    return Due("ops", "fired", alert(symbol=symbol), 0, 0, expires_ms, 0, wants_picture)


def sent(server: Web, *dues: Due, messages: int) -> Ledger:
    """Send what is due, one message for each, until so many messages have an outcome."""
    outbox = Outbox()
    ledger = Ledger(outbox, server)

    async def run() -> None:
        async with Http() as http:
            channel = Webhook(name="ops", url=Secret(f"{server.url}/s3cret"))
            claim: Any = Free()
            work = asyncio.create_task(Sender(channel, outbox, ledger, claim, http, picture).run())
            for number, one in enumerate(dues, 1):
                outbox.apply(one)
                async with asyncio.timeout(60):
                    while len(ledger.outcomes) < min(number, messages) and not work.done():  # noqa: ASYNC110 - a test
                        await asyncio.sleep(0.01)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    asyncio.run(run())
    return ledger


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "FIRST_PAUSE_SECONDS", 0.02)


def test_what_it_holds_is_recorded_before_it_is_sent_and_the_outcome_after() -> None:
    with web(body='{"id": 17}') as server:
        ledger = sent(server, due("BTC-USD"), messages=1)
    (sending, before), (over, after) = ledger.facts
    assert isinstance(sending, Sending)
    assert isinstance(over, Sent)
    assert (before, after) == (0, 1)
    assert (over.id, over.members, over.outcome, over.ref) == (sending.id, [alert().id], "sent", "17")
    assert server.requests[0].headers["Idempotency-Key"] == sending.id


def test_each_try_is_the_same_message_and_is_recorded_once() -> None:
    with web(500, DROP, 401) as server:
        ledger = sent(server, due("BTC-USD"), messages=1)
    assert len({request.body for request in server.requests}) == 1
    assert len(server.requests) == 4
    assert [type(fact) for fact, _ in ledger.facts] == [Sending, Sent]


def test_retry_after_is_waited_for() -> None:
    with web((429, {"Retry-After": "1"})) as server:
        sent(server, due("BTC-USD"), messages=1)
    first, second = server.times
    assert second - first >= 1


def test_what_is_refused_is_not_tried_again_and_its_reason_has_no_secret() -> None:
    with web(422) as server:
        server.body = f"never {server.url}/s3cret"
        ledger = sent(server, due("BTC-USD"), due("ETH-USD"), messages=2)
    assert ledger.outcomes == ["refused", "sent"]
    assert len(server.requests) == 2
    assert [fact.why for fact, _ in ledger.facts if isinstance(fact, Sent)] == ["HTTP 422 never …", ""]


def test_what_is_too_old_is_not_sent() -> None:
    with web() as server:
        ledger = sent(server, due("BTC-USD", expires_ms=1), messages=1)
    assert ledger.outcomes == ["too old"]
    assert server.requests == []


def test_a_picture_is_there_where_it_is_wanted() -> None:
    with web() as server:
        sent(server, due("BTC-USD"), due("ETH-USD", wants_picture=True), messages=2)
    assert [request.json["picture"] for request in server.requests] == ["", "iVBORw=="]
