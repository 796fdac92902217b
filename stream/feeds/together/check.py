"""What feeds would bring: each is listened to for some seconds, and nothing is published."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from statistics import median

from msgspec import Struct

from tickertape.schemas.book import Depth
from tickertape.schemas.events import TOPICS, Event
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import TickertapeError, name_and_text
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.names import UnknownSymbol
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.live.live import Live
from tickertape.stream.feeds.publish.publisher import Batches
from tickertape.stream.feeds.publish.session import live_of
from tickertape.stream.feeds.together.plan import Plan

# Of so many events the delay is known.
MOST_DELAYS = 10_000
# An event that is said to be further ahead of its receipt has a clock behind it that is wrong.
AHEAD_SECONDS = 0.5
# One that is older is late, or this machine's clock is ahead.
OLD_SECONDS = 10.0


class Heard(Struct, frozen=True, kw_only=True):
    """What came of one symbol. As JSON, it is a line of ``--json``.

    Attributes
    ----------
    source
        The source's name in records.
    symbol
        The symbol; empty for a source that takes none.
    events
        How many events came, by topic.
    delay_ms
        The median time from an event to its receipt, ms; null if no event has a time of the source's own.
    price
        The price of the last trade; null if none came.
    age_seconds
        The time since the last event; null if none came.
    problems
        What didn't come, and why.
    """

    source: str
    symbol: str
    events: dict[str, int]
    delay_ms: float | None
    price: float | None
    age_seconds: float | None
    problems: list[str]


class _Came:
    """What has come of one symbol so far."""

    def __init__(self) -> None:
        self.events = Counter[str]()
        self.delays_ms: deque[int] = deque(maxlen=MOST_DELAYS)
        self.price: float | None = None
        self.received_ms = 0

    def take(self, event: Event) -> None:
        self.events[TOPICS[type(event)].name] += 1
        self.received_ms = event.received_ms or 0
        # An event without a time of its own has that of its receipt.
        if event.time_ms != self.received_ms:
            self.delays_ms.append(self.received_ms - event.time_ms)
        price = getattr(event, "price", None)
        if price is not None:
            self.price = float(price)


class Check:
    """One feed that is listened to.

    Parameters
    ----------
    plan
        The feed.
    settings
        The settings.

    Raises
    ------
    ConfigError
        A setting is wrong.
    """

    def __init__(self, plan: Plan, settings: Settings) -> None:
        self._plan = plan
        self._skew_ms = settings.skew_ms
        self._unknown: dict[str, str] = {}
        self._failure = ""
        self._came: dict[str, _Came] = {}
        self._live: Live | None = None
        if (source := self._connected()) is not None:
            # Nothing is held back.
            source.refills = False
            self._live = live_of(settings, source, redundant=plan.redundant)

    async def listen(self, seconds: float) -> None:
        """Listen for so many seconds, or until the source refuses."""
        if self._live is None:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._take(self._live.batches())
        except TimeoutError:
            pass
        except Exception as error:
            # The others go on. What isn't a mistake of the user is one of the feed's author.
            self._failure = str(error) if isinstance(error, TickertapeError) else name_and_text(error)

    async def _take(self, batches: Batches) -> None:
        async with aclosing(batches) as open_batches:  # type: ignore[type-var]  # an iterator that can't be closed fails here
            async for events in open_batches:
                for event in events:
                    self._came.setdefault(getattr(event, "symbol", ""), _Came()).take(event)

    def result(self, seconds: float) -> list[Heard]:
        """Return what came of each symbol; ``seconds`` is for how long it was listened to."""
        symbols = [] if self._live is None else list(self._live.source.symbols) or [""]
        now_ms = time.time_ns() // 1_000_000
        found = [self._heard(symbol, now_ms, list(self._problems(symbol, seconds))) for symbol in symbols]
        return found + [self._heard(symbol, now_ms, [why]) for symbol, why in self._unknown.items()]

    def _connected(self) -> Source | None:
        """Return the source, without the symbols that it doesn't have; None if it has none of them."""
        try:
            return self._plan.connect()
        except UnknownSymbol:
            # Its place says nothing that the row of a symbol doesn't say.
            known, plan = [], replace(self._plan, place="")
            for symbol in plan.symbols:
                try:
                    plan.connect([symbol])
                    known.append(symbol)
                except UnknownSymbol as error:
                    self._unknown[symbol] = f"unknown: {error}"
            return self._plan.connect(known) if known else None

    def _heard(self, symbol: str, now_ms: int, problems: list[str]) -> Heard:
        came = self._came.get(symbol, _Came())
        return Heard(
            source=self._plan.source,
            symbol=symbol,
            events=dict(came.events),
            delay_ms=median(came.delays_ms) if came.delays_ms else None,
            price=came.price,
            age_seconds=(now_ms - came.received_ms) / 1000 if came.received_ms else None,
            problems=problems,
        )

    def _problems(self, symbol: str, seconds: float) -> Iterator[str]:
        """Yield what didn't come of a symbol, and why."""
        assert self._live is not None
        came, ends = self._came.get(symbol, _Came()), self._live.ends
        if self._failure:
            yield self._failure
        elif all(end.talk is None for end in ends):
            yield "no connection: the log line says why"
        else:
            refused = {stream: why for end in ends for stream, why in end.refusals.items() if stream.symbol == symbol}
            for stream, why in refused.items():
                yield f"{stream.channel or _topic(stream.kind)} is refused: {why}"
            streams = [one for end in ends for one in end.streams if one.symbol == symbol and not one.is_rare]
            wanted = {_topic(one.kind) for one in streams if one not in refused}
            if not any(end.streams for end in ends):
                wanted = set() if came.events else {_topic(kind) for kind in self._live.source.kinds}
            for topic in sorted(wanted - came.events.keys()):
                yield f"no {topic} in {seconds:g} s: quiet, or the source doesn't know the symbol"
        if came.delays_ms:
            yield from _clock(median(came.delays_ms) / 1000, self._skew_ms / 1000)


async def check(checks: Sequence[Check], seconds: float) -> list[Heard]:
    """Listen to feeds at once, and return what came of each symbol."""
    await asyncio.gather(*(one.listen(seconds) for one in checks))
    return [heard for one in checks for heard in one.result(seconds)]


def _topic(kind: type) -> str:
    return TOPICS[Depth if kind is Change else kind].name


def _clock(delay_seconds: float, skew_seconds: float) -> Iterator[str]:
    """Yield what the median delay says of the clocks."""
    if delay_seconds < -AHEAD_SECONDS:
        rejected = ", and workers reject such events" if -delay_seconds > skew_seconds else ""
        yield f"the clock of this machine is {-delay_seconds:.1f} s behind the source's{rejected}"
    elif delay_seconds > OLD_SECONDS:
        yield f"events are {delay_seconds:.0f} s old: the source is late, or the clock of this machine is ahead"
