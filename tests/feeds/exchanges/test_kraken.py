"""Kraken's messages, written by hand from its documents (v2), and what they tell of."""

import json
from typing import Any

import pytest

from tests.feeds.exchanges.playing import play
from tests.feeds.exchanges.table import Table
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.stream import Answer
from tickertape.stream.feeds.exchanges.kraken import Kraken, KrakenSettings

NAMES = Table({"BTC/USD": "BTC-USD", "MATIC/USD": "MATIC-USD"})
RECEIVED_MS = 1_700_000_000_500
TRADES = (
    b'{"channel":"trade","type":"update","data":[{"symbol":"MATIC/USD","side":"sell","price":0.5117,"qty":40.0,'
    b'"ord_type":"market","trade_id":4665906,"timestamp":"2023-11-14T22:13:20.019491Z"},{"symbol":"BTC/USD",'
    b'"side":"buy","price":63310.25,"qty":0.00000001,"ord_type":"limit","trade_id":4665907,'
    b'"timestamp":"2023-11-14T22:13:20.020999Z"}]}'
)
TICKER = (
    b'{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":63310.2,"bid_qty":740.0,"ask":63310.3,'
    b'"ask_qty":1.5,"last":63310.2,"volume":997.1,"vwap":0.1,"low":0.1,"high":0.1,"change":0.0,"change_pct":0.0,'
    b'"timestamp":"2023-11-14T22:13:20.123456Z"}]}'
)
BOOK = (
    b'{"channel":"book","type":"update","data":[{"symbol":"MATIC/USD","bids":[{"price":0.5657,"qty":1098.3947558}],'
    b'"asks":[{"price":0.5658,"qty":0.0280},{"price":4207.74770000,"qty":0.00000000}],"checksum":2114181697,'
    b'"timestamp":"2023-11-14T22:13:20.440295Z"}]}'
)


def kraken(url: str = "wss://x", channels: str = "trades quotes", depth: int = 100) -> Kraken:
    settings = KrakenSettings(url=url, channels=channels, depth=depth)
    return Kraken(settings, ("BTC-USD", "MATIC-USD"), NAMES, "kraken")


def normalise(message: bytes) -> Any:
    return kraken().normalise(message, RECEIVED_MS)


def test_the_side_of_a_trade_is_the_takers() -> None:
    sold, bought = normalise(TRADES)
    assert sold == Trade(
        symbol="MATIC-USD",
        source="kraken",
        id=4665906,
        time_ms=1_700_000_000_019,
        price=0.5117,
        quantity=40.0,
        side="sell",
        received_ms=RECEIVED_MS,
    )
    assert (bought.symbol, bought.side, bought.quantity, bought.time_ms) == ("BTC-USD", "buy", 1e-8, 1_700_000_000_020)


def test_a_ticker_is_a_quote_with_its_time_as_number() -> None:
    assert normalise(TICKER) == [
        Quote(
            symbol="BTC-USD",
            source="kraken",
            id=1_700_000_000_123_456,
            time_ms=1_700_000_000_123,
            bid=63310.2,
            bid_quantity=740.0,
            ask=63310.3,
            ask_quantity=1.5,
            received_ms=RECEIVED_MS,
        )
    ]


def test_a_symbol_without_a_market_has_no_quote() -> None:
    nothing = TICKER.replace(b"63310.2,", b"0.0,").replace(b"63310.3", b"0.0").replace(b"740.0", b"0.0")
    nothing = nothing.replace(b"2023-11-14T22:13:20.123456Z", b"1970-01-01T00:00:00.000000Z")
    assert normalise(nothing) == Other("empty book")
    assert normalise(TICKER.replace(b"740.0", b"0.0")) == Other("empty book")


def test_a_book_has_the_digits_as_sent_and_a_checksum() -> None:
    update = Change(
        symbol="MATIC-USD",
        source="kraken",
        time_ms=1_700_000_000_440,
        received_ms=RECEIVED_MS,
        is_snapshot=False,
        bids=[("0.5657", "1098.3947558")],
        asks=[("0.5658", "0.0280"), ("4207.74770000", "0.00000000")],
        checksum=2114181697,
    )
    assert normalise(BOOK) == [update]
    (snapshot,) = normalise(
        BOOK.replace(b'"update"', b'"snapshot"').replace(b',"timestamp":"2023-11-14T22:13:20.440295Z"', b"")
    )
    assert (snapshot.is_snapshot, snapshot.time_ms, snapshot.checksum) == (True, RECEIVED_MS, 2114181697)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (b'{"channel":"heartbeat"}', "heartbeat"),
        (
            b'{"channel":"status","type":"update","data":[{"system":"online","connection_id":12393906104898154338}]}',
            "status",
        ),
        (b'{"method":"pong","req_id":101,"time_in":"2023-09-24T14:10:23.799685Z"}', "pong"),
        (b"{}", "unnamed"),
        (b'{"channel":7}', "unnamed"),
    ],
)
def test_other_messages_are_named_by_their_channel(message: bytes, kind: str) -> None:
    assert normalise(message) == Other(kind)


