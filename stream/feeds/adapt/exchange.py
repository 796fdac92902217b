"""What the sources of all exchanges have in common: symbols, channels, and the connections that carry them."""

import time
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, ClassVar
from urllib.parse import quote

from msgspec import Struct

from tickertape.schemas.book import Depth
from tickertape.schemas.liquidation import Liquidation
from tickertape.schemas.perpetual import Perpetual
from tickertape.schemas.quote import Quote
from tickertape.stream.errors import ConfigError, InputError
from tickertape.stream.feeds.adapt import making, wire
from tickertape.stream.feeds.adapt.asking import parts
from tickertape.stream.feeds.adapt.rest import Asked, History, Snapshots
from tickertape.stream.feeds.define.archive import Archive
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.names import Names, UnknownSymbol
from tickertape.stream.feeds.define.page import Get, Page
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.define.stream import Answer, Stream

# By how much times of trades may fall where their numbers rise; and by how much not.
_DISORDER_MS = 1000
_ASTRAY_MS = 60_000


class Channel(Struct, frozen=True):
    """A channel of an exchange.

    Attributes
    ----------
    name
        The exchange's own name for it.
    kind
        The kind of event that it brings.
    route
        Which of the exchange's addresses has it.
    cut
        What names lack here at their end.
    """

    name: str
    kind: type
    route: int = 0
    cut: str = ""

    def stream_of(self, name: str, symbol: str) -> Stream:
        """Return the channel's stream of a symbol, given in the exchange's own form and in ours."""
        is_rare = self.kind is Liquidation
        own = name.removesuffix(self.cut)
        return Stream(kind=self.kind, symbol=symbol, channel=self.name, name=own, is_rare=is_rare)


class ExchangeSettings(Struct, frozen=True):
    """The settings of an exchange's feed.

    Attributes
    ----------
    url
        The address to connect to.
    info_url
        The address of the exchange's list of instruments, which says what its names mean. The list is kept for a day.
        Empty: the list is not requested.
    refill
        True to ask for missing trades, if the exchange has a history of them.
    history_url
        The address at which they are asked for. Empty: the exchange's own.
    archive_url
        The address below which files of past trades are, if the exchange publishes them. Empty: the exchange's own.
    snapshot_url
        The address at which snapshots of books are asked for, if the exchange doesn't stream them. Empty: its own.
    channels
        What to ask for, with spaces or commas between: ``trades``, ``quotes``, ``books`` and others, see the page on
        feeds.
    depth
        How many levels a side a book has, if the exchange has books of several depths.
    decimals
        True to keep all digits of prices and quantities as the exchange writes them. False: they become doubles, which
        have 15 digits or more.
    """

    url: str = ""
    info_url: str = ""
    refill: bool = True
    history_url: str = ""
    archive_url: str = ""
    snapshot_url: str = ""
    channels: str = "trades quotes"
    depth: int = 0
    decimals: bool = False


