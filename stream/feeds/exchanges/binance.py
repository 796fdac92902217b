"""Binance: messages of a combined stream, decoded into a `Trade` or a `Quote`."""

import math
from collections.abc import Callable

import msgspec
from msgspec import Struct

from tickertape.schemas.events import Event
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.define.format import Format
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.units import convert
from tickertape.stream.feeds.instruments.names import RecordedPairs

SOURCE = "binance"
_RECORDED = RecordedPairs()


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


class _BookTicker(Struct):
    s: str
    u: int
    b: str
    B: str
    a: str
    A: str


_open = msgspec.json.Decoder(_Envelope).decode
_trade = msgspec.json.Decoder(_Trade).decode
_book_ticker = msgspec.json.Decoder(_BookTicker).decode


def normalise(message: bytes, received_ms: int, named: Callable[[str], str] = _RECORDED.ours) -> Trade | Quote | Other:
    """Decode a message of a combined stream (``{"stream": …, "data": …}``).

    Parameters
    ----------
    message
        The message as received.
    received_ms
        Its receipt by the feed's clock, ms. A ``bookTicker`` has no time of its own, so this is its event time too.
    named
        Returns our symbol for Binance's: ``BTC-USDT`` for ``BTCUSDT``.

    Raises
    ------
    ValueError
        It is not JSON, or not a valid trade or quote.
    """
    envelope = _open(message)
    kind = envelope.stream.partition("@")[2].partition("@")[0]
    if kind == "trade":
        return _as_trade(_trade(envelope.data), received_ms, named)
    if kind == "bookTicker":
        return _as_quote(_book_ticker(envelope.data), received_ms, named)
    return Other(kind or "unnamed")


def _as_trade(raw: _Trade, received_ms: int, named: Callable[[str], str]) -> Trade:
    price, quantity = float(raw.p), float(raw.q)
    if not (0 < price < math.inf and 0 < quantity < math.inf):
        raise ValueError(f"trade {raw.t} of {raw.s}: price {raw.p} and quantity {raw.q} must be finite and above zero")
    fields = {
        "symbol": named(raw.s),
        "source": SOURCE,
        "id": raw.t,
        "time_ms": raw.T,
        "price": price,
        "quantity": quantity,
        # If the buyer was the maker, the taker sold.
        "side": "sell" if raw.m else "buy",
        "received_ms": received_ms,
    }
    return convert(fields, Trade)


def _as_quote(raw: _BookTicker, received_ms: int, named: Callable[[str], str]) -> Quote:
    numbers = bid, bid_quantity, ask, ask_quantity = float(raw.b), float(raw.B), float(raw.a), float(raw.A)
    if not all(0 < number < math.inf for number in numbers):
        raise ValueError(
            f"quote {raw.u} of {raw.s}: {raw.B} bid at {raw.b} and {raw.A} asked at {raw.a} "
            "must be finite and above zero"
        )
    fields = {
        "symbol": named(raw.s),
        "source": SOURCE,
        # The number of the book's last update: it rises, with gaps.
        "id": raw.u,
        "time_ms": received_ms,
        "bid": bid,
        "bid_quantity": bid_quantity,
        "ask": ask,
        "ask_quantity": ask_quantity,
        "received_ms": received_ms,
    }
    return convert(fields, Quote)


def _recorded(line: bytes) -> Event | Other:
    stamp, _, message = line.partition(b" ")
    return normalise(message, int(stamp) // 1_000_000)


#: Lines of ``<ns received> <message of a combined stream>``.
FORMAT = Format("binance", _recorded, (Trade, Quote))
