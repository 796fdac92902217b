"""A source that loses trades, and a feed that asks for them: random histories, second by second in small steps.

The world has a source whose trades are numbered by symbol, a line that breaks and loses messages, a history that can be
asked (late, in pages, not always, and not for ever; by number, or by time), a feed that is killed and starts again from
what Kafka has acknowledged, and a log. `Refill` decides, as in the real feed; all else is simple here.

What is checked once all is quiet:

- Each trade is in the log, or was named as lost.
- In an outage, no trade in the log is late: none is older than what the log had before it, but for the disorder of the
  line. A single message that is lost is found by the next one of its symbol, so there it may be.
- Of a history that forgets nothing, no trade is named as lost because the history doesn't have it.
- Nothing is held back for longer than the limit.
"""

import random
from collections.abc import Mapping

from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.refill.refill import Ask, Patience, Refill, Seen

START_MS = 1_700_000_000_000
STEP_MS = 100
# How far apart two trades of one moment arrive, steps.
DISORDER = 2
# How long a trade needs until the history has it, steps.
HISTORY_DELAY = 5
PAGE = 4
SYMBOLS = ("A-USD", "B-USD", "C-USD")
# How often each is traded, in a step.
PACES = (0.6, 0.2, 0.03)
PATIENCE = Patience(settle_seconds=1.0, again_seconds=0.5, most_seconds=20.0)
EVER = 1 << 62
# Classes of histories, each asked by number and by time.
BY_TIME = " by time"
CLASSES = tuple(kind + how for kind in ("outages", "losses", "kills", "forgetful") for how in ("", BY_TIME))
# How often trades of a symbol come together with one time, and how many at most: more than a page.
TOGETHER, MOST_TOGETHER = 0.1, 2 * PAGE