class Exchange(Source):
    """A source that is asked for channels of symbols.

    Parameters
    ----------
    settings
        The settings of its feed.
    symbols
        The symbols, as we write them or as the exchange does.
    names
        The names of its instruments.
    name
        The source's name in each record.

    Attributes
    ----------
    most_streams
        The most streams of a connection.
    channels
        The exchange's channels for each word that the setting ``channels`` may have.
    exact
        Whether all digits are kept: the setting ``decimals``.
    histories
        The exchange's histories, by the word in the setting ``channels`` whose trades they have: single trades, or
        aggregates.
    snapshots
        The exchange's snapshots of books, if it doesn't stream them.
    marks
        What an answer to a subscription has in it: one of these.

    Raises
    ------
    ConfigError
        A symbol or a word in the setting ``channels`` is unknown.
    """

    most_streams = 200
    channels: ClassVar[Mapping[str, Sequence[Channel]]] = {}
    marks: ClassVar[tuple[bytes, ...]] = ()
    histories: ClassVar[Mapping[str, History]] = {}
    snapshots: ClassVar[Snapshots | None] = None

    def __init__(self, settings: ExchangeSettings, symbols: Sequence[str], names: Names, name: str) -> None:
        self.settings: Any = settings
        self.name = name
        self.names = names
        self.exact = settings.decimals
        self.theirs = list(dict.fromkeys(map(self._theirs, symbols)))
        self.symbols = [names.ours(one) for one in self.theirs]
        chosen = self._chosen()
        # Aggregates are never refilled by single trades.
        words = settings.channels.replace(",", " ").split() if settings.refill else []
        self._history = next((self.histories[word] for word in words if word in self.histories), None)
        self.refills = self._history is not None
        self.by_number = self._history is not None and self._history.by_number
        kinds = dict.fromkeys(channel.kind for channel in chosen)
        # Of books come their depth, and quotes where no channel has them.
        more = (Depth, Quote) if kinds.pop(Change, self) is None else ()
        self.kinds = tuple(dict.fromkeys((*kinds, *more)))
        self._lines: list[tuple[str, Sequence[Stream]]] = []
        for route, url in enumerate(self.routes()):
            wanted = [
                channel.stream_of(one, symbol)
                for one, symbol in zip(self.theirs, self.symbols, strict=True)
                for channel in chosen
                # Contracts that are delivered have no such figures.
                if channel.route == route and (channel.kind is not Perpetual or symbol.endswith("-PERP"))
            ]
            self._lines += [(url, some) for some in parts(wanted, self.most_streams)]

    def words(self) -> Mapping[str, Sequence[Channel]]:
        """Return the exchange's channels for each word that the setting ``channels`` may have."""
        return self.channels

    def routes(self) -> Sequence[str]:
        """Return the address of each route."""
        return [self.settings.url]

    def _chosen(self) -> list[Channel]:
        words, setting = self.words(), self.setting.removesuffix("_URL") + "_CHANNELS"
        asked = dict.fromkeys(self.settings.channels.replace(",", " ").split())
        if not asked or asked.keys() - words.keys():
            raise ConfigError(f"{setting}={self.settings.channels}: choose from {', '.join(words)}")
        if {"trades", "aggregates"} <= asked.keys():
            raise ConfigError(
                f"{setting}: a source has trades or aggregates; for both, run two feeds with two --source"
            )
        return [channel for word in asked for channel in words[word]]

    def _theirs(self, symbol: str) -> str:
        try:
            name = self.names.theirs(symbol)
            # A contract that is worth some of the quote currency has no fixed size.
            self.names.base_per_unit(name)
            return name
        except ValueError as error:
            raise UnknownSymbol(str(error)) from None

    def urls(self, position: int) -> Sequence[str]:  # noqa: ARG002 - exchanges can't resume from a position
        return [url for url, _ in self._lines]

    def streams(self, line: int) -> Sequence[Stream]:
        return self._lines[line][1]

    def subscribe(self, streams: Sequence[Stream]) -> Sequence[str]:
        return self.ask("subscribe", streams) if streams else ()

    def unsubscribe(self, streams: Sequence[Stream]) -> Sequence[str]:
        return self.ask("unsubscribe", streams) if streams else ()

    def answer(self, frame: bytes) -> Answer | None:
        for mark in self.marks:
            if mark in frame:
                break
        else:
            return None
        try:
            return self.answered(frame)
        except (ValueError, RecursionError):
            # What it is else, `normalise` says.
            return None

    async def missed(self, get: Get, symbol: str, first: int, last: int | None, since_ms: int) -> Page:
        assert self._history is not None
        name, url = self.names.theirs(symbol), self.settings.history_url or self._history.url
        # Times may fall somewhat where numbers rise.
        asked = Asked(url, quote(name, safe=""), first, last, max(since_ms - _DISORDER_MS, 0), self.exact)
        found = await self._history.asked(asked, get)
        per = self.names.base_per_unit(name)
        received_ms = time.time_ns() // 1_000_000
        later = [one for one in found.rows if one.number >= first]
        if any(one.time_ms < since_ms - _ASTRAY_MS for one in later):
            raise InputError(f"its history has older trades under the numbers from {first} on")
        end = max((one.last for one in found.rows), default=-1) if last is None else last
        wanted = sorted((one for one in later if one.last <= end), key=lambda one: one.number)
        trades = [
            making.trade_of(
                symbol,
                self.name,
                one.number,
                one.time_ms,
                received_ms,
                one.price,
                wire.in_base(one.quantity, per),
                one.side,
                one.last_id,
            )
            for one in wanted
        ]
        reaches = min(max(one.last for one in later), end) if later else None
        return Page(trades, has_more=found.has_more, reaches=reaches)

    def archive(self, symbol: str, day: date) -> Archive | None:
        daily = None if self._history is None else self._history.daily
        if daily is None:
            return None
        name = quote(self.names.theirs(symbol), safe="")
        path = daily.path.format(name=name, day=day.isoformat())
        url = f"{(self.settings.archive_url or daily.url).rstrip('/')}/{path}"
        return Archive(url, daily.format, f"{url}.CHECKSUM")

    def base_per_unit(self, symbol: str) -> float:
        return self.names.base_per_unit(self.names.theirs(symbol))

    async def snapshot(self, get: Get, symbol: str) -> Change:
        if self.snapshots is None:
            raise InputError(f"{self.name} has no snapshots of books to request")
        url, name = self.settings.snapshot_url or self.snapshots.url, self.names.theirs(symbol)
        return await self.snapshots.asked(get, url, name, symbol, self.name)

    def ask(self, verb: str, streams: Sequence[Stream]) -> Sequence[str]:  # noqa: ARG002 - see `subscribe`
        """Return the messages that ``subscribe`` or ``unsubscribe``."""
        return ()

    def answered(self, frame: bytes) -> Answer | None:  # noqa: ARG002 - see `answer`
        """Return what a message with one of the `marks` says of subscriptions; None if it is no answer.

        Raises
        ------
        ValueError
            It can't be read.
        """
        return None
