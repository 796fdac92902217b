"""Symbols are mapped by a source's list, and never guessed."""

import logging
import os
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.feeds.instruments.lists.test_lists import body, okx_answer, okx_contract, okx_entry
from tests.feeds.rest import Rest, products, refuses
from tickertape.schemas.instrument import Kind
from tickertape.stream.errors import ConfigError
from tickertape.stream.feeds.define.names import Names, UnknownSymbol
from tickertape.stream.feeds.instruments.kept import Listing, path_of
from tickertape.stream.feeds.instruments.lists.entry import instrument, unique
from tickertape.stream.feeds.instruments.names import ListedNames, names_of
from tickertape.stream.feeds.instruments.shipped import shipped
from tickertape.stream.feeds.instruments.sources import SOURCES


def okx_names(rest: Rest) -> ListedNames:
    """Return the names of spot pairs and of contracts, in one list."""
    first = okx_answer(
        okx_entry("BTC-USDT", "SPOT", baseCcy="BTC", quoteCcy="USDT"),
        okx_entry("BTC-USDC", "SPOT", baseCcy="BTC", quoteCcy="USDC"),
        okx_entry("BTC-USD", "SPOT", baseCcy="BTC", quoteCcy="USD"),
        okx_entry("STOP-USDT", "SPOT", baseCcy="STOP", quoteCcy="USDT", state="suspend"),
        okx_contract("BTC-USDT-SWAP", "SWAP", "BTC-USDT", "0.01", "BTC"),
        okx_contract("BTC-USD-SWAP", "SWAP", "BTC-USD", "100", "USD", ctType="inverse"),
    )
    future = okx_answer(okx_contract("BTC-USDT-261225", "FUTURES", "BTC-USDT", "0.01", "BTC", expTime="1798185600000"))
    rest.answers = [first, future]
    return names_of("okxswap", rest.url)


def test_names_are_mapped_both_ways(rest: Rest) -> None:
    names: Names = okx_names(rest)
    for name, symbol in [
        ("BTC-USDT", "BTC-USDT"),
        ("BTC-USDC", "BTC-USDC"),
        ("BTC-USD", "BTC-USD"),
        ("BTC-USDT-SWAP", "BTC-USDT-PERP"),
        ("BTC-USD-SWAP", "BTC-USD-PERP"),
        ("BTC-USDT-261225", "BTC-USDT-20261225"),
    ]:
        assert names.ours(name) == symbol
        assert names.theirs(symbol) == name
        # A user may write it in either form, and in any case.
        assert {names.theirs(text) for text in (name, name.lower(), symbol.lower())} == {name}
    assert names.base_per_unit("BTC-USDT-SWAP") == 0.01
    assert names.base_per_unit("BTC-USDT") == 1.0


def test_quantities_are_of_the_base_currency(rest: Rest) -> None:
    names = okx_names(rest)
    # 34.95 contracts at 63,913.4 are 0.3495 BTC, worth 22,337.73 USDT.
    assert names.quantity("BTC-USDT-SWAP", 34.95, 63_913.4) == pytest.approx(0.3495, rel=1e-15)
    # 50 contracts of 100 USD at 50,000 USD.
    assert names.quantity("BTC-USD-SWAP", 50, 50_000.0) == 0.1
    assert names.quantity("BTC-USDT", 0.25, 63_913.4) == 0.25
    with pytest.raises(ValueError, match="BTC-USD-SWAP is inverse: a unit is 100 USD, for any price"):
        names.base_per_unit("BTC-USD-SWAP")


def test_what_a_message_names_is_in_the_list_or_an_error(rest: Rest) -> None:
    names = okx_names(rest)
    for name in ("NEW-USDT", "btc-usdt", "", "BTC-USDT-PERP", "x" * 10_000):
        with pytest.raises(ValueError, match=r"okxswap has no instrument '.{0,64}' in its list of 20") as told:
            names.ours(name)
        assert len(str(told.value)) < 250


