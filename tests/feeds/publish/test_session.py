"""The end of a feed's run: by itself, when it is told to stop, and when Kafka doesn't take the rest."""

import asyncio

import pytest

from tickertape.stream.errors import BrokerError
from tickertape.stream.feeds.publish import session


def until(*, told: bool, finishes: bool = True) -> str:
    """Run a work that ends by itself or is told to stop, and that sends the rest or doesn't; return what it did."""
    did: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            did.append("told")
            if not finishes:
                await asyncio.sleep(3600)
            did.append("sent the rest")
            raise

    async def short() -> None:
        did.append("came to its end")

    async def run() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(endless() if told else short())
        await asyncio.sleep(0)
        if told:
            stop.set()
        await session._until(stop, task)

    asyncio.run(run())
    return ", ".join(did)


def test_it_comes_to_its_end() -> None:
    assert until(told=False) == "came to its end"


def test_when_it_is_told_to_stop_it_sends_the_rest() -> None:
    assert until(told=True) == "told, sent the rest"


def test_a_rest_that_is_not_taken_in_time_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "STOP_SECONDS", 0.1)
    with pytest.raises(BrokerError, match=r"Kafka did not accept the remaining events within 0\.1 s of the stop"):
        until(told=True, finishes=False)
