"""OKX's messages, written by hand from its documents (v5), and what they tell of."""

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
from tickertape.stream.feeds.define.stream import Answer
from tickertape.stream.feeds.exchanges.okx import Okx, OkxSettings
from tickertape.stream.feeds.exchanges.okx_swap import OkxSwap, OkxSwapSettings

RECEIVED_MS = 1_700_000_000_500
NAMES = Table({"BTC-USDT": "BTC-USDT"})
SWAPS = Table(
    {"BTC-USDT-SWAP": "BTC-USDT-PERP", "ETH-USDT-SWAP": "ETH-USDT-PERP"},
    {"BTC-USDT-SWAP": 0.01, "ETH-USDT-SWAP": 0.1},
)


def pushed(channel: str, data: object, name: str = "BTC-USDT", **more: object) -> bytes:
    return json.dumps({"arg": {"channel": channel, "instId": name}, **more, "data": [data]}).encode()


TRADE = {"instId": "BTC-USDT", "tradeId": "130639474", "px": "42219.9", "sz": "0.12060306", "side": "buy"}
TRADE |= {"ts": "1700000000130", "source": "0"}
BEST = {"asks": [["8446", "95", "0", "3"]], "bids": [["8445.5", "12.25", "0", "1"]], "ts": "1700000000085"}
BEST |= {"seqId": 123456}
BOOK = {"asks": [["8476.98", "415", "0", "13"]], "bids": [["8476.97", "0", "0", "0"]], "ts": "1700000000086"}
BOOK |= {"checksum": 0, "prevSeqId": 123455, "seqId": 123456}


def okx(url: str = "wss://x", channels: str = "trades quotes") -> Okx:
    return Okx(OkxSettings(url=url, channels=channels), ("BTC-USDT",), NAMES, "okx")


def swap(url: str = "wss://x", channels: str = "trades quotes perpetuals liquidations") -> OkxSwap:
    settings = OkxSwapSettings(url=url, channels=channels)
    return OkxSwap(settings, ("BTC-USDT-PERP", "ETH-USDT-PERP"), SWAPS, "okxswap")


def normalise(message: bytes, source: Okx | None = None) -> Any:
    return (source or okx()).normalise(message, RECEIVED_MS)


def test_the_side_of_a_trade_is_the_takers() -> None:
    assert normalise(pushed("trades-all", TRADE)) == [
        Trade(
            symbol="BTC-USDT",
            source="okx",
            id=130639474,
            time_ms=1_700_000_000_130,
            price=42219.9,
            quantity=0.12060306,
            side="buy",
            received_ms=RECEIVED_MS,
        )
    ]


def test_an_aggregate_has_the_number_of_its_last_trade_and_a_count() -> None:
    # Recorded: 2832749635, then 2832749645 for ten trades.
    (ten,) = normalise(pushed("trades", TRADE | {"tradeId": "2832749645", "count": "10", "seqId": 7}))
    assert (ten.id, ten.last_id) == (2832749636, 2832749645)
    (one,) = normalise(pushed("trades", TRADE | {"count": "1"}))
    assert (one.id, one.last_id) == (130639474, None)


def test_quantities_of_swaps_are_contracts() -> None:
    # Recorded: 34.95 contracts of 0.01 BTC at 63,913.4 are 22,337.73 USDT.
    name = "BTC-USDT-SWAP"
    (trade,) = normalise(pushed("trades-all", TRADE | {"instId": name, "sz": "34.95", "px": "63913.4"}, name), swap())
    assert (trade.symbol, trade.source, trade.quantity) == ("BTC-USDT-PERP", "okxswap", 0.3495)
    assert trade.quantity * trade.price == pytest.approx(22337.7333)
    (quote,) = normalise(pushed("bbo-tbt", BEST, name), swap())
    assert (quote.bid_quantity, quote.ask_quantity) == (0.1225, 0.95)


def test_the_best_levels_are_a_quote() -> None:
    assert normalise(pushed("bbo-tbt", BEST)) == [
        Quote(
            symbol="BTC-USDT",
            source="okx",
            id=123456,
            time_ms=1_700_000_000_085,
            bid=8445.5,
            bid_quantity=12.25,
            ask=8446.0,
            ask_quantity=95.0,
            received_ms=RECEIVED_MS,
        )
    ]
    assert normalise(pushed("bbo-tbt", BEST | {"asks": []})) == Other("empty book")


