"""Feeds of exchanges, and formats of what they record, with the names of their instruments."""

from functools import cache

from tickertape.schemas.events import Event
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.adapt import wire
from tickertape.stream.feeds.adapt.exchange import Exchange, ExchangeSettings
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.feed import Feed
from tickertape.stream.feeds.define.format import Format
from tickertape.stream.feeds.define.names import Names
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.exchanges.pairs import ask, pair


class _Pairs:
    """Pairs without a separator, such as Binance's ``BTCUSDT``.

    Parameters
    ----------
    suffix
        What our symbols have behind the pair: ``-PERP``.
    """

    def __init__(self, suffix: str = "") -> None:
        self._suffix = suffix

    def ours(self, name: str) -> str:
        return pair(name) + self._suffix

    def theirs(self, symbol: str) -> str:
        name = symbol.upper().removesuffix(self._suffix).replace("-", "")
        try:
            pair(name)
        except ValueError as error:
            raise ValueError(f"{error}; write it as BTCUSDT{self._suffix} or BTC-USDT{self._suffix}") from None
        return name

    def base_per_unit(self, name: str) -> float:
        self.ours(name)
        return 1.0


class _Parted:
    """Names with a separator, such as Kraken's ``BTC/USD``.

    Parameters
    ----------
    separator
        What is between base and quote.
    """

    def __init__(self, separator: str) -> None:
        self._separator = separator

    def ours(self, name: str) -> str:
        base, *rest = name.split(self._separator)
        if not (0 < len(name) <= 60 and base and rest and all(rest)):
            raise ValueError(f"{name[:60]!r} is not a pair such as BTC{self._separator}USD")
        return "-".join((base, *("PERP" if part == "SWAP" else part for part in rest)))

    def theirs(self, symbol: str) -> str:
        name = symbol.upper().replace("-PERP", "-SWAP").replace("-", self._separator)
        self.ours(name)
        return name

    def base_per_unit(self, name: str) -> float:
        if self.ours(name).endswith("-PERP"):
            raise ValueError(f"the size of a contract of {name} is not known")
        return 1.0


def names_of(source: str, info_url: str) -> Names:
    """Return the names of a source's instruments.

    Parameters
    ----------
    source
        The feed: ``binance``.
    info_url
        The address of the source's list of instruments; empty to request nothing.
    """
    if source == "binance":
        ask(info_url)
    if source in ("binance", "bybit"):
        return _Pairs()
    if source in ("binanceusdm", "bybitlinear"):
        return _Pairs("-PERP")
    return _Parted("/" if source == "kraken" else "-")


def feed_of(name: str, about: str, source: type[Exchange], settings: type[ExchangeSettings]) -> Feed:
    """Return the feed of an exchange."""
    return Feed(
        name=name,
        about=about,
        connect=lambda given, symbols, named: source(given, symbols, names_of(name, given.info_url), named),
        settings=settings,
    )


def recorded(feed: Feed, settings: ExchangeSettings | None = None, kinds: tuple[type, ...] = (Trade, Quote)) -> Format:
    """Return the format of what a feed records: lines of ``<ns received> <message>``.

    Parameters
    ----------
    feed
        The feed.
    settings
        Its settings; None: without a list of instruments, and otherwise as they are by default.
    kinds
        The kinds of events that a file may contain.
    """

    @cache
    def source() -> Source:
        return feed.connect(settings or feed.settings(info_url=""), (), feed.name)

    def parse(line: bytes) -> list[Event] | Other:
        stamp, _, message = line.partition(b" ")
        found = source().normalise(message, int(stamp) // 1_000_000)
        if isinstance(found, Other):
            return found
        several = found if isinstance(found, list) else [found]
        return [event for event in several if not isinstance(event, Change)] or Other("book")

    return Format(feed.name, parse, kinds, wire.reason_of)
