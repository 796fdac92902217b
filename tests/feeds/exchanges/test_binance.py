"""Binance's messages, written by hand from its documents, and the trades and quotes that they tell of."""

import pytest

from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.exchanges.binance import normalise

SOLD = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,'
    b'"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}'
)
BOUGHT = (
    b'{"stream":"ethfdusd@trade","data":{"e":"trade","E":1723161255700,"s":"ETHFDUSD","t":7,'
    b'"p":"2683.80000000","q":"1.50000000","T":1723161255699,"m":false,"M":true}}'
)
QUOTED = (
    b'{"stream":"bnbusdt@bookTicker","data":{"u":400900217,"s":"BNBUSDT","b":"25.35190000","B":"31.21000000",'
    b'"a":"25.36520000","A":"40.66000000"}}'
)


def test_the_aggressor_sold_when_the_buyer_was_the_maker() -> None:
    assert normalise(SOLD, 1723161254087) == Trade(
        symbol="BTC-USDT",
        source="binance",
        id=3735683259,
        time_ms=1723161255342,
        price=61837.63,
        quantity=0.02,
        side="sell",
        received_ms=1723161254087,
    )


def test_the_aggressor_bought_when_the_buyer_was_the_taker() -> None:
    assert normalise(BOUGHT, 1723161255800) == Trade(
        symbol="ETH-FDUSD",
        source="binance",
        id=7,
        time_ms=1723161255699,
        price=2683.8,
        quantity=1.5,
        side="buy",
        received_ms=1723161255800,
    )


def test_a_quote_happened_when_it_came() -> None:
    assert normalise(QUOTED, 1723161254087) == Quote(
        symbol="BNB-USDT",
        source="binance",
        id=400900217,
        time_ms=1723161254087,
        bid=25.3519,
        bid_quantity=31.21,
        ask=25.3652,
        ask_quantity=40.66,
        received_ms=1723161254087,
    )


@pytest.mark.parametrize("ask", [b"25.35190000", b"25.00000000"])
def test_a_book_may_be_locked_or_crossed(ask: bytes) -> None:
    quote = normalise(QUOTED.replace(b"25.36520000", ask), 1723161254087)
    assert isinstance(quote, Quote)
    assert (quote.bid, quote.ask) == (25.3519, float(ask))


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","b":[],"a":[]}}', "depth"),
        (
            b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","s":"BTCUSDT","a":1,"p":"1","q":"1","T":1}}',
            "aggTrade",
        ),
        (b'{"lastUpdateId":50093239218,"bids":[["61837.63000000","3.78826000"]],"asks":[]}', "unnamed"),
        (b'{"result":null,"id":1}', "unnamed"),
    ],
)
def test_other_messages_are_named_by_their_kind(message: bytes, kind: str) -> None:
    assert normalise(message, 1) == Other(kind)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"not json",
        b"[1, 2]",
        SOLD[:-20],
        SOLD.replace(b'"t":3735683259,', b""),
        SOLD.replace(b'"t":3735683259', b'"t":-1'),
        SOLD.replace(b'"T":1723161255342', b'"T":1723161255'),
        SOLD.replace(b'"61837.63000000"', b'"much"'),
        SOLD.replace(b'"61837.63000000"', b'"0.00000000"'),
        SOLD.replace(b'"61837.63000000"', b'"NaN"'),
        SOLD.replace(b'"61837.63000000"', b'"1e999"'),
        SOLD.replace(b'"0.02000000"', b'"-0.02000000"'),
        SOLD.replace(b'"BTCUSDT"', b'"USDT"'),
        SOLD.replace(b'"BTCUSDT"', b'"BTCWHAT"'),
        QUOTED[:-20],
        QUOTED.replace(b'"u":400900217,', b""),
        QUOTED.replace(b'"u":400900217', b'"u":-1'),
        # Nothing is bid.
        QUOTED.replace(b'"25.35190000"', b'"0.00000000"').replace(b'"31.21000000"', b'"0.00000000"'),
        QUOTED.replace(b'"40.66000000"', b'"0.00000000"'),
        QUOTED.replace(b'"25.36520000"', b'"-25.36520000"'),
        QUOTED.replace(b'"25.36520000"', b'"NaN"'),
        QUOTED.replace(b'"25.36520000"', b'"1e999"'),
        QUOTED.replace(b'"25.36520000"', b'"1e19"'),
        QUOTED.replace(b'"BNBUSDT"', b'"BNBWHAT"'),
    ],
)
def test_what_is_no_trade_or_quote_though_it_says_so_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says of it
        normalise(message, 1723161254087)
