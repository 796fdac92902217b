"""With the setting `decimals`, what an exchange writes reaches the topic with all its digits."""

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec import structs

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
from tests.feeds.recorder import Recorder
from tickertape.schemas.events import Event
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.bundles.unpacking import Unpacked
from tickertape.stream.feeds.adapt.exchange import Exchange
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.publish.bundler import Bundler
from tickertape.stream.feeds.publish.publisher import Publisher

# A double has some 16 digits.
LONG = "0.1234567890123456789"


def exact(source: Source) -> Source:
    assert isinstance(source, Exchange)
    source.exact = True
    return source


def digits(event: Any) -> tuple[str, ...]:
    names = ("price", "quantity") if isinstance(event, Trade) else ("bid", "bid_quantity", "ask", "ask_quantity")
    return tuple(format(getattr(event, name), "f") for name in names)


@pytest.mark.parametrize(
    ("source", "message", "expected"),
    [
        (test_binance.binance(), test_binance.SOLD, ("61837.63000000", "0.02000000")),
        (test_binance.binance(), test_binance.SOLD.replace(b"0.02000000", LONG.encode()), ("61837.63000000", LONG)),
        (test_binance.binance(), test_binance.QUOTED, ("25.35190000", "31.21000000", "25.36520000", "40.66000000")),
        (test_binance_usdm.usdm(), test_binance_usdm.AGGREGATE, ("36000.10", "0.500")),
        (test_coinbase.coinbase(), test_coinbase.MATCH, ("400.23", "5.23512")),
        (
            test_coinbase.coinbase(symbols=("ETH-USD",)),
            test_coinbase.TICKER,
            ("1285.04", "0.46688654", "1285.27", "1.56637040"),
        ),
        (test_coinbase_advanced.advanced(), test_coinbase_advanced.TRADES, ("1260.00", "0.5")),
        (
            test_coinbase_advanced.advanced(),
            test_coinbase_advanced.TICKER,
            ("21931.98", "8000.21", "21933.98", "8038.07770938"),
        ),
        # Kraken and Alpaca write numbers, and their text counts.
        (test_kraken.kraken(), test_kraken.TRADES, ("0.5117", "40.0")),
        (test_kraken.kraken(), test_kraken.TRADES.replace(b"40.0", LONG.encode()), ("0.5117", LONG)),
        (test_kraken.kraken(), test_kraken.TICKER, ("63310.2", "740.0", "63310.3", "1.5")),
        (test_alpaca.alpaca(), f"[{test_alpaca.TRADE}]".encode(), ("126.55", "1")),
        (test_bybit.spot(), test_bybit.TRADES, ("16578.50", "0.001")),
        (test_bybit.spot(), test_bybit.BEST, ("16493.50", "0.006", "16611.00", "0.029")),
        (test_okx.okx(), test_okx.pushed("trades-all", test_okx.TRADE), ("42219.9", "0.12060306")),
        (test_okx.okx(), test_okx.pushed("bbo-tbt", test_okx.BEST), ("8445.5", "12.25", "8446", "95")),
        # 34.950 contracts of 0.01 BTC.
        (
            test_okx.swap(),
            test_okx.pushed("trades-all", test_okx.TRADE | {"instId": "BTC-USDT-SWAP", "sz": "34.950"}),
            ("42219.9", "0.34950"),
        ),
    ],
)
def test_a_price_and_a_quantity_keep_their_digits(source: Source, message: bytes, expected: tuple[str, ...]) -> None:
    found = exact(source).normalise(message, test_okx.RECEIVED_MS)
    event = found[0] if isinstance(found, list) else found
    assert digits(event) == expected
    assert all(isinstance(getattr(event, name), Decimal) for name in ("price", "bid") if hasattr(event, name))


async def given(*events: Event) -> AsyncIterator[list[Event]]:
    yield list(events)


def trade(price: str, number: int = 1) -> Trade:
    source = exact(test_binance.binance())
    found = source.normalise(test_binance.SOLD.replace(b"61837.63000000", price.encode()), 1723161254087)
    assert isinstance(found, Trade)
    return structs.replace(found, id=number)


@pytest.mark.parametrize("price", ["61837.63000000", LONG, "0.00000001", "123456789012345678.5"])
def test_a_record_has_them_as_a_number(price: str) -> None:
    recorder = Recorder()
    asyncio.run(Publisher(recorder, kinds=(Trade,)).feed(given(trade(price)), close=False))
    (value,) = [record.value for record in recorder.records if record.value]
    assert json.loads(value, parse_float=str, parse_int=str)["price"] in (price, str(Decimal(price)))
    # Whoever reads doubles gets the nearest one.
    assert msgspec.json.decode(value, type=Trade).price == float(price)


@pytest.mark.parametrize(
    ("prices", "form"),
    [
        (["61837.63000000", "61837.64000000"], "decimals"),
        (["0.1", LONG], "decimals"),
        # As mantissas of one exponent they have more than 64 bits.
        ([LONG, "123456789.5"], "values"),
    ],
)
def test_a_bundle_has_them_as_mantissas_or_as_lines(prices: list[str], form: str) -> None:
    async def scenario() -> list[bytes]:
        recorder = Recorder()
        publisher = Publisher(Bundler(recorder, 0.001), kinds=(Trade,))
        await publisher.feed(given(*(trade(price, number) for number, price in enumerate(prices))), close=False)
        return [record.value for record in recorder.records if record.value]

    (value,) = asyncio.run(scenario())
    kind, *parts = msgspec.msgpack.decode(value)[0]["price"]
    assert kind == form
    if kind == "values":
        assert parts[0].decode().split("\n") == prices
    else:
        (_, base, data, steps), exponent = parts
        width, n = len(data) // len(prices), range(len(prices))
        mantissas = [base + int.from_bytes(data[width * at : width * (at + 1)], "little") for at in n]
        assert not steps
        assert [Decimal(mantissa).scaleb(exponent) for mantissa in mantissas] == list(map(Decimal, prices))
    # Whoever reads doubles gets the nearest ones.
    assert [json.loads(text)["price"] for text in Unpacked(value, len(prices)).texts] == list(map(float, prices))


@pytest.mark.parametrize("price", ["NaN", "Infinity", "-1", "1e19", "0", "0." + "0" * 70 + "1", "1" * 65, "1e-99999"])
def test_a_decimal_has_bounds_too(price: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says of it
        trade(price)


def test_a_quote_with_an_empty_side_is_none_with_decimals_too() -> None:
    source = exact(test_binance.binance())
    empty = source.normalise(test_binance.QUOTED.replace(b"25.35190000", b"0.00000000"), 1723161254087)
    assert not isinstance(empty, Quote)
