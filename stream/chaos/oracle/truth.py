"""The oracle: compute the expected results of an input log in plain Python, without the product's folds."""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

#: Symbol, source or `all`, resolution, start in ms.
Key = tuple[str, str, str, int]
Bars = dict[Key, dict[str, Any]]

RESOLUTIONS = {"1s": 1_000, "1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000}


#: Partition, offset, and the index of an event in its bundle or None.
Position = tuple[int, int, int | None]


class Entry(NamedTuple):
    """A record of the input log, or an event of a bundle there: ``event`` is its index."""

    partition: int
    offset: int
    append_ms: int
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    event: int | None = None


class Trade(NamedTuple):
    """A trade that counts. Its fields come in the order that decides which trade is an open or a close."""

    time_ms: int
    id: int
    price: float
    source: str
    symbol: str
    quantity: float
    buy: bool


class Truth:
    """The expected results of a log.

    Parameters
    ----------
    log
        The records of all partitions, each partition's in order of offset.
    slice_ms, skew_ms, lateness_ms
        The workers' settings.

    Attributes
    ----------
    tallies
        By partition, the number of records that are counted, late, rejected, repeated and heartbeats, in place of a
        bundle of its events; and of bundles and events in them.
    late, rejected
        The position of each such record or event.
    trades
        The trades that count.
    """

    def __init__(self, log: Iterable[Entry], *, slice_ms: int, skew_ms: int, lateness_ms: int) -> None:
        self._slice_ms, self._skew_ms, self._lateness_ms = slice_ms, skew_ms, lateness_ms
        self.tallies: dict[int, Counter[str]] = defaultdict(Counter)
        self.late: set[Position] = set()
        self.rejected: set[Position] = set()
        self.trades: list[Trade] = []
        self._newest_ms: dict[tuple[int, str], int] = {}
        self._seen: set[tuple[int, str, str, int, int]] = set()
        for entry in log:
            became = self._take(entry)
            tallies, position = self.tallies[entry.partition], (entry.partition, entry.offset, entry.event)
            tallies[became] += 1
            if entry.event is not None:
                tallies["bundled"] += 1
                tallies["bundles"] += entry.event == 0
            if became == "late":
                self.late.add(position)
            elif became == "rejected":
                self.rejected.add(position)

    def _take(self, entry: Entry) -> str:
        """Return the tally in which a record counts."""
        if entry.value is None:
            beat = json.loads(dict(entry.headers)["heartbeat"])
            self._advance(entry.partition, beat["source"], beat["time_ms"])
            return "heartbeats"
        try:
            found = json.loads(entry.value)
        except ValueError:
            return "rejected"
        source, symbol, number, time_ms = found["source"], found["symbol"], found["id"], found["time_ms"]
        if time_ms > min(found["received_ms"], entry.append_ms) + self._skew_ms:
            return "rejected"
        start_ms = time_ms - time_ms % self._slice_ms
        frontier_ms = self._advance(entry.partition, source, time_ms) - self._lateness_ms
        if start_ms + self._slice_ms <= frontier_ms:
            return "late"
        # A record for a closed slice is late, so a repeat can only be one for an open slice.
        identity = entry.partition, source, symbol, start_ms, number
        if identity in self._seen:
            return "repeated"
        self._seen.add(identity)
        trade = Trade(time_ms, number, found["price"], source, symbol, found["quantity"], found["side"] == "buy")
        self.trades.append(trade)
        return "counted"

    def _advance(self, partition: int, source: str, time_ms: int) -> int:
        """Move a lane's watermark, and return what it was before."""
        lane = partition, source
        before = self._newest_ms.get(lane, -(10**15))
        self._newest_ms[lane] = max(before, time_ms)
        return before

    def bars(self) -> Bars:
        """Return every bar, by its key."""
        held: dict[Key, list[Trade]] = defaultdict(list)
        for trade in self.trades:
            for resolution, width_ms in RESOLUTIONS.items():
                start_ms = trade.time_ms - trade.time_ms % width_ms
                for source in (trade.source, "all"):
                    held[trade.symbol, source, resolution, start_ms].append(trade)
        return {key: _bar(trades, self._slice_ms) for key, trades in held.items()}


def _bar(trades: list[Trade], slice_ms: int) -> dict[str, Any]:
    first, last = min(trades), max(trades)
    closes: dict[int, Trade] = {}
    ids: dict[str, list[int]] = defaultdict(list)
    for trade in trades:
        start_ms = trade.time_ms - trade.time_ms % slice_ms
        closes[start_ms] = max(closes.get(start_ms, trade), trade)
        ids[trade.source].append(trade.id)
    path = [closes[start_ms].price for start_ms in sorted(closes)]
    volume = math.fsum(trade.quantity for trade in trades)
    notional = math.fsum(trade.quantity * trade.price for trade in trades)
    bought = math.fsum(trade.quantity for trade in trades if trade.buy)
    return {
        "open": first.price,
        "high": max(trade.price for trade in trades),
        "low": min(trade.price for trade in trades),
        "close": last.price,
        "open_ms": first.time_ms,
        "close_ms": last.time_ms,
        "volume": volume,
        "notional": notional,
        "vwap": notional / volume,
        "count": len(trades),
        "buy_volume": bought,
        "buy_share": bought / volume,
        "largest": max(trade.quantity for trade in trades),
        "realised_volatility": math.sqrt(math.fsum(math.log(after / before) ** 2 for before, after in pairwise(path))),
        "missing": sum(max(0, max(mine) - min(mine) + 1 - len(mine)) for mine in ids.values()),
        "final": True,
        "revision": len(trades),
        "incomplete": False,
    }
