"""Which past trades of a source are in the log: what is stored of them, and what was sent since."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping

from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.backfill.asking import last_of, number_of
from tickertape.stream.feeds.refill.refill import Seen

Range = list[int]


class Ledger:
    """The trades that are in the log or on their way there, by symbol.

    Records of several partitions are acknowledged one by one. So after a crash, a symbol may lack trades before some
    that are there, if its partition had just changed: what is there is known by ranges, and only the rest is sent.

    Parameters
    ----------
    complete
        By symbol: the last trade up to which all were acknowledged.
    """

    def __init__(self, complete: Mapping[str, Seen]) -> None:
        self._complete = dict(complete)
        # By symbol: ranges of numbers beyond that, each with the time of its last; they rise.
        self._ranges: dict[str, list[Range]] = {}

    @property
    def complete(self) -> dict[str, Seen]:
        """By symbol: the last trade up to which all that were taken from the source are sent."""
        return self._complete

    @property
    def is_plain(self) -> bool:
        """Whether `complete` says all: no trade beyond it is in the log."""
        return all(
            symbol in self._complete and self._complete[symbol].id >= ranges[-1][1]
            for symbol, ranges in self._ranges.items()
        )

    def found(self, numbers: Mapping[str, Iterable[tuple[int, int, int]]]) -> None:
        """Take what the log has beyond what is stored.

        Parameters
        ----------
        numbers
            By symbol: the first and last number and the time of each trade, in any order.
        """
        for symbol, each in numbers.items():
            seen = self._complete.get(symbol)
            ranges: list[Range] = []
            for first, last, time_ms in sorted(each):
                if seen is not None and last <= seen.id:
                    continue
                if ranges and first <= ranges[-1][1] + 1:
                    ranges[-1][1:] = max(ranges[-1][1], last), max(ranges[-1][2], time_ms)
                else:
                    ranges.append([first, last, time_ms])
            if seen is not None and ranges and ranges[0][0] == seen.id + 1:
                _, last, time_ms = ranges.pop(0)
                self._complete[symbol] = Seen(last, time_ms)
            if ranges:
                self._ranges[symbol] = ranges

    def settle(self) -> None:
        """Take all that the log has as complete: everything that was sent is acknowledged."""
        for symbol, ranges in self._ranges.items():
            _, last, time_ms = ranges[-1]
            self._complete[symbol] = Seen(last, time_ms)
        self._ranges.clear()

    def take(self, trades: Iterable[Trade]) -> list[Trade]:
        """Return those of the source's next trades that aren't in the log, and note all of them as sent."""
        new = []
        for trade in trades:
            number, last, symbol = number_of(trade), last_of(trade), trade.symbol
            seen = self._complete.get(symbol)
            if seen is not None and number <= seen.id:
                continue
            if symbol not in self._ranges or not self._has(symbol, number):
                new.append(trade)
            self._complete[symbol] = Seen(last, trade.time_ms)
        return new

    def _has(self, symbol: str, number: int) -> bool:
        ranges = self._ranges[symbol]
        at = bisect_left(ranges, number, key=lambda one: one[1])
        return at < len(ranges) and ranges[at][0] <= number
