"""Coinbase Advanced's messages, written by hand from its documents, and what they tell of."""

import json
from typing import Any, Literal

import pytest

from tests.feeds.exchanges.playing import play
from tests.feeds.exchanges.table import Table
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.stream import Answer
from tickertape.stream.feeds.exchanges.coinbase_advanced import CoinbaseAdvanced, CoinbaseAdvancedSettings

NAMES = Table({"BTC-USD": "BTC-USD", "ETH-USD": "ETH-USD"})
RECEIVED_MS = 1_700_000_000_500
TRADES = (
    b'{"channel":"market_trades","client_id":"","timestamp":"2023-11-14T22:13:20.39625135Z","sequence_num":3,'
    b'"events":[{"type":"update","trades":[{"trade_id":"778","product_id":"ETH-USD","price":"1260.01","size":"0.3",'
    b'"side":"BUY","time":"2023-11-14T22:13:20.265001Z"},{"trade_id":"777","product_id":"ETH-USD","price":"1260.00",'
    b'"size":"0.5","side":"SELL","time":"2023-11-14T22:13:20.264Z"}]}]}'
)
TICKER = (
    b'{"channel":"ticker","client_id":"","timestamp":"2023-11-14T22:13:20.306322123Z","sequence_num":1,"events":'
    b'[{"type":"snapshot","tickers":[{"type":"ticker","product_id":"BTC-USD","price":"21932.98","best_bid":"21931.98",'
    b'"best_bid_quantity":"8000.21","best_ask":"21933.98","best_ask_quantity":"8038.07770938"}]}]}'
)
BOOK = (
    b'{"channel":"l2_data","client_id":"","timestamp":"2023-11-14T22:13:20.032434Z","sequence_num":12,"events":'
    b'[{"type":"snapshot","product_id":"BTC-USD","updates":[{"side":"bid","event_time":"1970-01-01T00:00:00Z",'
    b'"price_level":"21921.73","new_quantity":"0.06317902"},{"side":"offer","event_time":"1970-01-01T00:00:00Z",'
    b'"price_level":"21921.74","new_quantity":"0.0000000000"}]}]}'
)


def advanced(
    url: str = "wss://x", channels: str = "trades quotes", side_of: Literal["maker", "taker"] = "maker"
) -> CoinbaseAdvanced:
    settings = CoinbaseAdvancedSettings(url=url, channels=channels, side_of=side_of)
    return CoinbaseAdvanced(settings, ("BTC-USD", "ETH-USD"), NAMES, "coinbaseadvanced")


def normalise(message: bytes) -> Any:
    return advanced().normalise(message, RECEIVED_MS)


def test_trades_come_newest_first_and_say_the_makers_side() -> None:
    older = Trade(
        symbol="ETH-USD",
        source="coinbaseadvanced",
        id=777,
        time_ms=1_700_000_000_264,
        price=1260.0,
        quantity=0.5,
        side="buy",
        received_ms=RECEIVED_MS,
    )
    newer = Trade(
        symbol="ETH-USD",
        source="coinbaseadvanced",
        id=778,
        time_ms=1_700_000_000_265,
        price=1260.01,
        quantity=0.3,
        side="sell",
        received_ms=RECEIVED_MS,
    )
    assert normalise(TRADES) == [older, newer]
    found = advanced(side_of="taker").normalise(TRADES, RECEIVED_MS)
    assert isinstance(found, list)
    assert [event.side for event in found if isinstance(event, Trade)] == ["sell", "buy"]


def test_a_ticker_is_a_quote_with_its_time_as_number() -> None:
    assert normalise(TICKER) == [
        Quote(
            symbol="BTC-USD",
            source="coinbaseadvanced",
            id=1_700_000_000_306_322,
            time_ms=1_700_000_000_306,
            bid=21931.98,
            bid_quantity=8000.21,
            ask=21933.98,
            ask_quantity=8038.07770938,
            received_ms=RECEIVED_MS,
        )
    ]
    assert normalise(TICKER.replace(b'"21931.98"', b'"0"')) == Other("ticker")


