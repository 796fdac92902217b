"""What is asked of Binance."""

import pytest

from tickertape.stream.errors import ConfigError
from tickertape.stream.feeds.exchanges.binance_live import Binance


def test_trades_and_quotes_of_each_symbol_are_asked_for_in_the_address() -> None:
    source = Binance("wss://example/stream", ["BTCUSDT", "eth-usdt", "BTC-USDT"])
    assert source.urls(0) == [
        "wss://example/stream?streams=btcusdt@trade/btcusdt@bookTicker/ethusdt@trade/ethusdt@bookTicker"
    ]
    assert source.hello == ()


def test_many_symbols_are_several_lines_of_addresses_that_pass_everywhere() -> None:
    names = [f"{number:04}USDT" for number in range(450)]
    urls = Binance("wss://example/stream?timeUnit=MILLISECOND", names).urls(0)
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
        (
            "BTC/USDT",
            "binance: no instrument 'BTC/USDT' in the built-in list of its main pairs; symbol 'BTC/USDT' has a "
            "character that is not allowed, or is not 1 to 30 characters long; did you mean BTC-USDT or LTC-USDT? "
            "(`tickertape instruments binance` prints it)",
        ),
        (
            "WHATISIT",
            "binance: no instrument 'WHATISIT' in the built-in list of its main pairs; symbol 'WHATISIT' doesn't end "
            "in a known quote asset (`tickertape instruments binance` prints it)",
        ),
    ],
)
def test_a_symbol_that_cannot_be_one_is_one_line(symbol: str, why: str) -> None:
    with pytest.raises(ConfigError) as told:
        Binance("wss://example/stream", ["BTCUSDT", symbol])
    assert str(told.value) == why
