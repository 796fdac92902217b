"""Feeds of exchanges, and formats of what they record, with the names of their instruments."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from msgspec import structs

from tickertape.schemas.book import Depth
from tickertape.schemas.events import Event
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.adapt import wire
from tickertape.stream.feeds.adapt.exchange import Exchange, ExchangeSettings
from tickertape.stream.feeds.books.rules import rule_of
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.feed import Feed
from tickertape.stream.feeds.define.format import Format
from tickertape.stream.feeds.define.names import Names
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.instruments.names import RecordedNames, names_of


def feed_of(name: str, about: str, source: type[Exchange], settings: type[ExchangeSettings]) -> Feed:
    """Return the feed of an exchange. Its instruments are named by the exchange's own list."""

    def connect(given: Any, symbols: Sequence[str], named: str) -> Exchange:
        names = names_of(name, given.info_url)
        found = source(given, symbols, names, named)
        found.instruments = names.listed(found.symbols, named)
        found.book_rule = rule_of(name, given.depth) if Depth in found.kinds else None
        return found

    return Feed(name, about, connect, settings)


def recorded(
    name: str,
    source: type[Exchange],
    settings: ExchangeSettings,
    *,
    names: Names | None = None,
    kinds: tuple[type, ...] = (Trade, Quote),
) -> Format:
    """Return the format of what a feed records: lines of ``<ns received> <message>``.

    Parameters
    ----------
    name, source
        The feed's name, and the exchange.
    settings
        The feed's settings.
    names
        The names of its instruments; None: `RecordedNames`.
    kinds
        The kinds of events that a file may contain.
    """

    def format_of(given: ExchangeSettings, exact: Format | None) -> Format:
        @cache
        def found() -> Source:
            return source(given, (), names or RecordedNames(name), name)

        def parse(line: bytes) -> list[Event] | Other:
            stamp, _, message = line.partition(b" ")
            said = found().normalise(message, int(stamp) // 1_000_000)
            if isinstance(said, Other):
                return said
            several = said if isinstance(said, list) else [said]
            events = [event for event in several if not isinstance(event, Change | Other)]
            return events or next((one for one in several if isinstance(one, Other)), Other("book"))

        return Format(name, parse, kinds, wire.reason_of, exact=exact, feeds=(name,))

    return format_of(settings, format_of(structs.replace(settings, decimals=True), None))
