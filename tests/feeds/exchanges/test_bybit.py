"""Bybit's messages, written by hand from its documents (v5), and what they tell of."""

import json
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
from tickertape.stream.feeds.define.stream import Answer, Stream
from tickertape.stream.feeds.exchanges.bybit import Bybit, BybitSettings
from tickertape.stream.feeds.exchanges.bybit_linear import BybitLinear, BybitLinearSettings

RECEIVED_MS = 1_700_000_000_500
TRADES = (
    b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1700000000453,"data":[{"T":1700000000450,"s":"BTCUSDT",'
    b'"S":"Buy","v":"0.001","p":"16578.50","L":"PlusTick","i":"20f43950-d8dd-5b31-9112-a178eb6023af","BT":false,'
    b'"RPI":false,"seq":1783284617},{"T":1700000000451,"s":"BTCUSDT","S":"Sell","v":"2","p":"16578.00",'
    b'"i":"2290000000061666327","BT":false,"seq":1783284617}]}'
)
BEST = (
    b'{"topic":"orderbook.1.BTCUSDT","ts":1700000000304,"type":"snapshot","data":{"s":"BTCUSDT",'
    b'"b":[["16493.50","0.006"]],"a":[["16611.00","0.029"]],"u":18521288,"seq":7961638724},"cts":1700000000300}'
)
DELTA = (
    b'{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1700000000466,"data":{"s":"BTCUSDT",'
    b'"b":[["30247.20","30.028"],["30245.40","0"]],"a":[],"u":177400507,"seq":66544703342},"cts":1700000000464}'
)
TICKER = (
    b'{"topic":"tickers.BTCUSDT","type":"snapshot","data":{"symbol":"BTCUSDT","tickDirection":"PlusTick",'
    b'"lastPrice":"17216.00","markPrice":"17217.33","indexPrice":"17227.36","openInterest":"68744.761",'
    b'"openInterestValue":"1183601235.91","fundingRate":"-0.000212","nextFundingTime":"1700006400000",'
    b'"fundingIntervalHour":"8","bid1Price":"17215.50","ask1Price":"17216.00"},"cs":24987956059,"ts":1700000000272}'
)
LIQUIDATED = (
    b'{"topic":"allLiquidation.BTCUSDT","type":"snapshot","ts":1700000000304,"data":[{"T":1700000000299,'
    b'"s":"BTCUSDT","S":"Buy","v":"20000","p":"0.04499"}]}'
)


def spot(url: str = "wss://x", channels: str = "trades quotes", symbols: tuple[str, ...] = ("BTC-USDT",)) -> Bybit:
    names = Table({f"{base}USDT": f"{base}-USDT" for base in ("BTC", *map(str, range(20)))})
    return Bybit(BybitSettings(url=url, channels=channels), symbols, names, "bybit")


def linear(url: str = "wss://x", channels: str = "trades quotes perpetuals liquidations") -> BybitLinear:
    settings = BybitLinearSettings(url=url, channels=channels)
    return BybitLinear(settings, ("BTC-USDT-PERP",), Table({"BTCUSDT": "BTC-USDT-PERP"}), "bybitlinear")


def normalise(message: bytes, source: Bybit | None = None) -> Any:
    return (source or spot()).normalise(message, RECEIVED_MS)


def test_trades_have_ids_that_are_texts_and_the_takers_side() -> None:
    assert normalise(TRADES) == [
        Trade(
            symbol="BTC-USDT",
            source="bybit",
            id="20f43950-d8dd-5b31-9112-a178eb6023af",
            sequence=1783284617,
            time_ms=1_700_000_000_450,
            price=16578.5,
            quantity=0.001,
            side="buy",
            received_ms=RECEIVED_MS,
        ),
        Trade(
            symbol="BTC-USDT",
            source="bybit",
            id="2290000000061666327",
            sequence=1783284617,
            time_ms=1_700_000_000_451,
            price=16578.0,
            quantity=2.0,
            side="sell",
            received_ms=RECEIVED_MS,
        ),
    ]
    (first, _) = normalise(TRADES, linear())
    assert (first.symbol, first.source) == ("BTC-USDT-PERP", "bybitlinear")


def test_block_trades_are_not_of_the_book() -> None:
    (left,) = normalise(TRADES.replace(b'"BT":false', b'"BT":true', 1))
    assert left.id == "2290000000061666327"
    assert normalise(TRADES.replace(b'"BT":false', b'"BT":true')) == Other("block trades")


def test_the_best_level_is_a_quote_of_the_engines_time() -> None:
    assert normalise(BEST) == Quote(
        symbol="BTC-USDT",
        source="bybit",
        id=18521288,
        time_ms=1_700_000_000_300,
        bid=16493.5,
        bid_quantity=0.006,
        ask=16611.0,
        ask_quantity=0.029,
        received_ms=RECEIVED_MS,
    )
    assert normalise(BEST.replace(b',"cts":1700000000300', b"")).time_ms == 1_700_000_000_304
    assert normalise(BEST.replace(b'[["16493.50","0.006"]]', b"[]")) == Other("empty book")


def test_a_change_of_a_book_has_one_number_and_number_one_is_a_new_book() -> None:
    change = Change(
        symbol="BTC-USDT",
        source="bybit",
        time_ms=1_700_000_000_464,
        received_ms=RECEIVED_MS,
        is_snapshot=False,
        bids=[("30247.20", "30.028"), ("30245.40", "0")],
        asks=[],
        first=177400507,
        last=177400507,
    )
    assert normalise(DELTA) == change
    anew = normalise(DELTA.replace(b'"u":177400507', b'"u":1'))
    assert (anew.is_snapshot, anew.last) == (True, 1)
    assert normalise(DELTA.replace(b'"delta"', b'"snapshot"')).is_snapshot


def test_figures_of_a_perpetual_are_those_that_have_changed() -> None:
    assert normalise(TICKER, linear()) == Perpetual(
        symbol="BTC-USDT-PERP",
        source="bybitlinear",
        time_ms=1_700_000_000_272,
        mark=17217.33,
        index=17227.36,
        funding_rate=-0.000212,
        funding_interval_hours=8.0,
        next_funding_ms=1_700_006_400_000,
        open_interest=68744.761,
        open_interest_unit="base",
        received_ms=RECEIVED_MS,
    )
    delta = b'{"topic":"tickers.BTCUSDT","type":"delta","data":{"symbol":"BTCUSDT",%s},"ts":1700000000300}'
    assert normalise(delta % b'"markPrice":"17218.1","fundingRate":""', linear()) == Perpetual(
        symbol="BTC-USDT-PERP",
        source="bybitlinear",
        time_ms=1_700_000_000_300,
        mark=17218.1,
        received_ms=RECEIVED_MS,
    )
    assert normalise(delta % b'"bid1Price":"17215.50"', linear()) == Other("no figures")


def test_a_liquidation_says_the_side_of_the_position() -> None:
    assert normalise(LIQUIDATED, linear()) == [
        Liquidation(
            symbol="BTC-USDT-PERP",
            source="bybitlinear",
            time_ms=1_700_000_000_299,
            # A long was liquidated: it was sold.
            side="sell",
            quantity=20000.0,
            price=0.04499,
            price_is="bankruptcy",
            is_sample=False,
            received_ms=RECEIVED_MS,
        )
    ]


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (b'{"success":true,"ret_msg":"pong","conn_id":"0970e817","req_id":"","op":"ping"}', "pong"),
        (b'{"req_id":"","op":"pong","args":["1675418560633"],"conn_id":"cfcb4oc"}', "pong"),
        (b'{"topic":"kline.5.BTCUSDT","data":[],"ts":1700000000300,"type":"snapshot"}', "kline"),
        (b"{}", "unnamed"),
    ],
)
def test_other_messages_are_named(message: bytes, kind: str) -> None:
    assert normalise(message) == Other(kind)
    assert normalise(message, linear()) == Other(kind)


