"""Files of Binance's public data, as CSV or zip: trades and aggregates of the spot market and of USD-M perpetuals.

The columns, and that the spot market's times are in µs since 2025, are documented in
https://github.com/binance/binance-public-data.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Generic

from msgspec import Struct

from tickertape.schemas.fields import Id, Positive
from tickertape.schemas.trade import Trade
from tickertape.stream.errors import InputError
from tickertape.stream.feeds.adapt import making, wire
from tickertape.stream.feeds.define.format import Format
from tickertape.stream.feeds.files.rows import Layout, rows
from tickertape.stream.feeds.instruments.names import RecordedNames

_NAME = re.compile(r"(?P<symbol>[^/]+?)-(?P<kind>trades|aggTrades)(?:-|\.)")


class _Trade(Struct, Generic[wire.N], array_like=True):
    id: Id
    price: wire.N
    quantity: wire.N
    time: wire.Time
    is_buyer_maker: bool
    last: None = None


class _Aggregate(Struct, Generic[wire.N], array_like=True):
    price: wire.N
    quantity: wire.N
    id: Id
    last: Id
    time: wire.Time
    is_buyer_maker: bool


_PLACES = {"trades": (0, 1, 2, 4, 5), "aggTrades": (1, 2, 3, 4, 5, 6)}
# The spot market's files have a last column that says whether the price was the best one.
_WIDTHS = {
    ("trades", 7): "binance",
    ("trades", 6): "binanceusdm",
    ("aggTrades", 8): "binance",
    ("aggTrades", 7): "binanceusdm",
}
_KINDS = {"trades": (_Trade[Positive], _Trade[Decimal]), "aggTrades": (_Aggregate[Positive], _Aggregate[Decimal])}


def events(path: Path, on_bad: Callable[[str], None], *, exact: bool = False) -> Iterator[Trade]:
    """Yield the trades of a file, in its order.

    Parameters
    ----------
    path
        The file. Its name begins as Binance names it, ``BTCUSDT-trades-`` or ``BTCUSDT-aggTrades-``: the rows don't
        have the symbol. The number of columns says which market it is of.
    on_bad
        Called with ``file:line: reason`` for each row that can't be read.
    exact
        True to keep all digits.

    Raises
    ------
    InputError
        The file can't be read, or is no such file.
    """
    found = _NAME.match(path.name)
    if found is None:
        raise InputError(
            f"{path}: a file of Binance names its symbol and kind, as BTCUSDT-trades-2026-01-02.zip; give it that name"
        )
    source, kind = "", found["kind"]

    def layout(first: Sequence[str]) -> Layout:
        nonlocal source
        source = _WIDTHS.get((kind, len(first)), "")
        has_header = not first[0].strip().isdecimal()
        if not source or (has_header and "id" not in first[0].lower()):
            raise InputError(f"{path}:1: is no file of {kind} of Binance: {','.join(first)[:100]}")
        if any(name.strip().lower() in ("base_qty", "baseqty") for name in first):
            raise InputError(f"{path}:1: has contracts that are worth some of the quote currency, which are not read")
        return Layout(_KINDS[kind][exact], _PLACES[kind], len(first), has_header)

    symbol = ""
    for number, row in rows(path, layout, on_bad):
        symbol = symbol or _ours(path, source, found["symbol"])
        try:
            yield making.trade_of(
                symbol,
                source,
                row.id,
                wire.in_ms(row.time),
                0,
                row.price,
                row.quantity,
                # If the buyer was the maker, the taker sold.
                "sell" if row.is_buyer_maker else "buy",
                row.last,
            )
        except ValueError as error:
            on_bad(f"{path}:{number}: {error}")


def _ours(path: Path, source: str, name: str) -> str:
    try:
        return RecordedNames(source).ours(name)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None


#: Binance's daily and monthly files.
FORMAT = Format(
    "binance-csv",
    None,
    (Trade,),
    read=events,
    exact=Format("binance-csv", None, (Trade,), read=partial(events, exact=True)),
    feeds=("binance", "binanceusdm"),
)
