"""Bugs in the refill, each with the class of histories that shows it."""

import math
from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace

from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.refill.refill import Ask, Refill, Seen

MUTATIONS: dict[str, tuple[str, type[Refill]]] = {}


def shown_by(kind: str, name: str) -> Callable[[type[Refill]], type[Refill]]:
    def add(bug: type[Refill]) -> type[Refill]:
        MUTATIONS[name] = kind, bug
        return bug

    return add


@shown_by("outages", "nothing is held back")
class _Unbound(Refill):
    def _bound(self) -> float:
        return math.inf


@shown_by("outages", "only the symbol with the gap is held back")
class _OneSymbol(Refill):
    def release(self, now: float) -> list[Trade]:
        self._expire(now)
        free = [entry for entry in self._held if entry[2].symbol not in self._ranges]
        self._held = sorted(entry for entry in self._held if entry[2].symbol in self._ranges)
        return [trade for _, _, trade in sorted(free)] + super().release(now)


@shown_by("outages", "a symbol that is quiet after an outage is taken for complete")
class _Quiet(Refill):
    def connected(self, symbols: Iterable[str], now: float) -> None:
        super().connected(symbols, now)
        for symbol in symbols:
            self._ranges.pop(symbol, None)


@shown_by("outages", "an outage is in doubt only once it is over")
class _Afterwards(Refill):
    def disconnected(self, symbols: Iterable[str], now: float) -> None:
        pass


@shown_by("outages", "the history is asked before it can know")
class _Hasty(Refill):
    def ask(self, now: float) -> Ask | None:
        for ranges in self._ranges.values():
            for gap in ranges:
                if gap.known_at <= now:
                    gap.known_at = -math.inf
        return super().ask(now)


@shown_by("outages by time", "the history is asked from the newest trade on")
class _Newest(Refill):
    def ask(self, now: float) -> Ask | None:
        asked = super().ask(now)
        return asked and replace(asked, since_ms=self._symbols[asked.symbol].newest_ms)


@shown_by("outages by time", "the history is asked from after the time of the trade before, which others share")
class _After(Refill):
    def ask(self, now: float) -> Ask | None:
        asked = super().ask(now)
        return asked and replace(asked, since_ms=asked.since_ms + 1)


@shown_by("kills by time", "the time that is stored is that of the newest trade")
class _StoredNewest(Refill):
    def complete(self) -> dict[str, Seen]:
        return {name: replace(seen, time_ms=self._symbols[name].newest_ms) for name, seen in super().complete().items()}


@shown_by("outages", "a page is taken for all there is")
class _OnePage(Refill):
    def answered(self, ask: Ask, *, last: int | None, more: bool) -> None:  # noqa: ARG002 - that is the bug
        super().answered(ask, last=last, more=False)


@shown_by("kills", "what has come is stored, and not what was sent")
class _Come(Refill):
    def complete(self) -> dict[str, Seen]:
        return {name: Seen(come.next - 1, come.newest_ms) for name, come in self._symbols.items()}


@shown_by("kills", "a feed that starts again asks for nothing")
class _Fresh(Refill):
    def resume(self, complete: object, now: float) -> None:
        pass


@shown_by("outages", "what is given up isn't named")
class _Silent(Refill):
    def release(self, now: float) -> list[Trade]:
        found = super().release(now)
        self.lost.clear()
        return found


@shown_by("losses", "a trade that comes out of order opens no gap")
class _Blind(Refill):
    def take(self, trades: Sequence[Trade], now: float, *, asked: bool = False) -> None:
        for trade in trades:
            assert isinstance(trade.id, int)
            if (come := self._symbols.get(trade.symbol)) and trade.id > come.next:
                come.next = trade.id
            super().take([trade], now, asked=asked)
