"""What a feed records is read again, and is the same."""

import pytest

from tests.feeds.exchanges import (
    test_alpaca,
    test_binance,
    test_binance_usdm,
    test_bybit,
    test_coinbase,
    test_coinbase_advanced,
    test_kraken,
    test_okx,
)
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.registry import feeds, format_named
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.exchanges.binance import Binance
from tickertape.stream.feeds.exchanges.binance_usdm import BinanceUsdm
from tickertape.stream.feeds.exchanges.bybit_linear import BybitLinear
from tickertape.stream.feeds.exchanges.coinbase import Coinbase
from tickertape.stream.feeds.exchanges.coinbase_advanced import CoinbaseAdvanced
from tickertape.stream.feeds.exchanges.kraken import Kraken
from tickertape.stream.feeds.exchanges.okx_swap import OkxSwap

RECEIVED_MS = test_okx.RECEIVED_MS


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("alpaca", test_alpaca.alpaca(), f"[{test_alpaca.TRADE},{test_alpaca.QUOTE}]".encode()),
        ("binance", test_binance.binance(), test_binance.SOLD),
        ("binanceusdm", test_binance_usdm.usdm(), test_binance_usdm.MARK),
        ("bybit", test_bybit.spot(), test_bybit.TRADES),
        ("bybitlinear", test_bybit.linear(), test_bybit.LIQUIDATED),
        ("coinbase", test_coinbase.coinbase(), test_coinbase.MATCH),
        ("coinbaseadvanced", test_coinbase_advanced.advanced(), test_coinbase_advanced.TRADES),
        ("kraken", test_kraken.kraken(), test_kraken.TRADES.replace(b"MATIC", b"BTC")),
        ("okx", test_okx.okx(), test_okx.pushed("bbo-tbt", test_okx.BEST)),
    ],
)
def test_a_recorded_line_is_what_was_heard(name: str, source: object, message: bytes) -> None:
    format_ = format_named(name, ())
    assert format_.parse is not None
    found = source.normalise(message, RECEIVED_MS)  # type: ignore[attr-defined]  # a source
    events = found if isinstance(found, list) else [found]
    assert format_.parse(b"%d999999 %s" % (RECEIVED_MS, message)) == events
    assert {type(event) for event in events} <= set(format_.kinds)


def test_a_recorded_book_is_something_else_and_a_time_in_another_unit_is_named() -> None:
    format_ = format_named("kraken", ())
    assert format_.parse is not None
    assert format_.parse(b"1700000000500000000 " + test_kraken.BOOK.replace(b"MATIC", b"BTC")) == Other("book")
    okx = format_named("okx", ())
    line = b"1 " + test_okx.pushed("trades-all", test_okx.TRADE | {"ts": 1_700_000_000})
    assert okx.parse is not None
    with pytest.raises(ValueError, match="ts") as told:
        okx.parse(line)
    assert okx.reason(line, told.value).endswith("looks like seconds")


def test_each_feed_of_an_exchange_has_a_format_and_settings_of_its_own() -> None:
    found = feeds(())
    for name in ("alpaca", "binance", "binanceusdm", "bybit", "bybitlinear", "coinbase", "coinbaseadvanced", "kraken"):
        settings = found[name].settings()
        assert settings.url.startswith("wss://")
        assert settings.channels == "trades quotes"
        assert format_named(name, ()).name == name


@pytest.mark.parametrize(
    ("source", "connections", "requests"),
    [
        # How many in how many seconds, by the documents that `known.py` names.
        (Binance, (300, 300), (6000, 60)),
        (BinanceUsdm, (300, 300), (2400, 60)),
        (BybitLinear, (500, 300), (600, 5)),
        (Coinbase, (8, 1), (10, 1)),
        (CoinbaseAdvanced, (8, 1), (10, 1)),
        (Kraken, (150, 600), (1, 1)),
        (OkxSwap, (3, 1), (20, 2)),
    ],
)
def test_the_limits_of_each_exchange_are_its_own(
    source: type[Source], connections: tuple[int, int], requests: tuple[int, int]
) -> None:
    limits = source.limits
    assert (limits.connections.count, limits.connections.seconds) == connections
    assert (limits.requests.count, limits.requests.seconds) == requests
