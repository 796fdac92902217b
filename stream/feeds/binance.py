"""Binance: what a message of a combined stream says, as a `Trade`."""

import math
from functools import cache

import msgspec
from msgspec import Struct

from schemas.trade import Trade

SOURCE = "binance"

# Assets that others are priced in on Binance spot, the longer first: BTCFDUSD is not in USD.
QUOTES = (
    *("FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USDP", "USDE", "USD1", "AEUR", "EURI", "BIDR", "IDRT", "BVND"),
    *("USD", "EUR", "GBP", "AUD", "JPY", "TRY", "BRL", "ARS", "MXN", "COP", "RUB", "UAH", "PLN", "CZK", "RON", "ZAR"),
    *("NGN", "IDR", "DAI", "BTC", "ETH", "BNB", "XRP", "TRX", "SOL", "DOGE", "DOT"),
)


class Other(Struct, frozen=True):
    """A message that is no trade.

    Attributes
    ----------
    kind
        The stream's type, as Binance names it: ``bookTicker``.
    """

    kind: str


class _Envelope(Struct):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()


class _Trade(Struct):
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


_open = msgspec.json.Decoder(_Envelope).decode
_decode = msgspec.json.Decoder(_Trade).decode


def normalise(message: bytes, received_ms: int) -> Trade | Other:
    """Return the trade that a message of a combined stream (``{"stream": …, "data": …}``) tells of.

    Parameters
    ----------
    message
        As it came.
    received_ms
        When it came, by the feed's clock, ms.

    Raises
    ------
    ValueError
        It is not JSON, or lacks what a trade must have.
    """
    envelope = _open(message)
    kind = envelope.stream.partition("@")[2].partition("@")[0]
    if kind != "trade":
        return Other(kind or "unnamed")
    raw = _decode(envelope.data)
    price, quantity = float(raw.p), float(raw.q)
    if not (0 < price < math.inf and 0 < quantity < math.inf):
        raise ValueError(f"trade {raw.t} of {raw.s}: price {raw.p}, quantity {raw.q}")
    fields = {
        "symbol": pair(raw.s),
        "source": SOURCE,
        "id": raw.t,
        "time_ms": raw.T,
        "price": price,
        "quantity": quantity,
        # The buyer was the maker, so the one who came to trade sold.
        "side": "sell" if raw.m else "buy",
        "received_ms": received_ms,
    }
    return msgspec.convert(fields, Trade)


@cache
def pair(symbol: str) -> str:
    """Return Binance's ``BTCUSDT`` as ``BTC-USDT``.

    Raises
    ------
    ValueError
        It ends in no known quote asset.
    """
    for quote in QUOTES:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return f"{symbol.removesuffix(quote)}-{quote}"
    raise ValueError(f"symbol {symbol!r} ends in no quote asset that is known")
