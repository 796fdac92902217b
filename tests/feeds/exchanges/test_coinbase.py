"""Coinbase Exchange's messages, written by hand from its documents, and what they tell of."""

import gzip
import json
from typing import Any

import pytest

from tests.feeds.exchanges.playing import play
from tests.feeds.exchanges.table import Table
from tests.integration import recorded
from tickertape.schemas.book import Depth
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.errors import ConfigError
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.stream import Answer
from tickertape.stream.feeds.exchanges.coinbase import Coinbase, CoinbaseSettings

NAMES = Table({"BTC-USD": "BTC-USD", "ETH-USD": "ETH-USD"})
_TRADES = ("match", "last_match")
RECEIVED_MS = 1_700_000_000_500

# The maker's order was a sell: the taker bought.
MATCH = (
    b'{"type":"match","trade_id":10,"sequence":50,"maker_order_id":"ac928c66","taker_order_id":"132fb6ae",'
    b'"time":"2023-11-14T22:13:20.027265Z","product_id":"BTC-USD","size":"5.23512","price":"400.23","side":"sell"}'
)
TICKER = (
    b'{"type":"ticker","sequence":37475248783,"product_id":"ETH-USD","price":"1285.22","open_24h":"1310.79",'
    b'"best_bid":"1285.04","best_bid_size":"0.46688654","best_ask":"1285.27","best_ask_size":"1.56637040",'
    b'"side":"buy","time":"2023-11-14T22:13:20.961769Z","trade_id":370843401,"last_size":"11.4396987"}'
)


def coinbase(
    url: str = "wss://x", channels: str = "trades quotes", symbols: tuple[str, ...] = ("BTC-USD",)
) -> Coinbase:
    return Coinbase(CoinbaseSettings(url=url, channels=channels), symbols, NAMES, "coinbase")


def normalise(message: bytes) -> Any:
    return coinbase().normalise(message, RECEIVED_MS)


def test_the_side_in_a_match_is_the_makers() -> None:
    bought = Trade(
        symbol="BTC-USD",
        source="coinbase",
        id=10,
        time_ms=1_700_000_000_027,
        price=400.23,
        quantity=5.23512,
        side="buy",
        received_ms=RECEIVED_MS,
    )
    assert normalise(MATCH) == bought
    sold = normalise(MATCH.replace(b'"side":"sell"', b'"side":"buy"'))
    assert (sold.side, sold.id) == ("sell", 10)
    # The trade before the subscription is one too.
    assert normalise(MATCH.replace(b'"match"', b'"last_match"')) == bought


def test_a_ticker_is_a_quote_of_the_products_sequence() -> None:
    assert normalise(TICKER) == Quote(
        symbol="ETH-USD",
        source="coinbase",
        id=37475248783,
        time_ms=1_700_000_000_961,
        bid=1285.04,
        bid_quantity=0.46688654,
        ask=1285.27,
        ask_quantity=1.5663704,
        received_ms=RECEIVED_MS,
    )
    first = TICKER.replace(b'"time":"2023-11-14T22:13:20.961769Z",', b"")
    assert normalise(first).time_ms == RECEIVED_MS


@pytest.mark.parametrize(
    ("was", "is_"),
    [
        (b'"best_bid":"1285.04"', b'"best_bid":"0"'),
        (b'"best_ask_size":"1.56637040"', b'"best_ask_size":"0.00000000"'),
        # Sizes came late in 2022.
        (b'"best_bid_size":"0.46688654",', b""),
    ],
)
def test_a_ticker_with_an_empty_side_is_no_quote(was: bytes, is_: bytes) -> None:
    assert normalise(TICKER.replace(was, is_)) == Other("empty book")


def test_a_book_is_a_snapshot_and_then_changes_with_the_digits_as_sent() -> None:
    snapshot = (
        b'{"type":"snapshot","product_id":"BTC-USD","bids":[["10101.10","0.45054140"]],'
        b'"asks":[["10102.55","0.57753524"]]}'
    )
    assert normalise(snapshot) == Change(
        symbol="BTC-USD",
        source="coinbase",
        time_ms=RECEIVED_MS,
        received_ms=RECEIVED_MS,
        is_snapshot=True,
        bids=[("10101.10", "0.45054140")],
        asks=[("10102.55", "0.57753524")],
    )
    update = (
        b'{"type":"l2update","product_id":"BTC-USD","time":"2023-11-14T22:13:20.267Z",'
        b'"changes":[["buy","10101.80000000","0.162567"],["sell","10102.00000000","0.00000000"]]}'
    )
    assert normalise(update) == Change(
        symbol="BTC-USD",
        source="coinbase",
        time_ms=1_700_000_000_267,
        received_ms=RECEIVED_MS,
        is_snapshot=False,
        bids=[("10101.80000000", "0.162567")],
        asks=[("10102.00000000", "0.00000000")],
    )


@pytest.mark.parametrize("kind", ["heartbeat", "subscriptions", "error", "status", "received"])
def test_other_messages_are_named_by_their_type(kind: str) -> None:
    assert normalise(json.dumps({"type": kind, "product_ids": []}).encode()) == Other(kind)


