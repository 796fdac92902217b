"""One of several feeds: it fails, is started again, and when it is stopped, it stores where it was."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
import pytest

from tests.feeds.exchange import Exchange, refusal
from tests.feeds.live.acme import Acme, Desk, beside, counts
from tests.feeds.recorder import Recorder
from tickertape.schemas.control import Position, Step
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import ConfigError
from tickertape.stream.feeds.define.feed import Feed, NoSettings
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.together import keeper as keepers
from tickertape.stream.feeds.together.followed import Followed
from tickertape.stream.feeds.together.keeper import Keeper
from tickertape.stream.feeds.together.plan import Plan
from tickertape.stream.feeds.together.status import Status


class Records(Recorder):
    """Takes positions too."""

    def __init__(self) -> None:
        super().__init__()
        self.positions: list[int] = []

    def send(self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Any = ()) -> None:
        if topic == "control":
            self.positions.append(msgspec.json.decode(value or b"", type=Position).at)
        else:
            super().send(topic, partition, key, value, headers)


class Control:
    """A topic without schedules, in which nothing is stored."""

    async def sync(self) -> None: ...

    async def change(self) -> set[bytes]:
        await asyncio.sleep(3600)
        return set()

    def steps(self, _: str) -> tuple[Step, ...]:
        return ()

    def position(self, _: str) -> int:
        return 0

    def complete(self, _: str) -> dict[str, tuple[int, int]]:
        return {}


def kept(
    exchange: Exchange, connect: Callable[[str], Source], symbols: Sequence[str], enough: Callable[[Status], bool]
) -> tuple[list[Status], Records]:
    """Keep a feed running until its status is as wanted, then stop it; return each status that was seen."""

    async def scenario() -> tuple[list[Status], Records]:
        records, states = Records(), []
        async with exchange.open():
            feed = Feed("acme", "trades.", lambda *_: connect(exchange.url))
            plan = Plan("feeds.toml: feeds.acme", feed, NoSettings(), symbols, "acme")
            keeper = Keeper(plan, connect(exchange.url), Settings(), None)
            clock = asyncio.get_running_loop().time
            work = asyncio.create_task(keeper.run(records, Followed(Control())))
            async with asyncio.timeout(30):
                while not states or not enough(states[-1]):
                    await asyncio.sleep(0.01)
                    states.append(keeper.status(clock()))
                    if work.done():
                        work.result()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            states.append(keeper.status(clock()))
        return states, records

    return asyncio.run(scenario())


def test_it_is_started_again_later_and_later(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(keepers, "FIRST_WAIT_SECONDS", 0.25)
    caplog.set_level(logging.INFO, "tickertape")
    # The server refuses for good; then the list of symbols is wrong, and then the adapter; then all is well.
    faults = iter([ConfigError("no such symbol"), KeyError("a fault of the adapter")])
    connects = []

    def connect(url: str) -> Source:
        connects.append(url)
        if len(connects) > 1 and (fault := next(faults, None)) is not None:
            raise fault
        return Acme(url, ["BTC-USD"])

    exchange = Exchange(refusal(HTTPStatus.FORBIDDEN, ""), Desk(once=beside(counts())))
    states, records = kept(exchange, connect, ["BTC-USD"], lambda status: status.events >= 20 and status.heard == 1)
    assert len(connects) == 4
    failed = [line for line in caplog.messages if "the feed failed" in line]
    assert [line.partition("it is started again in ")[2] for line in failed] == [
        f"{seconds:g} s, and the others go on" for seconds in (0.25, 0.5, 1.0)
    ]
    assert next(state.why for state in states if state.failures == 2) == "feeds.toml: feeds.acme: no such symbol"
    assert next(state.why for state in states if state.failures == 3) == "KeyError: 'a fault of the adapter'"
    # The traceback of what is a bug is logged, and of nothing else.
    assert [record.exc_info is not None for record in caplog.records if "feed failed" in record.message] == [
        False,
        False,
        True,
    ]
    names = dict.fromkeys(state.state for state in states if state.state != "connecting")
    assert list(names) == ["failed", "connected", "stopped"]
    last = states[-1]
    assert (last.failures, last.events, last.symbols, last.missing) == (3, len(records.trades), 1, 0)
    assert [trade.id for trade in records.trades] == list(range(1, len(records.trades) + 1))


def test_it_counts_the_events_of_all_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepers, "FIRST_WAIT_SECONDS", 0.1)

    class Breaks(Acme):
        """One that fails at the tenth trade of its first start."""

        def normalise(self, frame: bytes, received_ms: int) -> Any:
            found = super().normalise(frame, received_ms)
            if len(made) == 1 and isinstance(found, list) and found[0].id == 10:
                raise RuntimeError("a fault of the adapter")
            return found

    made = []

    def connect(url: str) -> Source:
        made.append(url)
        return Breaks(url, ["BTC-USD"])

    exchange = Exchange(Desk(once=beside(counts())))
    states, records = kept(exchange, connect, ["BTC-USD"], lambda status: status.failures == 1 and status.events >= 30)
    assert states[-1].events == len(records.trades)
    assert [trade.id for trade in records.trades][:12] == [*range(1, 10), 1, 2, 3]


class Resumes(Acme):
    """One that resumes from the number of a trade."""

    resumes = True
    leap = 1

    def position(self, frame: bytes) -> int:
        found = msgspec.json.decode(frame)
        return int(found.get("id", 0))


def test_a_feed_that_is_stopped_stores_where_it_was() -> None:
    exchange = Exchange(Desk(once=beside(counts())))
    _, records = kept(exchange, lambda url: Resumes(url, ["BTC-USD"]), ["BTC-USD"], lambda status: status.events >= 20)
    # Each ten seconds, which is never here, and when it is stopped.
    assert records.positions == [records.trades[-1].id]
