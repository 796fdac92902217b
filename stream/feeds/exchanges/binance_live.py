"""Binance live: trades and quotes of some symbols, over combined streams."""

from collections.abc import Sequence
from urllib.parse import quote

from msgspec import Struct

from tickertape.schemas.events import Event
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.define.feed import Feed
from tickertape.stream.feeds.define.other import Other, renamed
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.exchanges import binance
from tickertape.stream.feeds.instruments.names import ListedNames, names_of

# Binance allows 1,024 streams on a connection, but only five messages per second to subscribe to them. Streams in the
# address need no message. This many make an address of 4 KB, which every server on the way accepts.
STREAMS_A_LINE = 200
STREAMS = ("trade", "bookTicker")


class Binance(Source):
    """Trades and quotes of symbols of Binance's spot market.

    Parameters
    ----------
    url
        The address of combined streams, without the names of streams.
    symbols
        The symbols in Binance's form or ours: ``BTCUSDT``, ``btcusdt``, ``BTC-USDT``.
    name
        The source's name in each record.
    names
        The names of Binance's symbols; None: as they are without its list.

    Raises
    ------
    ConfigError
        There is no such symbol.
    """

    setting = "TICKERTAPE_BINANCE_URL"
    kinds = (Trade, Quote)
    contiguous = (Trade,)
    rising = (Quote,)

    def __init__(
        self, url: str, symbols: Sequence[str], name: str = binance.SOURCE, names: ListedNames | None = None
    ) -> None:
        self.name = name
        self._names = names or names_of(binance.SOURCE, "")
        theirs = dict.fromkeys(map(self._names.theirs, symbols))
        self.symbols = list(map(self._names.ours, theirs))
        self.instruments = self._names.listed(self.symbols, name)
        streams = [f"{quote(name.lower())}@{stream}" for name in theirs for stream in STREAMS]
        groups = [streams[first : first + STREAMS_A_LINE] for first in range(0, len(streams), STREAMS_A_LINE)]
        join = "&" if "?" in url else "?"
        self._urls = [f"{url}{join}streams={'/'.join(group)}" for group in groups]

    def urls(self, position: int) -> Sequence[str]:  # noqa: ARG002 - it never resumes
        return self._urls

    def normalise(self, frame: bytes, received_ms: int) -> Event | Other:
        return renamed(binance.normalise(frame, received_ms, self._names.ours), self.name)

    def leaves(self, frame: bytes) -> bool:
        # With or without an envelope: the documentation shows both.
        return b'"serverShutdown"' in frame


class BinanceSettings(Struct, frozen=True):
    """The settings of the feed.

    Attributes
    ----------
    url
        The address of combined streams to connect to.
    info_url
        The address of Binance's list of instruments, by which symbols are named. The list is kept for a day. Empty:
        the list is not requested.
    """

    url: str = "wss://stream.binance.com:9443/stream"
    info_url: str = "https://api.binance.com/api/v3/exchangeInfo"


def connect(settings: BinanceSettings, symbols: Sequence[str], name: str) -> Binance:
    """Return the source, after requesting Binance's list of instruments."""
    return Binance(settings.url, symbols, name, names_of(binance.SOURCE, settings.info_url))


FEED = Feed(
    name="binance",
    about="Binance's spot trades and quotes (bookTicker). A symbol is written as BTCUSDT or BTC-USDT.",
    connect=connect,
    settings=BinanceSettings,
)
