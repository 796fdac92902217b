"""What Binance's symbols are made of, in recorded files: by its kept list, and where there is none."""

from typing import cast

import pytest

from tests.feeds.instruments.lists.test_lists import binance_symbol, body
from tests.feeds.rest import Rest
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.define.names import Names
from tickertape.stream.feeds.exchanges.binance import FORMAT
from tickertape.stream.feeds.instruments.kept import path_of
from tickertape.stream.feeds.instruments.names import RecordedNames, forget, names_of

pair = RecordedNames("binance").ours


@pytest.mark.parametrize(
    ("symbol", "found"),
    [
        ("BTCUSDT", "BTC-USDT"),
        ("BTCUSD", "BTC-USD"),
        ("ETHBTC", "ETH-BTC"),
        ("BNBETH", "BNB-ETH"),
        ("BTCUSDC", "BTC-USDC"),
        ("USDCUSDT", "USDC-USDT"),
        ("USDTTRY", "USDT-TRY"),
        ("1000SATSUSDT", "1000SATS-USDT"),
        ("1000PEPEUSDT", "1000PEPE-USDT"),
        # In two ways, of which one begins with an asset.
        ("ADAEUR", "ADA-EUR"),
        ("THETAEUR", "THETA-EUR"),
        ("GALAEUR", "GALA-EUR"),
        ("BNBUSD", "BNB-USD"),
        ("BTCBUSD", "BTC-BUSD"),
        ("USDTUSD", "USDT-USD"),
        ("BTCTUSD", "BTC-TUSD"),
        ("ETHBUSD", "ETH-BUSD"),
        ("BTCFDUSD", "BTC-FDUSD"),
        # Nobody knows the asset: by the longest.
        ("QQQTUSD", "QQQ-TUSD"),
        ("币安人生USDT", "币安人生-USDT"),
    ],
)
def test_without_a_list_the_assets_that_are_known_decide(symbol: str, found: str) -> None:
    assert pair(symbol) == found


BAD = ["BTCXYZ", "USDT", "", "A|BUSDT", "A,BUSDT", "A\x00USDT", "A\u202eUSDT", "A" * 99 + "USDT"]


@pytest.mark.parametrize("symbol", BAD)
def test_what_is_no_pair_is_told(symbol: str) -> None:
    for ask in (pair, RecordedNames("binance").theirs, RecordedNames("binance").base_per_unit):
        with pytest.raises(ValueError, match=r"\bsymbol '"):
            ask(symbol)


def test_the_kept_list_decides(rest: Rest) -> None:
    rest.answers = [
        body(
            {
                "symbols": [
                    binance_symbol("BNBUSD", "BN", "BUSD", "0.1", "0.1", status="BREAK"),
                    binance_symbol("NEWCOINQQ", "NEWCOIN", "QQ", "0.1", "0.1"),
                    {"symbol": "ODD", "baseAsset": "O|", "quoteAsset": "D"},
                ]
            }
        )
    ]
    assert pair("BNBUSD") == "BNB-USD"
    names_of("binance", rest.url)
    names: Names = RecordedNames("binance")
    assert (pair("BNBUSD"), pair("NEWCOINQQ"), pair("BTCUSDT")) == ("BN-BUSD", "NEWCOIN-QQ", "BTC-USDT")
    assert "ODD" not in path_of("binance").read_text()
    assert names.theirs("newcoin-qq") == "NEWCOINQQ"
    assert names.base_per_unit("NEWCOINQQ") == 1.0
    # Another process reads it from the file.
    forget()
    assert pair("NEWCOINQQ") == "NEWCOIN-QQ"
    line = (
        b'1723161600000000000 {"stream":"newcoinqq@trade","data":{"e":"trade","E":1723161600000,"s":"NEWCOINQQ","t":1,'
        b'"p":"100.5","q":"0.25","T":1723161600000,"m":false,"M":true}}'
    )
    assert FORMAT.parse is not None
    (found,) = cast("list[Trade]", FORMAT.parse(line))
    assert found.symbol == "NEWCOIN-QQ"


@pytest.mark.parametrize("content", [b"{", b"", b"[]", b"[" * 100_000, b'{"source":"okx","instruments":[]}', b"\xff"])
def test_a_list_that_is_broken_is_none(content: bytes) -> None:
    path_of("binance").parent.mkdir(parents=True)
    path_of("binance").write_bytes(content)
    assert pair("BTCUSDT") == "BTC-USDT"