def test_a_change_of_a_book_has_the_number_before_it() -> None:
    update = Change(
        symbol="BTC-USDT",
        source="okx",
        time_ms=1_700_000_000_086,
        received_ms=RECEIVED_MS,
        is_snapshot=False,
        bids=[("8476.97", "0")],
        asks=[("8476.98", "415")],
        last=123456,
        previous=123455,
    )
    assert normalise(pushed("books", BOOK, action="update")) == [update]
    (snapshot,) = normalise(pushed("books", BOOK | {"prevSeqId": -1, "checksum": -1404728636}, action="snapshot"))
    assert (snapshot.is_snapshot, snapshot.previous, snapshot.last) == (True, None, 123456)
    # Old recordings have one, as a signed number.
    assert snapshot.checksum == -1404728636


@pytest.mark.parametrize(
    ("channel", "name", "figures", "expected"),
    [
        ("mark-price", "BTC-USDT-SWAP", {"instType": "SWAP", "markPx": "42310.6"}, {"mark": 42310.6}),
        ("index-tickers", "BTC-USDT", {"idxPx": "42300.1", "high24h": "1"}, {"index": 42300.1}),
        (
            "open-interest",
            "BTC-USDT-SWAP",
            {"instType": "SWAP", "oi": "5000", "oiCcy": "50.5", "oiUsd": "2000000"},
            {"open_interest": 50.5, "open_interest_unit": "base"},
        ),
        (
            "funding-rate",
            "BTC-USDT-SWAP",
            {
                "fundingRate": "-0.0001875",
                "fundingTime": "1700006400000",
                "nextFundingTime": "1700020800000",
                "nextFundingRate": "",
            },
            {"funding_rate": -0.0001875, "next_funding_ms": 1_700_006_400_000, "funding_interval_hours": 4.0},
        ),
    ],
)
def test_figures_of_a_swap_come_by_channels_of_their_own(
    channel: str, name: str, figures: dict[str, str], expected: dict[str, float]
) -> None:
    message = pushed(channel, {"instId": name, "ts": "1700000000200"} | figures, name)
    common = {"symbol": "BTC-USDT-PERP", "source": "okxswap", "time_ms": 1_700_000_000_200}
    assert normalise(message, swap()) == [Perpetual(**common, received_ms=RECEIVED_MS, **expected)]  # type: ignore[arg-type]  # by their names


def test_liquidations_come_for_all_swaps_and_are_a_sample() -> None:
    detail = {"bkLoss": "0", "bkPx": "0.007831", "ccy": "", "posSide": "short", "side": "buy", "sz": "13"}
    detail |= {"ts": "1700000000010"}
    data = [
        {"details": [detail], "instFamily": "ETH-USDT", "instId": "ETH-USDT-SWAP", "instType": "SWAP"},
        {"details": [detail], "instFamily": "IOST-USDT", "instId": "IOST-USDT-SWAP", "instType": "SWAP"},
    ]
    arg = {"channel": "liquidation-orders", "instType": "SWAP"}
    assert normalise(json.dumps({"arg": arg, "data": data}).encode(), swap()) == [
        Liquidation(
            symbol="ETH-USDT-PERP",
            source="okxswap",
            time_ms=1_700_000_000_010,
            side="buy",
            quantity=1.3,
            price=0.007831,
            price_is="bankruptcy",
            is_sample=True,
            received_ms=RECEIVED_MS,
        )
    ]
    nobody = json.dumps({"arg": arg, "data": data[1:]}).encode()
    assert normalise(nobody, swap()) == Other("liquidation-orders")


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (b"pong", "pong"),
        (b'{"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a4d3ae55"}', "subscribe"),
        (
            b'{"event":"notice","code":"64008","msg":"The connection will soon be closed.","connId":"a4d3ae55"}',
            "notice",
        ),
        (
            b'{"event":"channel-conn-count","channel":"orders","connCount":"2","connId":"abcd1234"}',
            "channel-conn-count",
        ),
        (b'{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[]}', "tickers"),
        (b"{}", "unnamed"),
    ],
)
def test_other_messages_are_named(message: bytes, kind: str) -> None:
    for source in (okx(), swap()):
        assert normalise(message, source) == Other(kind)


def test_a_notice_announces_the_end_of_the_connection() -> None:
    notice = b'{"event":"notice","code":"64008","msg":"The connection will soon be closed.","connId":"a4d3ae55"}'
    assert okx().leaves(notice)
    assert not okx().leaves(pushed("trades-all", TRADE))
    assert okx().ping == ("ping", 20.0)


