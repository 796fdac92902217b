"""The rule that names instruments, and names and numbers that a list had better not have."""

import json
import logging
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickertape.schemas.instrument import Instrument
from tickertape.stream.engine.core.names import check
from tickertape.stream.feeds.instruments.lists import binance
from tickertape.stream.feeds.instruments.lists.entry import instrument, plain, renamed, symbol_of


def test_symbols_are_named_by_one_rule() -> None:
    expires_ms = int(datetime(2026, 12, 25, 8, tzinfo=UTC).timestamp() * 1000)
    assert symbol_of("BTC", "USD", "spot") == "BTC-USD"
    assert symbol_of("BTC", "USDT", "perpetual") == "BTC-USDT-PERP"
    assert symbol_of("BTC", "USDT", "future", expires_ms) == "BTC-USDT-20261225"
    with pytest.raises(ValueError, match="doesn't say when it expires"):
        symbol_of("BTC", "USDT", "future")


def test_assets_are_renamed_by_a_table_alone() -> None:
    assert (renamed("kraken", "XBT"), renamed("kraken", "XDG"), renamed("kraken", "XRP")) == ("BTC", "DOGE", "XRP")
    # What Kraken means by it, others need not.
    assert renamed("binance", "XBT") == "XBT"
    # A multiple keeps its number. Where the source puts it at the end, it goes to the front.
    assert (renamed("binanceusdm", "1000SHIB"), renamed("bybitlinear", "SHIB1000")) == ("1000SHIB", "1000SHIB")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0.01000000", "0.01"),
        ("1e-08", "0.00000001"),
        ("1E+2", "100"),
        ("100", "100"),
        ("0.10", "0.1"),
        ("0.000000000000000001", "0.000000000000000001"),
        ("", ""),
        ("0", ""),
        ("0.00000000", ""),
    ],
)
def test_a_number_is_plain_text(text: str, found: str) -> None:
    assert plain(text) == found


NO_NUMBERS = ["nan", "inf", "-1", "1e999999999", "1,5", "0x10", "1" * 50, "1.", ".5", "\uff11", " 1"]


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_number_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        plain(text)


HOSTILE = [
    "",
    "A|B",
    "A,B",
    "A/B",
    "A B",
    "A@B",
    "A-B",
    "A\x00",
    "A\nB",
    "A\u202eB",
    "A\u200bB",
    "A\u00a0B",
    "A" * 31,
]


@pytest.mark.parametrize("asset", HOSTILE)
def test_hostile_names_are_left_out(asset: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    entries = [
        {"symbol": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT"},
        {"symbol": "EVIL", "baseAsset": asset, "quoteAsset": "USDT"},
        {"symbol": "EVIL", "baseAsset": "BTC", "quoteAsset": asset},
        {"symbol": f"{asset}USDT" if asset else "", "baseAsset": "ETH", "quoteAsset": "USDT"},
        {"symbol": 7, "baseAsset": "ETH", "quoteAsset": "USDT"},
        "BTCUSDT",
        None,
    ]
    found = binance.spot("binance", json.dumps({"symbols": entries}).encode()).instruments
    # A name of 35 letters is short enough for a name of the source's own.
    assert {one.symbol for one in found} - {"ETH-USDT"} == {"BTC-USDT"}
    assert len(found) == (2 if len(asset) == 31 else 1)
    assert "can't be read and are left out" in caplog.text


@given(st.text(), st.text(), st.text())
def test_a_symbol_of_any_names_can_be_in_a_key(name: str, base: str, quote: str) -> None:
    try:
        one = instrument("source", name, (base, quote), "perpetual", "trading")
    except ValueError:
        return
    check(one.symbol)
    check(one.name)
    assert one.symbol.split("-") == [base, quote, "PERP"]
    assert len(one.symbol) <= 64


def test_two_instruments_of_one_symbol_are_told(caplog: pytest.LogCaptureFixture) -> None:
    entries = [
        {"symbol": "BTCUSDT1", "baseAsset": "BTC", "quoteAsset": "USDT", "status": "BREAK"},
        {"symbol": "BTCUSDT2", "baseAsset": "BTC", "quoteAsset": "USDT", "status": "TRADING"},
        {"symbol": "BTCUSDT3", "baseAsset": "BTC", "quoteAsset": "USDT", "status": "TRADING"},
    ]
    found = binance.spot("binance", json.dumps({"symbols": entries}).encode()).instruments
    assert [one.name for one in found] == ["BTCUSDT2"]
    assert caplog.messages == [
        "binance: both BTCUSDT2 and BTCUSDT1 are BTC-USDT; BTCUSDT1 is left out",
        "binance: both BTCUSDT2 and BTCUSDT3 are BTC-USDT; BTCUSDT3 is left out",
    ]


def test_an_instrument_has_only_valid_fields() -> None:
    def made(**fields: object) -> Instrument:
        return instrument("okx", "BTC-USDT", ("BTC", "USDT"), "spot", "trading", separator="-", **fields)

    assert made(tick="0.1", also=["X\n", "BTC-USDT", "BTC/USDT", "BTC/USDT"]).also == ("BTC/USDT",)
    for wrong in ({"tick": "1e5"}, {"step": "0.0"}, {"contract_value": ""}, {"expires_ms": 5}, {"tick": "-1"}):
        with pytest.raises(ValueError, match=r"`\$\.(tick|step|contract_value|expires_ms)`"):
            made(**wrong)
