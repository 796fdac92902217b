"""What the sources of all exchanges have in common: symbols, channels, and the connections that carry them."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from msgspec import Struct

from tickertape.stream.errors import ConfigError
from tickertape.stream.feeds.adapt.asking import parts
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.names import Names
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.define.stream import Answer, Stream


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
    is_of_perpetuals
        True if only perpetuals have it.
    cut
        What names lack here at their end.
    """

    name: str
    kind: type
    route: int = 0
    is_of_perpetuals: bool = False
    cut: str = ""

    def name_of(self, name: str) -> str:
        """Return what the channel calls the symbol of this name."""
        return name.removesuffix(self.cut)


class ExchangeSettings(Struct, frozen=True):
    """The settings of an exchange's feed.

    Attributes
    ----------
    url
        The address to connect to.
    info_url
        The address of the exchange's list of instruments, which says what its names mean. The list is kept for a day.
        Empty: the list is not requested.
    channels
        What to ask for, with spaces or commas between: ``trades``, ``quotes``, ``books`` and others, see the page on
        feeds.
    depth
        How many levels a side a book has, if the exchange has books of several depths.
    """

    url: str = ""
    info_url: str = ""
    channels: str = "trades quotes"
    depth: int = 0


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

    def __init__(self, settings: ExchangeSettings, symbols: Sequence[str], names: Names, name: str) -> None:
        self.settings: Any = settings
        self.name = name
        self.names = names
        self.theirs = list(dict.fromkeys(map(self._theirs, symbols)))
        self.symbols = [names.ours(one) for one in self.theirs]
        chosen = self._chosen()
        self.kinds = tuple(dict.fromkeys(channel.kind for channel in chosen if channel.kind is not Change))
        self._lines = [
            (url, some)
            for route, url in enumerate(self.routes())
            for some in parts(
                [
                    Stream(kind=channel.kind, symbol=symbol, channel=channel.name, name=channel.name_of(one))
                    for one, symbol in zip(self.theirs, self.symbols, strict=True)
                    for channel in chosen
                    if channel.route == route and (symbol.endswith("-PERP") or not channel.is_of_perpetuals)
                ],
                self.most_streams,
            )
        ]

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
            return self.names.theirs(symbol)
        except ValueError as error:
            raise ConfigError(str(error)) from None

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
