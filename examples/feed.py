"""A live feed through a WebSocket: Coinbase's trades.

Run it: tickertape --agents examples feed mycoinbase BTC-USD ETH-USD
TICKERTAPE_MYCOINBASE_URL sets another URL.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from tickertape import Event, Feed, Other, Source, Trade


class Match(Struct):
    """A message of the channel ``matches``; ``side`` is the side of the maker, whose order was in the book."""

    type: str
    trade_id: int = 0
    product_id: str = ""
    price: str = ""
    size: str = ""
    side: str = ""
    time: datetime | None = None


decode = msgspec.json.Decoder(Match).decode


class Coinbase(Source):
    """Coinbase's trades of some products."""

    setting = "TICKERTAPE_MYCOINBASE_URL"
    kinds = (Trade,)
    contiguous = (Trade,)  # trade_id counts up by one within a product

    def __init__(self, url: str, symbols: Sequence[str], name: str) -> None:
        self.name, self.symbols, self._url = name, symbols, url
        self.hello = [
            msgspec.json.encode({"type": "subscribe", "product_ids": list(symbols), "channels": ["matches"]}).decode()
        ]

    def urls(self, position: int) -> Sequence[str]:  # noqa: ARG002 - Coinbase can't resume from a position
        return [self._url]

    def normalise(self, frame: bytes, received_ms: int) -> Event | Other:
        match = decode(frame)
        if match.type != "match" or match.time is None:
            return Other(match.type)
        return Trade(
            symbol=match.product_id,
            source=self.name,
            id=match.trade_id,
            time_ms=int(match.time.timestamp() * 1000),
            price=float(match.price),
            quantity=float(match.size),
            side="buy" if match.side == "sell" else "sell",
            received_ms=received_ms,
        )


class CoinbaseSettings(Struct, frozen=True):
    """The settings of the feed.

    Attributes
    ----------
    url
        The URL of the WebSocket.
    """

    url: str = "wss://ws-feed.exchange.coinbase.com"


FEED = Feed(
    name="mycoinbase",
    about="Coinbase's trades, live.",
    connect=lambda settings, symbols, name: Coinbase(settings.url, symbols, name),
    settings=CoinbaseSettings,
)