def test_a_book_has_the_number_of_its_message() -> None:
    snapshot = Change(
        symbol="BTC-USD",
        source="coinbaseadvanced",
        time_ms=1_700_000_000_032,
        received_ms=RECEIVED_MS,
        is_snapshot=True,
        bids=[("21921.73", "0.06317902")],
        asks=[("21921.74", "0.0000000000")],
        last=12,
    )
    assert normalise(BOOK) == [snapshot]
    (update,) = normalise(BOOK.replace(b'"snapshot"', b'"update"'))
    assert not update.is_snapshot


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (
            b'{"channel":"heartbeats","client_id":"","timestamp":"2023-06-23T20:31:26Z","sequence_num":0,"events":[]}',
            "heartbeats",
        ),
        (b'{"channel":"subscriptions","sequence_num":0,"events":[]}', "subscriptions"),
        (b'{"type":"error","message":"authentication failure"}', "error"),
        (b'{"channel":"candles","events":[]}', "candles"),
        (b'{"channel":"market_trades","events":[]}', "market_trades"),
    ],
)
def test_other_messages_are_named_by_their_channel(message: bytes, kind: str) -> None:
    assert normalise(message) == Other(kind)


@pytest.mark.parametrize(
    ("message", "was", "is_"),
    [
        (TRADES, b'"0.3"', b'"-0.3"'),
        (TRADES, b'"778"', b'"7.78"'),
        (TRADES, b'"BUY"', b'"UNKNOWN_ORDER_SIDE"'),
        (TRADES, b"2023-11-14T22:13:20.264Z", b"0001-01-01T00:00:00Z"),
        (TICKER, b'"8000.21"', b'"-8000.21"'),
        (TICKER, b"2023-11-14T22:13:20.306322123Z", b"1970-01-01T00:00:00Z"),
        (BOOK, b'"0.06317902"', b'"0.-06317902"'),
        (BOOK, b'"sequence_num":12', b'"sequence_num":-12'),
        (BOOK, b'"offer"', b'"ask"'),
    ],
)
def test_what_is_no_event_is_refused(message: bytes, was: bytes, is_: bytes) -> None:
    assert was in message
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says of it
        normalise(message.replace(was, is_))


def test_a_message_asks_for_one_channel() -> None:
    source = advanced(channels="trades books")
    both = ["BTC-USD", "ETH-USD"]
    assert list(map(json.loads, source.subscribe(source.streams(0)))) == [
        {"type": "subscribe", "product_ids": both, "channel": "market_trades"},
        {"type": "subscribe", "product_ids": both, "channel": "level2"},
    ]
    assert list(map(json.loads, source.hello)) == [{"type": "subscribe", "channel": "heartbeats"}]


def test_an_answer_lists_what_is_subscribed() -> None:
    source = advanced()
    confirmed = (
        b'{"channel":"subscriptions","client_id":"","timestamp":"2023-11-14T22:13:20.1Z","sequence_num":1,"events":'
        b'[{"subscriptions":{"market_trades":["BTC-USD","ETH-USD"],"ticker":["BTC-USD"]}}]}'
    )
    assert source.answer(confirmed) == Answer(
        confirmed=(("market_trades", "BTC-USD"), ("market_trades", "ETH-USD"), ("ticker", "BTC-USD"))
    )
    refused = b'{"type":"error","message":"ETH-USD is not a valid product"}'
    assert source.answer(refused) == Answer(refused=(("", "ETH-USD"),), why="ETH-USD is not a valid product")
    assert source.answer(TRADES) is None


def test_it_hears_an_exchange() -> None:
    def answers(request: Any) -> list[str]:
        if request["channel"] == "heartbeats":
            return []
        event = {"subscriptions": {request["channel"]: request["product_ids"]}}
        return [json.dumps({"channel": "subscriptions", "events": [event]})]

    requests, _, events = play(advanced, answers, [TRADES.decode(), TICKER.decode()], requests=3, events=3)
    assert [each["channel"] for each in requests] == ["heartbeats", "market_trades", "ticker"]
    assert [(type(event), event.id) for event in events] == [
        (Trade, 777),
        (Trade, 778),
        (Quote, 1_700_000_000_306_322),
    ]