class World:
    """One history.

    Parameters
    ----------
    seed
        Its number.
    kind
        One of `CLASSES`: the line breaks; or single messages get lost, too; or the feed is killed, too; or the history
        forgets, too. By number, the history gives trades from a number on. By time, it gives those from a time on, and
        whoever asks reads on until a page has one that is missing.
    """

    def __init__(self, seed: int, kind: str, make: type[Refill] = Refill) -> None:
        self._random = random.Random(seed)
        self._by_time = kind.endswith(BY_TIME)
        self._kind = kind.removesuffix(BY_TIME)
        self._make = make
        self._trades: list[Trade] = []
        self._born: dict[tuple[str, int], int] = {}
        self._numbers = dict.fromkeys(SYMBOLS, 0)
        # What is on its way over the line: when it arrives, and the trade.
        self._flying: list[tuple[int, Trade]] = []
        self._log: list[Trade] = []
        self._lost: set[tuple[str, int]] = set()
        # What was named as lost although the history has it.
        self._wronged: list[str] = []
        # By symbol: from where on it was given up to ask.
        self._unasked: dict[str, int] = {}
        self._stored: Mapping[str, Seen] = {}
        # By symbol: a feed that was never heard of it owes nothing before this number.
        self._owed_from: dict[str, int] = {}
        self._connected = False
        self._noticed_at = 0
        self._longest = 0
        self._held_since: int | None = None

    def run(self) -> list[str]:
        """Return what is wrong."""
        self._feed = self._begin()
        for step in range(500):
            quiet = step > 250
            if step < 300:
                self._trade(step)
            self._line(step, quiet=quiet)
            self._ask(step, quiet=quiet)
            self._send(step)
            if self._kind == "kills" and not quiet and self._random.random() < 0.01:
                self._feed, self._connected = self._begin(), False
                self._flying.clear()
                self._held_since = None
                self._feed.resume(self._stored, step / 10)
        return self._wrong()

    def _begin(self) -> Refill:
        self._seen: set[tuple[str, int]] = set()
        return self._make(PATIENCE)

    def _trade(self, step: int) -> None:
        for symbol, pace in zip(SYMBOLS, PACES, strict=True):
            if self._random.random() >= pace:
                continue
            for _ in range(self._together()):
                self._numbers[symbol] += 1
                trade = Trade(
                    symbol=symbol,
                    source="x",
                    id=self._numbers[symbol],
                    time_ms=START_MS + step * STEP_MS,
                    price=1.0,
                    quantity=1.0,
                )
                self._trades.append(trade)
                self._born[symbol, self._numbers[symbol]] = step
                if self._connected and not self._is_lost(step):
                    arrival = step + self._random.randrange(DISORDER)
                    # A symbol's trades come in order.
                    arrival = max([arrival, *(at for at, other in self._flying if other.symbol == symbol)])
                    self._flying.append((arrival, trade))

    def _together(self) -> int:
        is_many = self._by_time and self._random.random() < TOGETHER
        return self._random.randint(2, MOST_TOGETHER) if is_many else 1

    def _is_lost(self, step: int) -> bool:
        return self._kind == "losses" and step < 250 and self._random.random() < 0.03

    def _line(self, step: int, *, quiet: bool) -> None:
        chance = self._random.random()
        if self._connected and not quiet and chance < 0.02:
            self._connected = False
            self._flying.clear()
            self._feed.disconnected(SYMBOLS, step / 10)
        elif not self._connected and (quiet or chance < 0.1):
            self._connected = True
            # That is noticed somewhat later, and trades may come before.
            self._noticed_at = step + self._random.randrange(3)
        if self._connected and step == self._noticed_at:
            self._feed.connected(SYMBOLS, step / 10)
        arrived = [trade for at, trade in self._flying if at <= step]
        self._flying = [(at, trade) for at, trade in self._flying if at > step]
        self._take(arrived, step)

    def _take(self, trades: list[Trade], step: int, *, asked: bool = False) -> None:
        new = [trade for trade in trades if self._name(trade) not in self._seen]
        self._seen |= set(map(self._name, new))
        self._feed.take(new, step / 10, asked=asked)

    def _ask(self, step: int, *, quiet: bool) -> None:
        ask = self._feed.ask(step / 10)
        if ask is None or (not quiet and self._random.random() < 0.3):
            return
        if not quiet and self._random.random() < 0.02:
            self._feed.give_up(ask, "it was refused")
            return
        known = [trade for trade in self._trades if trade.symbol == ask.symbol and self._is_known(trade, ask, step)]
        page, known = known[:PAGE], known[PAGE:]
        while known and number(page[-1]) < ask.first:
            page, known = known[:PAGE], known[PAGE:]
        page = [trade for trade in page if number(trade) >= ask.first]
        self._take(page, step, asked=True)
        self._feed.answered(ask, last=number(page[-1]) if page else None, more=bool(known))

    def _is_known(self, trade: Trade, ask: Ask, step: int) -> bool:
        born = self._born[self._name(trade)]
        oldest = step - 60 if self._kind == "forgetful" else 0
        is_asked = trade.time_ms >= ask.since_ms if self._by_time else number(trade) >= ask.first
        return is_asked and oldest <= born <= step - HISTORY_DELAY

    def _send(self, step: int) -> None:
        sent = self._feed.release(step / 10)
        self._log += sent
        for lost in self._feed.lost:
            if lost.why == "the source doesn't have them" and self._kind != "forgetful":
                self._wronged.append(f"{(lost.symbol, lost.first)} was to be had")
            if lost.last is None:
                self._unasked.setdefault(lost.symbol, lost.first)
            else:
                self._lost |= {(lost.symbol, each) for each in range(lost.first, lost.last + 1)}
        self._feed.lost.clear()
        # What Kafka has acknowledged is stored now and then.
        if self._random.random() < 0.1:
            self._stored = self._feed.complete()
            for symbol, seen in self._stored.items():
                self._owed_from.setdefault(symbol, seen.id)
        if not self._feed.held:
            self._held_since = None
        elif self._held_since is None:
            self._held_since = step
        else:
            self._longest = max(self._longest, step - self._held_since)

    def _name(self, trade: Trade) -> tuple[str, int]:
        return trade.symbol, number(trade)

    def _wrong(self) -> list[str]:
        names = [self._name(trade) for trade in self._log]
        there = {*names, *self._lost}
        wrong = [
            f"{(symbol, each)} is neither in the log nor lost"
            for symbol, each in self._born
            if (symbol, each) not in there
            and each >= self._owed_from.get(symbol, each + 1)
            # No later trade has shown yet what is missing.
            and not max(other for of, other in there if of == symbol) < each >= self._unasked.get(symbol, EVER)
        ]
        if self._kind != "kills":
            wrong += [f"{name} is in the log {names.count(name)} times" for name in set(names) if names.count(name) > 1]
        if self._kind in ("outages", "forgetful"):
            newest = 0
            for trade in self._log:
                asked = number(trade) < self._unasked.get(trade.symbol, EVER)
                if asked and trade.time_ms < newest - DISORDER * STEP_MS:
                    wrong.append(f"{self._name(trade)} is late")
                newest = max(newest, trade.time_ms)
        wrong += self._wronged
        if self._feed.held:
            wrong.append(f"{self._feed.held} trades are held back for ever")
        return wrong


def number(trade: Trade) -> int:
    assert isinstance(trade.id, int)
    return trade.id
