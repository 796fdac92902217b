"""Binance live: trades and quotes of some symbols, over combined streams."""

from collections.abc import Sequence
from urllib.parse import quote

from msgspec import Struct

from tickertape.schemas.events import Event
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.errors import ConfigError
from tickertape.stream.feeds.define.feed import Feed
from tickertape.stream.feeds.define.other import Other, renamed
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.sources import binance
from tickertape.stream.feeds.sources.pairs import ask, pair

# A connection may have 1,024, but subscribing takes messages, of which five a second may be sent; in the address it
# takes none, and so many make an address of 4 KB, which every server on the way puts up with.
STREAMS_A_LINE = 200
STREAMS = ("trade", "bookTicker")


class Binance(Source):
    """Trades and quotes of symbols of Binance's spot market.

    Parameters
    ----------
    url
        Of combined streams, without what is asked for.
    symbols
        As Binance names them or as we do: ``BTCUSDT``, ``btcusdt``, ``BTC-USDT``.
    name
        The source's, in each record.

    Raises
    ------
    ConfigError
        A symbol can't be one.
    """

    setting = "TICKERTAPE_BINANCE_URL"
    kinds = (Trade, Quote)
    contiguous = (Trade,)
    rising = (Quote,)

    def __init__(self, url: str, symbols: Sequence[str], name: str = binance.SOURCE) -> None:
        self.name = name
        names = dict.fromkeys(map(_named, symbols))
        self.symbols = [pair(name) for name in names]
        streams = [f"{quote(name.lower())}@{stream}" for name in names for stream in STREAMS]
        groups = [streams[first : first + STREAMS_A_LINE] for first in range(0, len(streams), STREAMS_A_LINE)]
        join = "&" if "?" in url else "?"
        self._urls = [f"{url}{join}streams={'/'.join(group)}" for group in groups]

    def urls(self, position: int) -> Sequence[str]:  # noqa: ARG002 - it goes on from now, always
        return self._urls

    def normalise(self, frame: bytes, received_ms: int) -> Event | Other:
        return renamed(binance.normalise(frame, received_ms), self.name)

    def leaves(self, frame: bytes) -> bool:
        # In an envelope or not: the documentation shows both.
        return b'"serverShutdown"' in frame


def _named(symbol: str) -> str:
    """Return a symbol as Binance names it, ``BTCUSDT``."""
    name = symbol.replace("-", "").upper()
    try:
        pair(name)
    except ValueError as error:
        raise ConfigError(f"{error}: name it as BTCUSDT or BTC-USDT") from None
    return name


class BinanceSettings(Struct, frozen=True):
    """What can be set of the feed.

    Attributes
    ----------
    url
        Of combined streams: where it connects to.
    info_url
        Where Binance's list of symbols is, which says what its pairs are made of; it is kept for a day. Empty: nowhere.
    """

    url: str = "wss://stream.binance.com:9443/stream"
    info_url: str = "https://api.binance.com/api/v3/exchangeInfo"


def connect(settings: BinanceSettings, symbols: Sequence[str], name: str) -> Binance:
    """Return the source, once Binance has been asked for its list of symbols."""
    ask(settings.info_url)
    return Binance(settings.url, symbols, name)


FEED = Feed(
    name="binance",
    about="Binance's spot trades and quotes (bookTicker). A symbol is named as there or as here: BTCUSDT, BTC-USDT.",
    connect=connect,
    settings=BinanceSettings,
)