@pytest.mark.parametrize(
    ("message", "was", "is_"),
    [
        (TRADES, b'"0.001"', b'"-0.001"'),
        (TRADES, b'"0.001"', b'"nan"'),
        (TRADES, b"1700000000450", b"1700000000"),
        (TRADES, b'"Buy"', b'"buy"'),
        (TRADES, b'"i":"2290000000061666327"', b'"i":""'),
        (BEST, b'"0.006"', b'"0.-006"'),
        (BEST, b'"u":18521288', b'"u":-1'),
        (DELTA, b'"30.028"', b'"3_0"'),
        (TICKER, b'"17217.33"', b'"-1"'),
        (TICKER, b'"1700006400000"', b'"1"'),
        (LIQUIDATED, b'"20000"', b'"0"'),
        (LIQUIDATED, b"BTCUSDT", b"FOOUSDT"),
    ],
)
def test_what_is_no_event_is_refused(message: bytes, was: bytes, is_: bytes) -> None:
    assert was in message
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says of it
        normalise(message.replace(was, is_), linear())


def test_ten_topics_are_asked_for_at_a_time_and_an_answer_is_of_all_of_them() -> None:
    source = spot(symbols=tuple(f"{number}-USDT" for number in range(6)), channels="trades books")
    first, second = map(json.loads, source.subscribe(source.streams(0)))
    assert first["op"] == second["op"] == "subscribe"
    assert (len(first["args"]), len(second["args"])) == (10, 2)
    assert second["args"] == ["publicTrade.5USDT", "orderbook.50.5USDT"]
    answer = {"success": True, "ret_msg": "subscribe", "conn_id": "x", "req_id": second["req_id"], "op": "subscribe"}
    assert source.answer(json.dumps(answer).encode()) == Answer(
        confirmed=(("publicTrade", "5USDT"), ("orderbook.50", "5USDT"))
    )
    answer |= {"success": False, "ret_msg": "args size >10", "req_id": first["req_id"]}
    refused = source.answer(json.dumps(answer).encode())
    assert refused is not None
    assert (len(refused.refused), refused.why) == (10, "args size >10")