@pytest.mark.parametrize(
    ("message", "was", "is_"),
    [
        (TRADES, b"40.0", b"-40.0"),
        (TRADES, b"40.0", b"1e999"),
        (TRADES, b"40.0", b'"forty"'),
        (TRADES, b"4665906", b"46659.06"),
        (TRADES, b"MATIC/USD", b"XBT/USD"),
        (TRADES, b"2023-11-14T22:13:20.019491Z", b"0001-01-01T00:00:00Z"),
        (TICKER, b"740.0", b"-740.0"),
        (TICKER, b"2023-11-14T22:13:20.123456Z", b"1970-01-01T00:00:00.000000Z"),
        (BOOK, b"0.0280", b"-0.0280"),
        (BOOK, b"0.0280", b'"0.0280"'),
        (BOOK, b"0.0280", b"1e-8"),
        (BOOK, b"0.0280", b"{}"),
        (BOOK, b"0.0280", b"0." + b"1" * 1_000_000),
        (BOOK, b"0.5658", b"0.0000"),
        (BOOK, b"2114181697", b"4294967296"),
        (BOOK, b'"update"', b'"other"'),
    ],
)
def test_what_is_no_event_is_refused(message: bytes, was: bytes, is_: bytes) -> None:
    assert was in message
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says of it
        normalise(message.replace(was, is_))


def test_it_asks_for_each_channel_by_itself() -> None:
    source = kraken(channels="trades quotes books", depth=25)
    symbols = ["BTC/USD", "MATIC/USD"]
    assert list(map(json.loads, source.subscribe(source.streams(0)))) == [
        {"method": "subscribe", "params": {"channel": "trade", "symbol": symbols, "snapshot": False}, "req_id": 0},
        {
            "method": "subscribe",
            "params": {"channel": "ticker", "symbol": symbols, "event_trigger": "bbo"},
            "req_id": 1,
        },
        {"method": "subscribe", "params": {"channel": "book", "symbol": symbols, "depth": 25}, "req_id": 2},
    ]
    (ended,) = source.unsubscribe(source.streams(0)[:1])
    assert json.loads(ended)["method"] == "unsubscribe"


def test_there_is_an_answer_for_each_symbol() -> None:
    source = kraken()
    confirmed = (
        b'{"method":"subscribe","req_id":0,"result":{"channel":"trade","snapshot":true,"symbol":"MATIC/USD"},'
        b'"success":true,"time_in":"2023-09-25T09:21:10.428340Z","time_out":"2023-09-25T09:21:10.428375Z"}'
    )
    assert source.answer(confirmed) == Answer(confirmed=(("trade", "MATIC/USD"),))
    refused = (
        b'{"error":"Currency pair not supported FOO/USD","method":"subscribe","req_id":1,"success":false,'
        b'"symbol":"FOO/USD","time_in":"2023-09-25T09:21:10.428340Z","time_out":"2023-09-25T09:21:10.428375Z"}'
    )
    assert source.answer(refused) == Answer(refused=(("ticker", "FOO/USD"),), why="Currency pair not supported FOO/USD")
    assert source.answer(refused.replace(b'"req_id":1,', b"")) == Answer(
        refused=(("", "FOO/USD"),), why="Currency pair not supported FOO/USD"
    )
    assert source.answer(b'{"method":"pong"}') is None
    assert source.answer(TRADES) is None


def test_it_hears_an_exchange() -> None:
    def answers(request: Any) -> list[str]:
        return [
            json.dumps(
                {
                    "method": "subscribe",
                    "req_id": request["req_id"],
                    "result": {"channel": request["params"]["channel"], "symbol": symbol},
                    "success": True,
                }
            )
            for symbol in request["params"]["symbol"]
        ]

    messages = [TRADES.decode(), '{"channel":"heartbeat"}', TICKER.decode()]
    requests, _, events = play(kraken, answers, messages, requests=2, events=3)
    assert [each["params"]["channel"] for each in requests] == ["trade", "ticker"]
    assert [(type(event), event.id) for event in events] == [
        (Trade, 4665906),
        (Trade, 4665907),
        (Quote, 1_700_000_000_123_456),
    ]
