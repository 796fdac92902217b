"""Messages of Binance's USD-M futures, written by hand from its documents, and what they tell of."""

from typing import Any

import pytest

from tests.feeds.exchanges.playing import play
from tests.feeds.exchanges.table import Table
from tickertape.schemas.liquidation import Liquidation
from tickertape.schemas.perpetual import Perpetual
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.exchanges.binance_usdm import BinanceUsdm, BinanceUsdmSettings

RECEIVED_MS = 1_700_000_000_500
AGGREGATE = (
    b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1700000000123,"a":5933014,"s":"BTCUSDT","p":"36000.10",'
    b'"q":"0.500","nq":"0.400","f":100,"l":105,"T":1700000000120,"m":true,"st":1}}'
)
BEST = (
    b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":400900217,"s":"BTCUSDT","ps":"BTCUSDT","b":"36000.0",'
    b'"B":"31.21","a":"36000.1","A":"40.66","T":1700000000121,"E":1700000000122,"st":1}}'
)
DEPTH = (
    b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1700000000124,"T":1700000000123,"s":"BTCUSDT",'
    b'"U":157,"u":160,"pu":149,"b":[["36000.0","10"]],"a":[["36000.1","0"]],"st":1}}'
)
MARK = (
    b'{"stream":"btcusdt@markPrice@1s","data":{"e":"markPriceUpdate","E":1700000001000,"s":"BTCUSDT",'
    b'"p":"36001.15000000","ap":"36001.2","i":"36002.62659091","P":"36000.25641265","r":"0.00038167",'
    b'"T":1700006400000,"st":1}}'
)
FORCED = (
    b'{"stream":"btcusdt@forceOrder","data":{"e":"forceOrder","E":1700000000893,"o":{"s":"BTCUSDT","S":"SELL",'
    b'"o":"LIMIT","f":"IOC","q":"0.014","p":"35910","ap":"35950.5","X":"FILLED","l":"0.004","z":"0.014",'
    b'"T":1700000000890,"st":1}}}'
)
ALL = "trades quotes books perpetuals liquidations"


def usdm(url: str = "wss://x", channels: str = "trades quotes perpetuals liquidations") -> BinanceUsdm:
    names = Table({"BTCUSDT": "BTC-USDT-PERP"})
    return BinanceUsdm(BinanceUsdmSettings(url=url, channels=channels), ("BTC-USDT-PERP",), names, "binanceusdm")


def normalise(message: bytes) -> Any:
    return usdm().normalise(message, RECEIVED_MS)


def test_each_channel_is_asked_for_on_its_own_route() -> None:
    assert usdm(channels=ALL).urls(0) == [
        "wss://x/public/stream?streams=btcusdt@bookTicker/btcusdt@depth@100ms",
        "wss://x/market/stream?streams=btcusdt@aggTrade/btcusdt@markPrice@1s/btcusdt@forceOrder",
    ]
    assert usdm(channels="trades").urls(0) == ["wss://x/market/stream?streams=btcusdt@aggTrade"]
    assert BinanceUsdmSettings().url == "wss://fstream.binance.com"


def test_trades_are_aggregates() -> None:
    assert normalise(AGGREGATE) == Trade(
        symbol="BTC-USDT-PERP",
        source="binanceusdm",
        id=100,
        last_id=105,
        time_ms=1_700_000_000_120,
        price=36000.1,
        quantity=0.5,
        side="sell",
        received_ms=RECEIVED_MS,
    )


def test_a_quote_has_the_engines_time() -> None:
    assert normalise(BEST) == Quote(
        symbol="BTC-USDT-PERP",
        source="binanceusdm",
        id=400900217,
        time_ms=1_700_000_000_121,
        bid=36000.0,
        bid_quantity=31.21,
        ask=36000.1,
        ask_quantity=40.66,
        received_ms=RECEIVED_MS,
    )


def test_a_change_of_a_book_has_the_number_before_it() -> None:
    assert normalise(DEPTH) == Change(
        symbol="BTC-USDT-PERP",
        source="binanceusdm",
        time_ms=1_700_000_000_123,
        received_ms=RECEIVED_MS,
        is_snapshot=False,
        bids=[("36000.0", "10")],
        asks=[("36000.1", "0")],
        first=157,
        last=160,
        previous=149,
    )


def test_figures_don_t_say_the_interval_of_funding() -> None:
    mark = Perpetual(
        symbol="BTC-USDT-PERP",
        source="binanceusdm",
        time_ms=1_700_000_001_000,
        mark=36001.15,
        index=36002.62659091,
        funding_rate=0.00038167,
        next_funding_ms=1_700_006_400_000,
        received_ms=RECEIVED_MS,
    )
    assert normalise(MARK) == mark
    delivered = normalise(MARK.replace(b'"0.00038167"', b'""').replace(b"1700006400000", b"0"))
    assert (delivered.funding_rate, delivered.next_funding_ms, delivered.mark) == (None, None, 36001.15)


def test_a_liquidation_is_what_was_filled_and_a_sample() -> None:
    assert normalise(FORCED) == Liquidation(
        symbol="BTC-USDT-PERP",
        source="binanceusdm",
        time_ms=1_700_000_000_890,
        side="sell",
        quantity=0.014,
        price=35950.5,
        price_is="average",
        is_sample=True,
        received_ms=RECEIVED_MS,
    )
    unfilled = FORCED.replace(b'"z":"0.014"', b'"z":"0"').replace(b'"35950.5"', b'"0"')
    assert normalise(unfilled) == Other("forceOrder")


@pytest.mark.parametrize(
    ("message", "was", "is_"),
    [
        (AGGREGATE, b'"0.500"', b'"-0.500"'),
        (AGGREGATE, b'"l":105', b'"l":99'),
        (BEST, b"1700000000121", b"1700000000"),
        (DEPTH, b'"pu":149', b'"pu":-149'),
        (MARK, b'"36001.15000000"', b'"-1"'),
        (MARK, b'"0.00038167"', b'"nan"'),
        (MARK, b"1700006400000", b"17"),
        (FORCED, b'"SELL"', b'"NONE"'),
        # Of a contract of the other market.
        (FORCED, b"BTCUSDT", b"BTCUSD_PERP"),
    ],
)
def test_what_is_no_event_is_refused(message: bytes, was: bytes, is_: bytes) -> None:
    assert was in message
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says of it
        normalise(message.replace(was, is_))


def test_it_hears_an_exchange() -> None:
    messages = [each.decode() for each in (AGGREGATE, BEST, MARK, FORCED)]
    _, paths, events = play(usdm, lambda _: (), messages, requests=0, events=4)
    assert sorted(path.partition("?")[0] for path in paths) == ["/market/stream", "/public/stream"]
    assert [type(event) for event in events] == [Trade, Quote, Perpetual, Liquidation]
