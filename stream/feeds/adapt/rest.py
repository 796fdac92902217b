"""What exchanges are asked by HTTP: trades that were missed, files of past trades, and snapshots of order books."""

from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from tickertape.stream.feeds.adapt import wire
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.page import Get


class Asked(Struct, frozen=True):
    """Trades that an exchange is asked for.

    Attributes
    ----------
    url
        The address of its history.
    name
        The exchange's own name of the symbol, quoted for an address.
    first, last
        The numbers of the first and the last trade; None: all from the first one on.
    since_ms
        A time before which there is none of them.
    exact
        True to keep all digits.
    """

    url: str
    name: str
    first: int
    last: int | None
    since_ms: int
    exact: bool

    def most(self, page: int) -> int:
        """Return how many trades to ask for, if a page has so many at most."""
        return page if self.last is None else min(page, self.last - self.first + 1)


class Row(Struct, frozen=True):
    """A trade of a history: its number, its time in ms, and what else it has; of an aggregate also its last number."""

    number: int
    time_ms: int
    price: wire.Number
    quantity: wire.Number
    side: wire.Side
    last_id: int | None = None

    @property
    def last(self) -> int:
        """Its last number."""
        return self.number if self.last_id is None else self.last_id


class Rows(Struct, frozen=True):
    """An answer of a history: some trades in any order, and whether there are more of what was asked for."""

    rows: Sequence[Row]
    has_more: bool


class Daily(Struct, frozen=True):
    """An exchange's files of a symbol's trades of one day.

    Attributes
    ----------
    url
        The address that they are below.
    path
        The rest of the address, with ``{name}`` for the exchange's own name of the symbol, and ``{day}`` as 2026-01-02.
        The same with ``.CHECKSUM`` after it has the file's SHA-256.
    format
        The name of their format.
    """

    url: str
    path: str
    format: str


class History(Struct, frozen=True):
    """An exchange's history of trades.

    Attributes
    ----------
    url
        The exchange's own address of it.
    asked
        Requests some trades; see `Source.missed`.
    by_number
        Whether it finds trades by their numbers alone. False if it is asked from a time on.
    daily
        The exchange's files of the same trades, if it publishes them.
    """

    url: str
    asked: Callable[[Asked, Get], Awaitable[Rows]]
    by_number: bool = True
    daily: Daily | None = None


class Snapshots(Struct, frozen=True):
    """An exchange's snapshots of order books.

    Attributes
    ----------
    url
        The exchange's own address of them.
    asked
        Requests one: of an address, the exchange's own name of a symbol, our symbol, and the source's name in records.
    """

    url: str
    asked: Callable[[Get, str, str, str, str], Awaitable[Change]]
