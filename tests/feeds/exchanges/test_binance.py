"""Binance's messages, written by hand from its documents, and the trades and quotes that they tell of."""

from collections.abc import Sequence
from typing import Any

import pytest

from tickertape.schemas.book import Depth
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.errors import ConfigError
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.names import Names
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.exchanges.binance import FORMAT, Binance, BinanceSettings
from tickertape.stream.feeds.instruments.names import RecordedNames, names_of

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


AGGREGATE = (
    b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1723161255344,"s":"BTCUSDT","a":3100000000,'
    b'"p":"61837.63000000","q":"0.50000000","f":3735683260,"l":3735683262,"T":1723161255342,"m":false,"M":true}}'
)
DEPTH = (
    b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255443,"s":"BTCUSDT","U":157,"u":160,'
    b'"b":[["61837.63000000","3.78826000"]],"a":[["61837.64000000","0.00000000"]]}}'
)


def binance(
    symbols: Sequence[str] = (),
    channels: str = "trades quotes",
    url: str = "wss://example/stream",
    names: Names | None = None,
) -> Binance:
    return Binance(BinanceSettings(url=url, channels=channels), symbols, names or RecordedNames("binance"), "binance")


def normalise(message: bytes, received_ms: int) -> Any:
    return binance().normalise(message, received_ms)


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


def test_an_aggregate_has_the_numbers_of_its_first_and_last_trade() -> None:
    assert normalise(AGGREGATE, 1723161255400) == Trade(
        symbol="BTC-USDT",
        source="binance",
        id=3735683260,
        last_id=3735683262,
        time_ms=1723161255342,
        price=61837.63,
        quantity=0.5,
        side="buy",
        received_ms=1723161255400,
    )
    single = normalise(AGGREGATE.replace(b'"l":3735683262', b'"l":3735683260'), 1723161255400)
    assert (single.id, single.last_id) == (3735683260, None)


def test_a_change_of_a_book_has_its_numbers_and_the_digits_as_sent() -> None:
    assert normalise(DEPTH, 1723161255500) == Change(
        symbol="BTC-USDT",
        source="binance",
        time_ms=1723161255443,
        received_ms=1723161255500,
        is_snapshot=False,
        bids=[("61837.63000000", "3.78826000")],
        asks=[("61837.64000000", "0.00000000")],
        first=157,
        last=160,
    )


@pytest.mark.parametrize("message", [SOLD, AGGREGATE, DEPTH])
def test_times_may_be_microseconds(message: bytes) -> None:
    for time in (b"1723161255342", b"1723161255343", b"1723161255344", b"1723161255443"):
        message = message.replace(time, time + b"987")
    assert normalise(message, 1723161255500).time_ms in (1723161255342, 1723161255443)


def test_a_recorded_line_begins_with_its_receipt() -> None:
    assert FORMAT.parse is not None
    assert FORMAT.parse(b"1723161254087123456 " + SOLD) == [normalise(SOLD, 1723161254087)]
    assert FORMAT.parse(b"1723161254087123456 " + DEPTH) == Other("book")


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
        (b'{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1723161255343,"s":"BTCUSDT","k":{}}}', "kline_1m"),
        (b'{"stream":"btcusdt@blockTrade","data":{"e":"blockTrade","s":"BTCUSDT","t":1}}', "blockTrade"),
        # Nothing is bid.
        (QUOTED.replace(b'"25.35190000"', b'"0.00000000"').replace(b'"31.21000000"', b'"0.00000000"'), "empty book"),
        (QUOTED.replace(b'"40.66000000"', b'"0.00000000"'), "empty book"),
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
        SOLD.replace(b'"T":1723161255342', b'"T":1723161255342000000'),
        # Between the last ms and the first µs.
        SOLD.replace(b'"T":1723161255342', b'"T":5000000000000'),
        SOLD.replace(b'"0.02000000"', b'"0.-10000"'),
        AGGREGATE.replace(b'"f":3735683260', b'"f":-1'),
        AGGREGATE.replace(b'"f":3735683260', b'"f":3735683263'),
        DEPTH.replace(b'"3.78826000"', b'"-3.78826000"'),
        DEPTH.replace(b'"61837.63000000"', b'"0.00000000"'),
        DEPTH.replace(b'"61837.63000000"', b'"1e5"'),
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


def test_trades_and_quotes_of_each_symbol_are_asked_for_in_the_address() -> None:
    source = binance(["BTCUSDT", "eth-usdt", "BTC-USDT"])
    assert source.urls(0) == [
        "wss://example/stream?streams=btcusdt@trade/btcusdt@bookTicker/ethusdt@trade/ethusdt@bookTicker"
    ]
    assert source.hello == ()
    assert source.subscribe(source.streams(0)) == ()


def test_other_channels_are_asked_for_by_the_setting() -> None:
    source = binance(["BTCUSDT"], "aggregates, books")
    assert source.urls(0) == ["wss://example/stream?streams=btcusdt@aggTrade/btcusdt@depth@100ms"]
    # Of books come their depth, and quotes where no channel has them.
    assert source.kinds == (Trade, Depth, Quote)
    with pytest.raises(ConfigError, match="a source has trades or aggregates"):
        binance(["BTCUSDT"], "trades aggregates")


def test_many_symbols_are_several_lines_of_addresses_that_pass_everywhere() -> None:
    names = [f"{number:04}USDT" for number in range(450)]
    urls = binance(names, url="wss://example/stream?timeUnit=MILLISECOND").urls(0)
    streams = [url.removeprefix("wss://example/stream?timeUnit=MILLISECOND&streams=").split("/") for url in urls]
    # Binance's limit is 1,024 a connection.
    assert [len(some) for some in streams] == [200, 200, 200, 200, 100]
    assert max(map(len, urls)) < 8000
    assert [stream for some in streams for stream in some][:3] == [
        "0000usdt@trade",
        "0000usdt@bookTicker",
        "0001usdt@trade",
    ]


@pytest.mark.parametrize(
    ("symbol", "why"),
    [
        ("BTC/USDT", "did you mean BTC-USDT"),
        ("WHATISIT", "symbol 'WHATISIT' doesn't end in a known quote asset"),
    ],
)
def test_a_symbol_that_cannot_be_one_is_one_line(symbol: str, why: str) -> None:
    with pytest.raises(ConfigError) as told:
        binance(["BTCUSDT", symbol], names=names_of("binance", ""))
    assert str(told.value).startswith(f"binance: no instrument {symbol!r} in the built-in list of its main pairs; ")
    assert why in str(told.value)
    assert "\n" not in str(told.value)