@pytest.mark.parametrize(
    "why", ["Invalid symbol :[publicTrade.5USDT]", "error:handler not found,topic:publicTrade.5USDT"]
)
def test_a_refusal_names_the_topic_that_is_wrong(why: str) -> None:
    source = spot(symbols=("4-USDT", "5-USDT"))
    said = {"success": False, "ret_msg": why, "conn_id": "x", "req_id": "", "op": "subscribe"}
    assert source.answer(json.dumps(said).encode()) == Answer(refused=(("publicTrade", "5USDT"),), why=why)


def test_a_pong_is_no_answer() -> None:
    assert spot().answer(b'{"success":true,"ret_msg":"pong","conn_id":"0970e817","req_id":"","op":"ping"}') is None
    assert spot().ping == ('{"op":"ping"}', 20.0)


def test_it_hears_an_exchange() -> None:
    def answers(request: Any) -> list[str]:
        return [json.dumps({"success": True, "ret_msg": "", "req_id": request["req_id"], "op": "subscribe"})]

    messages = [each.decode() for each in (TRADES, BEST, BEST, TICKER, LIQUIDATED)]
    requests, _, events = play(linear, answers, messages, requests=1, events=5)
    topics = ["publicTrade.BTCUSDT", "orderbook.1.BTCUSDT", "tickers.BTCUSDT", "allLiquidation.BTCUSDT"]
    assert [each["args"] for each in requests] == [topics]
    # The same state of the book, sent again, is no news.
    assert [type(event) for event in events] == [Trade, Trade, Quote, Perpetual, Liquidation]
    assert linear().streams(0)[2] == Stream(kind=Perpetual, symbol="BTC-USDT-PERP", channel="tickers", name="BTCUSDT")