@pytest.mark.parametrize(
    ("channel", "data", "changes"),
    [
        ("trades-all", TRADE, {"sz": "-1"}),
        ("trades-all", TRADE, {"px": "1e400"}),
        ("trades-all", TRADE, {"tradeId": "0x10"}),
        ("trades-all", TRADE, {"ts": "1700000000"}),
        ("trades-all", TRADE, {"instId": "FOO-USDT"}),
        ("trades", TRADE, {"count": "130639476"}),
        ("trades", TRADE, {"count": "0"}),
        ("bbo-tbt", BEST, {"asks": [["8446"]]}),
        ("bbo-tbt", BEST, {"asks": [["8446", "-95", "0", "3"]]}),
        ("books", BOOK, {"bids": [["8476.97", "0.-1", "0", "0"]]}),
        ("books", BOOK, {"seqId": -5}),
    ],
)
def test_what_is_no_event_is_refused(channel: str, data: dict[str, object], changes: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says of it
        normalise(pushed(channel, data | changes, action="update"))


def test_single_trades_come_from_another_address() -> None:
    source = okx(channels="trades quotes books")
    assert source.urls(0) == ["wss://x/public", "wss://x/business"]
    public, business = (source.subscribe(source.streams(line)) for line in range(2))
    assert list(map(json.loads, public)) == [
        {
            "op": "subscribe",
            "args": [{"channel": "bbo-tbt", "instId": "BTC-USDT"}, {"channel": "books", "instId": "BTC-USDT"}],
        }
    ]
    assert list(map(json.loads, business)) == [
        {"op": "subscribe", "args": [{"channel": "trades-all", "instId": "BTC-USDT"}]}
    ]
    assert okx(channels="aggregates").urls(0) == ["wss://x/public"]


def test_a_swap_s_index_and_liquidations_have_other_names() -> None:
    source = swap(channels="perpetuals liquidations")
    (asked,) = map(json.loads, source.subscribe(source.streams(0)))
    by_channel: dict[str, list[str]] = {}
    for argument in asked["args"]:
        by_channel.setdefault(argument["channel"], []).append(argument.get("instId") or argument["instType"])
    swaps = ["BTC-USDT-SWAP", "ETH-USDT-SWAP"]
    assert by_channel == {
        "mark-price": swaps,
        "funding-rate": swaps,
        "open-interest": swaps,
        "index-tickers": ["BTC-USDT", "ETH-USDT"],
        "liquidation-orders": ["SWAP"],
    }


def test_there_is_an_answer_for_each_channel_and_a_refusal_in_words() -> None:
    source = okx()
    confirmed = b'{"event":"subscribe","arg":{"channel":"trades-all","instId":"BTC-USDT"},"connId":"a4d3ae55"}'
    assert source.answer(confirmed) == Answer(confirmed=(("trades-all", "BTC-USDT"),))
    all_ = b'{"event":"subscribe","arg":{"channel":"liquidation-orders","instType":"SWAP"},"connId":"a4d3ae55"}'
    assert source.answer(all_) == Answer(confirmed=(("liquidation-orders", ""),))
    why = "Wrong URL or channel:trades-all,instId:FOO-USDT doesn't exist. Please use the correct URL."
    refused = json.dumps({"event": "error", "code": "60018", "msg": why, "connId": "a4d3ae55"}).encode()
    assert source.answer(refused) == Answer(refused=(("trades-all", "FOO-USDT"),), why=f"60018 {why}")
    other = b'{"event":"error","code":"60012","msg":"Invalid request","connId":"a4d3ae55"}'
    assert source.answer(other) == Answer(why="60012 Invalid request")
    assert source.answer(pushed("trades-all", TRADE)) is None
    assert source.answer(b"pong") is None


def test_it_hears_an_exchange_on_two_connections() -> None:
    def answers(request: Any) -> list[str]:
        return [json.dumps({"event": "subscribe", "arg": argument, "connId": "a"}) for argument in request["args"]]

    messages = [pushed("trades-all", TRADE).decode(), "pong", pushed("bbo-tbt", BEST).decode()]
    requests, paths, events = play(okx, answers, messages, requests=2, events=2)
    assert sorted(paths) == ["/business", "/public"]
    assert sorted(each["args"][0]["channel"] for each in requests) == ["bbo-tbt", "trades-all"]
    assert [(type(event), event.id) for event in events] == [(Trade, 130639474), (Quote, 123456)]
