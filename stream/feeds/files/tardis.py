"""CSV files of Tardis: trades, and quotes. Their columns: https://docs.tardis.dev/downloadable-csv-files/data-types."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Generic, Literal

from msgspec import Meta, Struct

from tickertape.schemas.events import Event
from tickertape.schemas.fields import EARLIEST_MS, LATEST_MS, Positive
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.adapt import making, wire
from tickertape.stream.feeds.define.format import Format
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.files.rows import Layout, named, rows
from tickertape.stream.feeds.instruments.names import RecordedNames

#: Our sources, by Tardis' names of the exchanges whose instruments we know.
SOURCES = {
    "binance": "binance",
    "binance-futures": "binanceusdm",
    "bybit": "bybitlinear",
    "bybit-spot": "bybit",
    "coinbase": "coinbase",
    "kraken": "kraken",
    "okex": "okx",
    "okex-swap": "okxswap",
}
_Micros = Annotated[int, Meta(ge=1000 * EARLIEST_MS, le=1000 * LATEST_MS)]
_Text = Annotated[str, Meta(max_length=64)]


class _Trade(Struct, Generic[wire.N], array_like=True):
    exchange: _Text
    symbol: _Text
    timestamp: _Micros
    local_timestamp: _Micros
    id: _Text
    side: Literal["buy", "sell", "unknown"]
    price: wire.N
    amount: wire.N


class _Quote(Struct, array_like=True):
    exchange: _Text
    symbol: _Text
    timestamp: _Micros
    local_timestamp: _Micros
    # Empty if that side of the book is.
    ask_amount: _Text
    ask_price: _Text
    bid_price: _Text
    bid_amount: _Text


class _Reader:
    """Makes events of rows, which are in the order of their receipt."""

    def __init__(self, *, exact: bool) -> None:
        self._number: Callable[[str], wire.Number] = Decimal if exact else float
        # By symbol: the last time of a trade without an id, and how many had it; the number of the last quote.
        self._times: dict[str, tuple[int, int]] = {}
        self._quotes: dict[str, int] = defaultdict(int)

    def event(self, row: Any) -> Event | Other:
        source = SOURCES.get(row.exchange)
        if source is None:
            raise ValueError(f"the instruments of {row.exchange!r} aren't known; those of {', '.join(SOURCES)} are")
        names = RecordedNames(source)
        symbol, per = names.ours(row.symbol), names.base_per_unit(row.symbol)
        at_ms, received_ms = row.timestamp // 1000, row.local_timestamp // 1000
        if isinstance(row, _Trade):
            side = None if row.side == "unknown" else row.side
            number = self._id(row)
            return making.trade_of(
                symbol, source, number, at_ms, received_ms, row.price, wire.in_base(row.amount, per), side
            )
        # A quote has no number: the time of receipt counts up, and is made to where it doesn't.
        count = self._quotes[symbol] = max(row.local_timestamp, self._quotes[symbol] + 1)
        bid, bids, ask, asks = map(self._of, (row.bid_price, row.bid_amount, row.ask_price, row.ask_amount))
        bids, asks = wire.in_base(bids, per), wire.in_base(asks, per)
        return making.quote_of(symbol, source, count, at_ms, received_ms, bid, bids, ask, asks)

    def _id(self, row: Any) -> int | str:
        if row.id:
            # A number of 19 digits may be beyond 2^63.
            return int(row.id) if row.id.isascii() and row.id.isdecimal() and len(row.id) < 19 else str(row.id)
        at, n = self._times.get(row.symbol, (0, 0))
        n = n + 1 if at == row.timestamp else 0
        self._times[row.symbol] = row.timestamp, n
        return f"{row.timestamp}-{n}"

    def _of(self, text: str) -> wire.Number:
        try:
            found = self._number(text or "0")
        except ArithmeticError:
            raise ValueError(f"{text!r} is no number") from None
        if not 0 <= found <= 10**18:
            raise ValueError(f"{text} is below zero, or too large")
        return found


def events(path: Path, on_bad: Callable[[str], None], *, exact: bool = False) -> Iterator[Event | Other]:
    """Yield the events of a file, in its order, which is that of their receipt.

    Parameters
    ----------
    path
        The file, plain or compressed. Its header says whether it has trades or quotes.
    on_bad
        Called with ``file:line: reason`` for each row that can't be read.
    exact
        True to keep all digits.

    Raises
    ------
    InputError
        The file can't be read, or has other data.
    """

    def layout(first: Sequence[str]) -> Layout:
        kinds = (_Trade[Decimal] if exact else _Trade[Positive], _Quote)
        return named(path, first, kinds, "a file of trades or quotes of Tardis")

    reader = _Reader(exact=exact)
    for number, row in rows(path, layout, on_bad):
        try:
            yield reader.event(row)
        except ValueError as error:
            on_bad(f"{path}:{number}: {error}")


#: Tardis' daily files.
FORMAT = Format(
    "tardis",
    None,
    (Trade, Quote),
    read=events,
    exact=Format("tardis", None, (Trade, Quote), read=partial(events, exact=True)),
    feeds=tuple(sorted(set(SOURCES.values()))),
)