def test_an_unknown_symbol_is_one_line_with_similar_ones(rest: Rest) -> None:
    names = okx_names(rest)
    with pytest.raises(ConfigError) as told:
        names.theirs("BTC-USTD")
    message = str(told.value)
    assert message.startswith("okxswap: no instrument 'BTC-USTD' in its list of 20")
    assert message.endswith(
        f" UTC, from {rest.url}; did you mean BTC-USD or BTC-USDT or BTC-USDC? "
        "(`tickertape instruments okxswap` prints it)"
    )
    for symbol in ("BTC-EURO-SWAP-X", "", "\x1b[31m", "é" * 5000):
        with pytest.raises(UnknownSymbol) as told:
            names.theirs(symbol)
        assert str(told.value).isprintable()
        assert len(str(told.value)) < 400


def test_a_perpetual_is_not_the_spot_pair(rest: Rest) -> None:
    contract = {"symbol": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT", "contractType": "PERPETUAL"}
    rest.answers = [body({"symbols": [contract]})]
    names = names_of("binanceusdm", rest.url)
    assert names.theirs("BTC-USDT-PERP") == names.theirs("btcusdt") == "BTCUSDT"
    with pytest.raises(UnknownSymbol, match="did you mean BTC-USDT-PERP"):
        names.theirs("BTC-USDT")


def test_what_is_halted_is_said(rest: Rest, caplog: pytest.LogCaptureFixture) -> None:
    names = okx_names(rest)
    assert names.theirs("STOP-USDT") == "STOP-USDT"
    assert names.theirs("BTC-USDT") == "BTC-USDT"
    assert caplog.messages == ["okxswap: STOP-USDT is halted (suspend), and may send nothing"]


def kraken_pairs(*names: str) -> bytes:
    pairs = {name.replace("/", "Z"): {"wsname": name, "altname": name.replace("/", "")} for name in names}
    return body({"error": [], "result": pairs})


def test_other_names_of_the_source_lead_to_the_same(rest: Rest, caplog: pytest.LogCaptureFixture) -> None:
    rest.answers = [kraken_pairs("XBT/USD", "XDG/USD")]
    names = names_of("kraken", rest.url)
    for text in ("BTC-USD", "BTC/USD", "XBT/USD", "XBTUSD", "XBTZUSD", "xbt/usd"):
        assert names.theirs(text) == "BTC/USD"
    assert (names.ours("BTC/USD"), names.ours("XBT/USD"), names.ours("DOGE/USD")) == ("BTC-USD", "BTC-USD", "DOGE-USD")
    assert caplog.messages == [
        f"kraken: {text} is another name of BTC-USD, and its events are named so"
        for text in ("XBT/USD", "XBTUSD", "XBTZUSD", "xbt/usd")
    ]


def test_names_that_differ_in_case_alone_are_not_guessed(rest: Rest) -> None:
    rest.answers = [kraken_pairs("AAPLx/USD", "AAPLX/USD")]
    names = names_of("kraken", rest.url)
    assert names.theirs("AAPLx-USD") == "AAPLx/USD"
    assert names.theirs("AAPLX-USD") == "AAPLX/USD"
    with pytest.raises(UnknownSymbol, match="no instrument 'aaplx-usd'"):
        names.theirs("aaplx-usd")


def test_usdc_of_coinbase_advanced_is_the_book_of_usd(rest: Rest, caplog: pytest.LogCaptureFixture) -> None:
    products = [
        {"product_id": "BTC-USD", "product_type": "SPOT", "base_currency_id": "BTC", "quote_currency_id": "USD"},
        {
            "product_id": "BTC-USDC",
            "product_type": "SPOT",
            "base_currency_id": "BTC",
            "quote_currency_id": "USDC",
            "alias": "BTC-USD",
        },
    ]
    rest.answers = [body({"products": products})]
    names = names_of("coinbaseadvanced", rest.url)
    assert names.theirs("BTC-USDC") == "BTC-USD"
    # Under either name an answer is of this book.
    assert names.ours("BTC-USDC") == names.ours("BTC-USD") == "BTC-USD"
    assert caplog.messages == ["coinbaseadvanced: BTC-USDC is another name of BTC-USD, and its events are named so"]


def older(source: str, seconds: float) -> None:
    path = path_of(source)
    found = msgspec.json.decode(path.read_bytes(), type=Listing)
    path.write_bytes(
        msgspec.json.encode(msgspec.structs.replace(found, fetched_ms=found.fetched_ms - int(seconds * 1000)))
    )


def test_a_new_symbol_is_looked_for_in_a_new_list(rest: Rest) -> None:
    rest.answers = [products("BTC-USD"), products("BTC-USD", "NEW-USD")]
    names_of("coinbase", rest.url)
    older("coinbase", 3600)
    names = names_of("coinbase", rest.url)
    assert len(rest.asked) == 1
    assert names.theirs("NEW-USD") == "NEW-USD"
    assert len(rest.asked) == 2
    assert (names.ours("NEW-USD"), names.ours("BTC-USD")) == ("NEW-USD", "BTC-USD")
    # Not if the list is of just now.
    with pytest.raises(UnknownSymbol):
        names_of("coinbase", rest.url).theirs("NEWER-USD")
    # And once only: a list of typing errors is no storm of requests.
    older("coinbase", 3600)
    for _ in range(3):
        with pytest.raises(UnknownSymbol):
            names.theirs("NEWER-USD")
    assert len(rest.asked) == 2


def test_without_a_list_a_clear_name_is_read_and_said(caplog: pytest.LogCaptureFixture) -> None:
    for source, text, name, symbol in [
        ("coinbase", "new-usd", "NEW-USD", "NEW-USD"),
        ("kraken", "NEW-USD", "NEW/USD", "NEW-USD"),
        ("kraken", "XBT/CHF", "BTC/CHF", "BTC-CHF"),
        ("okx", "NEW-USDT", "NEW-USDT", "NEW-USDT"),
        ("binance", "NEW-USDT", "NEWUSDT", "NEW-USDT"),
        # Its first part is a known asset.
        ("binance", "BNBUSD", "BNBUSD", "BNB-USD"),
    ]:
        caplog.clear()
        names = names_of(source, "")
        with pytest.raises(ValueError, match="has no instrument"):
            names.ours(name)
        assert names.theirs(text) == name
        assert names.ours(name) == symbol
        assert names.base_per_unit(name) == 1.0
        assert caplog.messages == [
            f"{source}: {name} is not in the built-in list of its main pairs; it is read as {symbol}"
        ]


def test_a_source_that_refuses_is_not_asked_again_for_an_unknown_symbol(rest: Rest) -> None:
    rest.answers = [refuses(418, Retry_After="600")]
    names = names_of("coinbase", rest.url)
    assert names.theirs("NEW-USD") == "NEW-USD"
    with pytest.raises(UnknownSymbol):
        names.theirs("NEWUSD")
    assert len(rest.asked) == 1


@pytest.mark.parametrize(
    ("source", "symbol"),
    [
        # Nobody knows what a contract is worth.
        ("okxswap", "NEW-USDT-SWAP"),
        ("okxswap", "NEW-USDT-PERP"),
        ("okx", "NEW-USDT-PERP"),
        ("binanceusdm", "NEW-USDT-PERP"),
        ("bybitlinear", "NEWUSDT"),
        # It has no separator, and could be NE-WUSDT.
        ("bybit", "NEWUSDT"),
        # It may be another name of NEW-USD.
        ("coinbaseadvanced", "NEW-USDC"),
        ("coinbase", "NEW"),
        ("coinbase", "-USD"),
        ("coinbase", "NEW|-USD"),
        ("binance", "NEW-XYZ"),
        ("kraken", "NEW/USD/X"),
    ],
)
def test_without_a_list_nothing_else_is_read(source: str, symbol: str) -> None:
    with pytest.raises(UnknownSymbol, match=f"{source}: no instrument .* in the built-in list of its main pairs"):
        names_of(source, "").theirs(symbol)


def test_a_list_of_long_ago_does_not_hide_what_is_new(rest: Rest, caplog: pytest.LogCaptureFixture) -> None:
    rest.answers = [products("BTC-USD"), refuses(451)]
    names_of("coinbase", rest.url)
    with pytest.raises(UnknownSymbol):
        names_of("coinbase", rest.url).theirs("NEW-USD")
    older("coinbase", 90 * 24 * 3600)
    assert names_of("coinbase", rest.url).theirs("NEW-USD") == "NEW-USD"
    assert "NEW-USD is not in its list of 20" in caplog.text


def test_instruments_are_those_of_the_asked_symbols(rest: Rest) -> None:
    names = okx_names(rest)
    found = names.listed(["BTC-USDT-PERP", "NOT-THERE", "BTC-USD"], "okx-eea")
    assert [(one.symbol, one.source, one.name) for one in found] == [
        ("BTC-USDT-PERP", "okx-eea", "BTC-USDT-SWAP"),
        ("BTC-USD", "okx-eea", "BTC-USD"),
    ]


def test_the_built_in_list_displaces_nothing_on_the_topic() -> None:
    assert names_of("coinbase", "").listed(["BTC-USD"], "coinbase") == []


def test_each_source_has_a_built_in_list() -> None:
    for source in SOURCES:
        found = shipped(source)
        assert len({one.symbol for one in found}) == len({one.name for one in found}) == len(found) > 7
        # What we don't know, we don't say.
        assert {(one.source, one.status, one.tick, one.step) for one in found} == {(source, "unknown", "", "")}
    by_name = {one.name: one for one in shipped("okxswap")}
    assert (by_name["BTC-USDT-SWAP"].contract_value, by_name["BTC-USDT-SWAP"].inverse) == ("0.01", False)
    assert (by_name["BTC-USD-SWAP"].contract_value, by_name["BTC-USD-SWAP"].inverse) == ("100", True)
    by_name = {one.name: one for one in shipped("bybitlinear")}
    assert by_name["SHIB1000USDT"].symbol == "1000SHIB-USDT-PERP"
    assert by_name["BTCPERP"].symbol == "BTC-USDC-PERP"


def test_a_large_list_is_searched_in_time(rest: Rest, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    rest.answers = [products(*(f"ASSET{number}-USDT" for number in range(5000)))]
    names = names_of("coinbase", rest.url)
    began = time.process_time()
    with pytest.raises(UnknownSymbol):
        names.theirs("ASSET12345-" + "USDT" * 100)
    assert time.process_time() - began < 2
    assert os.listdir(path_of("coinbase").parent) == ["coinbase.json"]


ASSETS = st.text(st.sampled_from("ABCXYZ19币x"), min_size=1, max_size=6)


@given(st.lists(st.tuples(ASSETS, ASSETS, st.sampled_from(["spot", "perpetual"]), st.booleans()), max_size=30))
def test_every_name_of_any_list_leads_to_its_symbol_and_back(pairs: list[tuple[str, str, Kind, bool]]) -> None:
    entries = [
        instrument("x", f"{base}.{quote}.{kind}", (base, quote), kind, "trading" if trades else "halted", also=[base])
        for base, quote, kind, trades in pairs
    ]
    listing = Listing("x", unique("x", entries), "url", time.time_ns() // 1_000_000)
    names = ListedNames(listing)
    assert {one.symbol for one in listing.instruments} == {one.symbol for one in entries}
    for one in listing.instruments:
        assert names.ours(names.theirs(one.symbol)) == one.symbol
        assert names.theirs(names.ours(one.name)) == one.name
        assert names.ours(one.also[0]) in {other.symbol for other in listing.instruments if other.also == one.also}
        # If one of its symbol trades, it does.
        assert one.status == "trading" or all(e.status == "halted" for e in entries if e.symbol == one.symbol)
    assert msgspec.json.decode(msgspec.json.encode(listing), type=Listing) == listing
