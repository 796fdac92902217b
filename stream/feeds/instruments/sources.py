"""The sources whose instruments we know: where each list is, how it is read, and how names without a list are read."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeAlias
from urllib.parse import parse_qsl, quote, urlsplit

from msgspec import Struct

from tickertape.schemas.instrument import Instrument
from tickertape.stream.errors import ConfigError, one_line
from tickertape.stream.feeds.hosts import known
from tickertape.stream.feeds.hosts.budget import Budget, host_of
from tickertape.stream.feeds.hosts.limit import Limits
from tickertape.stream.feeds.hosts.request import RequestError, get
from tickertape.stream.feeds.instruments.lists import binance, bybit, coinbase, kraken, okx
from tickertape.stream.feeds.instruments.lists.entry import Page, renamed, unique
from tickertape.stream.feeds.instruments.pairs import parted

# Binance's list of 3,000 symbols has 20 MB, which are mostly trading rules.
FETCH_SECONDS, FETCH_BYTES = 15.0, 64 << 20
# Bybit's list of some 700 contracts is a page of 1,000.
_PAGES = 20


class FetchError(Exception):
    """A list can't be fetched. The text says why, in one line."""


class Source(Struct, frozen=True):
    """A source with a list of instruments.

    Attributes
    ----------
    url
        The address of its list.
    read
        Reads an answer, given the source's name.
    limits
        What its host allows.
    queries
        What is asked: one request or more, each of all its pages. An address that has a parameter already keeps it.
    unlisted
        Returns the source's own name, base and quote of a spot symbol that isn't in the list; raises ValueError. None
        if such names can be split in several ways. It is used only where the source's list can't be had.
    """

    url: str
    read: Callable[[str, bytes], Page]
    limits: Limits
    queries: tuple[str, ...] = ("",)
    unlisted: "Callable[[str], Name] | None" = None


#: A source's own name of a spot instrument, and its own names of base and quote.
Name: TypeAlias = tuple[str, str, str]


def _split(source: str, separator: str, *, unless: str = "") -> Callable[[str], Name]:
    """Return a function that splits symbols at the source's separator or ours, unless priced in one asset."""

    def split(symbol: str) -> Name:
        parts = symbol.split(separator if separator in symbol else "-")
        if len(parts) != 2 or not all(parts) or parts[1] == unless:
            raise ValueError(f"{symbol[:60]!r} can't be split into base and quote")
        first, second = (renamed(source, part) for part in parts)
        return f"{first}{separator}{second}", first, second

    return split


def _unseparated(symbol: str) -> Name:
    name = symbol.replace("-", "")
    return name, *parted(name)


SOURCES = {
    "binance": Source(
        "https://api.binance.com/api/v3/exchangeInfo", binance.spot, known.BINANCE, unlisted=_unseparated
    ),
    "binanceusdm": Source("https://fapi.binance.com/fapi/v1/exchangeInfo", binance.usdm, known.BINANCE_USDM),
    "coinbase": Source(
        "https://api.exchange.coinbase.com/products",
        coinbase.exchange,
        known.COINBASE,
        unlisted=_split("coinbase", "-"),
    ),
    # A product in USDC may be another name of the one in USD; only the list says so.
    "coinbaseadvanced": Source(
        "https://api.coinbase.com/api/v3/brokerage/market/products",
        coinbase.advanced,
        known.COINBASE,
        unlisted=_split("coinbaseadvanced", "-", unless="USDC"),
    ),
    "kraken": Source(
        "https://api.kraken.com/0/public/AssetPairs", kraken.spot, known.KRAKEN, unlisted=_split("kraken", "/")
    ),
    "bybit": Source(
        "https://api.bybit.com/v5/market/instruments-info", bybit.category, known.BYBIT, ("category=spot",)
    ),
    "bybitlinear": Source(
        "https://api.bybit.com/v5/market/instruments-info", bybit.category, known.BYBIT, ("category=linear&limit=1000",)
    ),
    "okx": Source(
        "https://www.okx.com/api/v5/public/instruments",
        okx.public,
        known.OKX,
        ("instType=SPOT",),
        unlisted=_split("okx", "-"),
    ),
    "okxswap": Source(
        "https://www.okx.com/api/v5/public/instruments", okx.public, known.OKX, ("instType=SWAP", "instType=FUTURES")
    ),
}


def source_named(name: str) -> Source:
    """Return the source of this name.

    Raises
    ------
    ConfigError
        We know no list of it.
    """
    if name not in SOURCES:
        raise ConfigError(f"{name}: no list of instruments is known; there are those of {', '.join(SOURCES)}")
    return SOURCES[name]


def fetch(name: str, url: str) -> list[Instrument]:
    """Fetch all instruments of a source, page by page, within the budget of its host. No event loop may run.

    Raises
    ------
    FetchError
        The list can't be had as a whole, or can't be read.
    """

    async def within() -> list[Instrument]:
        async with asyncio.timeout(FETCH_SECONDS):
            return await _fetched(name, url)

    try:
        return asyncio.run(within())
    except TimeoutError:
        raise FetchError(f"no answer within {FETCH_SECONDS:g} s") from None


async def _fetched(name: str, url: str) -> list[Instrument]:
    source, budget, size_bytes = source_named(name), Budget(host_of(url), source_named(name).limits), 0
    found: list[Instrument] = []
    for asked in dict.fromkeys(_asked(url, query) for query in source.queries):
        cursors = [""]
        while len(cursors) <= _PAGES:
            body = await _body(_at(asked, cursors[-1]), budget)
            size_bytes += len(body)
            if size_bytes > FETCH_BYTES:
                raise FetchError(f"its pages have more than {FETCH_BYTES:,} bytes")
            page = _page(source, name, body)
            found += page.instruments
            if not page.cursor:
                break
            if page.cursor in cursors:
                raise FetchError("its pages go round in a circle")
            cursors.append(page.cursor)
        else:
            raise FetchError(f"it has more than {_PAGES} pages")
    if not found:
        raise FetchError("it lists no instruments")
    return unique(name, found)


async def _body(address: str, budget: Budget) -> bytes:
    try:
        answered = await get(
            address, budget, seconds=FETCH_SECONDS, most_bytes=FETCH_BYTES, patience_seconds=FETCH_SECONDS
        )
    except RequestError as error:
        raise FetchError(error.why) from None
    return answered.body


def _page(source: Source, name: str, body: bytes) -> Page:
    try:
        return source.read(name, body)
    except (ValueError, RecursionError) as error:
        raise FetchError(one_line(f"its answer can't be read: {error}")) from None


def _asked(url: str, query: str) -> str:
    """Return an address with the parameters of a query that it doesn't have."""
    has = {name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
    return _with(url, (part for part in query.split("&") if part and part.partition("=")[0] not in has))


def _at(url: str, cursor: str) -> str:
    # Bybit's cursors are escaped already; what else has a meaning in an address is escaped here.
    return _with(url, [f"cursor={quote(cursor, safe='%')}"] if cursor else [])


def _with(url: str, parts: Iterable[str]) -> str:
    for part in parts:
        url += ("&" if "?" in url else "?") + part
    return url