@pytest.mark.parametrize(
    ("was", "is_"),
    [
        (b'"5.23512"', b'"0.-10000"'),
        (b'"5.23512"', b'"-5.23512"'),
        (b'"5.23512"', b'"0"'),
        (b'"400.23"', b'"NaN"'),
        (b'"400.23"', b'"Infinity"'),
        (b'"400.23"', b'"' + b"9" * 10_000_000 + b'"'),
        (b'"trade_id":10', b'"trade_id":-10'),
        (b'"trade_id":10,', b""),
        (b"2023-11-14T22:13:20.027265Z", b"0001-01-01T00:00:00.000000Z"),
        (b"2023-11-14T22:13:20.027265Z", b"2023-11-14T22:13:20.027265"),
        (b"2023-11-14T22:13:20.027265Z", b"9999-12-31T23:59:59.999999Z"),
        (b'"BTC-USD"', b'"DOGE-USD"'),
        (b'"side":"sell"', b'"side":"both"'),
    ],
)
def test_what_is_no_trade_is_refused(was: bytes, is_: bytes) -> None:
    assert was in MATCH
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says of it
        normalise(MATCH.replace(was, is_))


def test_answers_confirm_each_channel_and_product_and_name_what_is_refused() -> None:
    source = coinbase(symbols=("BTC-USD", "ETH-USD"))
    confirmed = (
        b'{"type":"subscriptions","channels":[{"name":"matches","product_ids":["BTC-USD","ETH-USD"]},'
        b'{"name":"ticker","product_ids":["BTC-USD"]}]}'
    )
    assert source.answer(confirmed) == Answer(
        confirmed=(("matches", "BTC-USD"), ("matches", "ETH-USD"), ("ticker", "BTC-USD"))
    )
    refused = b'{"type":"error","message":"Failed to subscribe","reason":"ETH-USD is not a valid product"}'
    assert source.answer(refused) == Answer(
        refused=(("", "ETH-USD"),), why="Failed to subscribe: ETH-USD is not a valid product"
    )
    assert source.answer(MATCH) is None
    assert source.answer(b'{"type":"error","message":') is None


def test_it_asks_for_its_channels_with_heartbeats_and_ends_them() -> None:
    source = coinbase(channels="trades,books", symbols=("ETH-USD", "BTC-USD", "ETH-USD"))
    assert source.urls(0) == ["wss://x"]
    streams = source.streams(0)
    assert [(each.kind, each.symbol, each.channel, each.name) for each in streams] == [
        (Trade, "ETH-USD", "matches", "ETH-USD"),
        (Change, "ETH-USD", "level2_batch", "ETH-USD"),
        (Trade, "BTC-USD", "matches", "BTC-USD"),
        (Change, "BTC-USD", "level2_batch", "BTC-USD"),
    ]
    both = ["ETH-USD", "BTC-USD"]
    (asked,) = source.subscribe(streams)
    assert json.loads(asked) == {
        "type": "subscribe",
        "channels": [
            {"name": "matches", "product_ids": both},
            {"name": "level2_batch", "product_ids": both},
            {"name": "heartbeat", "product_ids": both},
        ],
    }
    (ended,) = source.unsubscribe(streams[:1])
    assert json.loads(ended) == {"type": "unsubscribe", "channels": [{"name": "matches", "product_ids": ["ETH-USD"]}]}
    assert (source.kinds, source.symbols) == ((Trade, Depth, Quote), both)


def test_a_word_or_a_symbol_that_is_not_known_is_one_line() -> None:
    with pytest.raises(
        ConfigError, match="TICKERTAPE_COINBASE_CHANNELS=trades ticks: choose from trades, quotes, books"
    ):
        coinbase(channels="trades ticks")
    with pytest.raises(ConfigError, match="no symbol 'DOGE-USD'"):
        coinbase(symbols=("DOGE-USD",))


def test_it_hears_an_exchange() -> None:
    said = '{"type":"subscriptions","channels":[{"name":"matches","product_ids":["BTC-USD"]}]}'
    requests, _, events = play(coinbase, lambda _: [said], [MATCH.decode(), TICKER.decode()], requests=1, events=2)
    assert [each["type"] for each in requests] == ["subscribe"]
    assert [(type(event), event.id) for event in events] == [(Trade, 10), (Quote, 37475248783)]


@pytest.mark.recorded
@pytest.mark.skipif(not recorded.MARKET.is_dir(), reason="the recorded input is not beside the project")
def test_it_reads_what_was_recorded() -> None:
    with gzip.open(recorded.MARKET / "coinbase-exchange-2021.jsonl.gz") as file:
        lines = [line.partition(b": ")[2] for line in file]
    said = [json.loads(line) for line in lines]
    products = {raw["product_id"] for raw in said if "product_id" in raw}
    source = Coinbase(CoinbaseSettings(), (), Table({one: one for one in products}), "coinbase")
    found = [source.normalise(line, RECEIVED_MS) for line in lines]
    trades = [(raw["trade_id"], float(raw["price"])) for raw in said if raw["type"] in _TRADES]
    assert [(event.id, event.price) for event in found if isinstance(event, Trade)] == trades
    # Tickers had no sizes then.
    kinds = {raw["type"] for raw in said} - {*_TRADES, "ticker", "snapshot", "l2update"}
    assert {other.kind for other in found if isinstance(other, Other)} == kinds | {"empty book"}
    assert sum(isinstance(change, Change) for change in found) == sum(
        raw["type"] in ("snapshot", "l2update") for raw in said
    )
