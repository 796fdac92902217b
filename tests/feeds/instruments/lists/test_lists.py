"""Each exchange's list, hand-written in the form that its documentation gives, and the instruments in it."""

import json
import logging
from typing import Any

import pytest

from tickertape.schemas.instrument import Instrument
from tickertape.stream.feeds.instruments.lists import binance, bybit, coinbase, kraken, okx

# 2026-12-25 08:00 UTC, when quarterly futures expire.
CHRISTMAS_MS = 1_798_185_600_000


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


def binance_symbol(symbol: str, base: str, quote: str, tick: str, step: str, **more: Any) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "orderTypes": ["LIMIT", "MARKET"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "9000.0", "stepSize": step},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0.0", "maxQty": "150.0", "stepSize": "0.00000000"},
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        ],
        **more,
    }


def test_binance_spot() -> None:
    page = binance.spot(
        "binance",
        body(
            {
                "timezone": "UTC",
                "rateLimits": [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "limit": 6000}],
                "symbols": [
                    binance_symbol("BTCUSDT", "BTC", "USDT", "0.01000000", "0.00001000", permissions=["SPOT"]),
                    binance_symbol("BNBBUSD", "BNB", "BUSD", "0.10000000", "0.00100000", status="BREAK"),
                    binance_symbol("币安人生USDT", "币安人生", "USDT", "0.00001000", "0.10000000"),
                    binance_symbol("NEWUSDT", "NEW", "USDT", "0.1", "1.0", status="CANCEL_ONLY"),
                    {"symbol": "ETHBTC", "baseAsset": "ETH", "quoteAsset": "BTC"},
                ],
            }
        ),
    )
    assert page.cursor == ""
    assert page.instruments == [
        Instrument(
            symbol="BTC-USDT",
            source="binance",
            name="BTCUSDT",
            base="BTC",
            quote="USDT",
            kind="spot",
            status="trading",
            source_status="TRADING",
            tick="0.01",
            step="0.00001",
        ),
        Instrument(
            symbol="BNB-BUSD",
            source="binance",
            name="BNBBUSD",
            base="BNB",
            quote="BUSD",
            kind="spot",
            status="halted",
            source_status="BREAK",
            tick="0.1",
            step="0.001",
        ),
        Instrument(
            symbol="币安人生-USDT",
            source="binance",
            name="币安人生USDT",
            base="币安人生",
            quote="USDT",
            kind="spot",
            status="trading",
            source_status="TRADING",
            tick="0.00001",
            step="0.1",
        ),
        Instrument(
            symbol="NEW-USDT",
            source="binance",
            name="NEWUSDT",
            base="NEW",
            quote="USDT",
            kind="spot",
            status="halted",
            source_status="CANCEL_ONLY",
            tick="0.1",
            step="1",
        ),
        Instrument(
            symbol="ETH-BTC",
            source="binance",
            name="ETHBTC",
            base="ETH",
            quote="BTC",
            kind="spot",
            status="unknown",
        ),
    ]


def test_binance_usdm() -> None:
    def contract(symbol: str, base: str, quote: str, kind: str, delivery_ms: int, **more: Any) -> dict[str, Any]:
        delivery = {"contractType": kind, "deliveryDate": delivery_ms, "pair": f"{base}{quote}", "marginAsset": quote}
        return binance_symbol(symbol, base, quote, "0.10", "0.001", **delivery, **more)

    # The date that perpetuals have, of the year 2100.
    never_ms = 4_133_404_800_000
    page = binance.usdm(
        "binanceusdm",
        body(
            {
                "symbols": [
                    contract("BTCUSDT", "BTC", "USDT", "PERPETUAL", never_ms),
                    contract("BTCUSDC", "BTC", "USDC", "PERPETUAL", never_ms),
                    contract("1000SHIBUSDT", "1000SHIB", "USDT", "PERPETUAL", never_ms),
                    contract("XAUUSDT", "XAU", "USDT", "TRADIFI_PERPETUAL", never_ms),
                    contract("OLDUSDT", "OLD", "USDT", "PERPETUAL", never_ms, status="SETTLING"),
                    contract("BTCUSDT_261225", "BTC", "USDT", "CURRENT_QUARTER", CHRISTMAS_MS),
                    contract("SOONUSDT", "SOON", "USDT", "", never_ms, status="PENDING_TRADING"),
                ]
            }
        ),
    )
    assert [
        (one.symbol, one.name, one.base, one.quote, one.kind, one.status, one.expires_ms) for one in page.instruments
    ] == [
        ("BTC-USDT-PERP", "BTCUSDT", "BTC", "USDT", "perpetual", "trading", None),
        ("BTC-USDC-PERP", "BTCUSDC", "BTC", "USDC", "perpetual", "trading", None),
        # The price is that of a thousand, so it is another asset than SHIB.
        ("1000SHIB-USDT-PERP", "1000SHIBUSDT", "1000SHIB", "USDT", "perpetual", "trading", None),
        ("XAU-USDT-PERP", "XAUUSDT", "XAU", "USDT", "perpetual", "trading", None),
        ("OLD-USDT-PERP", "OLDUSDT", "OLD", "USDT", "perpetual", "closed", None),
        ("BTC-USDT-20261225", "BTCUSDT_261225", "BTC", "USDT", "future", "trading", CHRISTMAS_MS),
    ]
    assert {(one.tick, one.step, one.contract_value, one.inverse) for one in page.instruments} == {
        ("0.1", "0.001", "1", False)
    }


def test_coinbase_exchange() -> None:
    def product(name: str, base: str, quote: str, tick: str, **more: Any) -> dict[str, Any]:
        return {
            "id": name,
            "base_currency": base,
            "quote_currency": quote,
            "quote_increment": tick,
            "base_increment": "0.00000001",
            "display_name": f"{base}/{quote}",
            "min_market_funds": "1",
            "status": "online",
            "trading_disabled": False,
            "cancel_only": False,
            "post_only": False,
            "limit_only": False,
            "auction_mode": False,
            **more,
        }

    page = coinbase.exchange(
        "coinbase",
        body(
            [
                product("BTC-USD", "BTC", "USD", "0.01"),
                product("BTC-USDT", "BTC", "USDT", "0.01"),
                product("SOON-USD", "SOON", "USD", "0.0001", post_only=True, limit_only=True),
                product("STOP-USD", "STOP", "USD", "0.1", trading_disabled=True),
                product("OLD-USD", "OLD", "USD", "0.1", status="delisted", trading_disabled=True),
            ]
        ),
    )
    assert [(one.symbol, one.name, one.status, one.source_status, one.tick, one.step) for one in page.instruments] == [
        ("BTC-USD", "BTC-USD", "trading", "online", "0.01", "0.00000001"),
        ("BTC-USDT", "BTC-USDT", "trading", "online", "0.01", "0.00000001"),
        ("SOON-USD", "SOON-USD", "limited", "online, limit_only, post_only", "0.0001", "0.00000001"),
        ("STOP-USD", "STOP-USD", "halted", "online, trading_disabled", "0.1", "0.00000001"),
        ("OLD-USD", "OLD-USD", "closed", "delisted, trading_disabled", "0.1", "0.00000001"),
    ]


def test_coinbase_advanced_has_one_book_for_usd_and_usdc() -> None:
    def product(name: str, alias: str = "", sort: str = "SPOT", **more: Any) -> dict[str, Any]:
        base, _, quote = name.partition("-")
        return {
            "product_id": name,
            "price": "58382.78",
            "base_increment": "0.00000001",
            "quote_increment": "0.01",
            "is_disabled": False,
            "status": "online",
            "product_type": sort,
            "quote_currency_id": quote,
            "base_currency_id": base,
            "fcm_trading_session_details": None,
            "alias": alias,
            "alias_to": [],
            "price_increment": "0.01",
            **more,
        }

    page = coinbase.advanced(
        "coinbaseadvanced",
        body(
            {
                "products": [
                    product("BTC-USDC", alias="BTC-USD"),
                    product("BTC-USD"),
                    # It has a book of its own.
                    product("USDT-USDC", price_increment="0.00001"),
                    product("BIT-26DEC26-CDE", sort="FUTURE"),
                ],
                "num_products": 4,
            }
        ),
    )
    assert [(one.symbol, one.name, one.quote, one.tick, one.also) for one in page.instruments] == [
        ("BTC-USD", "BTC-USD", "USD", "0.01", ("BTC-USDC",)),
        ("USDT-USDC", "USDT-USDC", "USDC", "0.00001", ()),
    ]


def test_kraken_calls_bitcoin_by_its_usual_name() -> None:
    def pair(wsname: str, altname: str, decimals: int, **more: Any) -> dict[str, Any]:
        return {
            "altname": altname,
            "wsname": wsname,
            "aclass_base": "currency",
            "base": "X" + wsname[:3],
            "lot_decimals": 8,
            "pair_decimals": decimals,
            "fees": [[0, 0.4]],
            "status": "online",
            **more,
        }

    page = kraken.spot(
        "kraken",
        body(
            {
                "error": [],
                "result": {
                    "XXBTZUSD": pair("XBT/USD", "XBTUSD", 1, tick_size="0.1"),
                    "XETHXXBT": pair("ETH/XBT", "ETHXBT", 5, tick_size="0.00001"),
                    "XDGUSD": pair("XDG/USD", "XDGUSD", 7),
                    "AAPLxUSD": pair("AAPLx/USD", "AAPLxUSD", 2, tick_size="0.01", status="limit_only"),
                    "XXBTZEUR.d": {"altname": "XBTEUR.d", "pair_decimals": 1},
                },
            }
        ),
    )
    assert [
        (one.symbol, one.name, one.base, one.quote, one.tick, one.step, one.status, one.also)
        for one in page.instruments
    ] == [
        ("BTC-USD", "BTC/USD", "BTC", "USD", "0.1", "0.00000001", "trading", ("XBT/USD", "XBTUSD", "XXBTZUSD")),
        ("ETH-BTC", "ETH/BTC", "ETH", "BTC", "0.00001", "0.00000001", "trading", ("ETH/XBT", "ETHXBT", "XETHXXBT")),
        ("DOGE-USD", "DOGE/USD", "DOGE", "USD", "0.0000001", "0.00000001", "trading", ("XDG/USD", "XDGUSD")),
        ("AAPLx-USD", "AAPLx/USD", "AAPLx", "USD", "0.01", "0.00000001", "limited", ("AAPLxUSD",)),
    ]


def bybit_answer(entries: list[dict[str, Any]], cursor: str = "") -> bytes:
    result = {"category": "linear", "list": entries, "nextPageCursor": cursor}
    return body({"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": 1_735_809_771_618})


def test_bybit_spot() -> None:
    page = bybit.category(
        "bybit",
        bybit_answer(
            [
                {
                    "symbol": "BTCUSDT",
                    "baseCoin": "BTC",
                    "quoteCoin": "USDT",
                    "innovation": "0",
                    "status": "Trading",
                    "marginTrading": "utaOnly",
                    "lotSizeFilter": {"basePrecision": "0.000001", "quotePrecision": "0.00000001"},
                    "priceFilter": {"tickSize": "0.01"},
                }
            ]
        ),
    )
    assert page.instruments == [
        Instrument(
            symbol="BTC-USDT",
            source="bybit",
            name="BTCUSDT",
            base="BTC",
            quote="USDT",
            kind="spot",
            status="trading",
            source_status="Trading",
            tick="0.01",
            step="0.000001",
        )
    ]


def test_bybit_linear_is_paged() -> None:
    def contract(symbol: str, kind: str, base: str, quote: str, **more: Any) -> dict[str, Any]:
        return {
            "symbol": symbol,
            "contractType": kind,
            "status": "Trading",
            "baseCoin": base,
            "quoteCoin": quote,
            "launchTime": "1584230400000",
            "deliveryTime": "0",
            "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"},
            "lotSizeFilter": {"maxOrderQty": "1190.000", "minOrderQty": "0.001", "qtyStep": "0.001"},
            "fundingInterval": 480,
            "settleCoin": quote,
            **more,
        }

    page = bybit.category(
        "bybitlinear",
        bybit_answer(
            [
                contract("BTCUSDT", "LinearPerpetual", "BTC", "USDT"),
                contract("BTCPERP", "LinearPerpetual", "BTC", "USDC"),
                contract("SHIB1000USDT", "LinearPerpetual", "SHIB1000", "USDT"),
                contract("1000PEPEUSDT", "LinearPerpetual", "1000PEPE", "USDT"),
                contract("BTC-25DEC26", "LinearFutures", "BTC", "USDC", deliveryTime=str(CHRISTMAS_MS)),
                contract("BIOUSDT", "LinearPerpetual", "BIO", "USDT", status="PreLaunch"),
                # Its quantities are in USD, and it is of another category.
                contract("BTCUSD", "InversePerpetual", "BTC", "USD"),
            ],
            "first%3DBTCUSDT%26last%3DBTCUSD",
        ),
    )
    assert page.cursor == "first%3DBTCUSDT%26last%3DBTCUSD"
    assert [(one.symbol, one.name, one.base, one.kind, one.status, one.expires_ms) for one in page.instruments] == [
        ("BTC-USDT-PERP", "BTCUSDT", "BTC", "perpetual", "trading", None),
        ("BTC-USDC-PERP", "BTCPERP", "BTC", "perpetual", "trading", None),
        ("1000SHIB-USDT-PERP", "SHIB1000USDT", "1000SHIB", "perpetual", "trading", None),
        ("1000PEPE-USDT-PERP", "1000PEPEUSDT", "1000PEPE", "perpetual", "trading", None),
        ("BTC-USDC-20261225", "BTC-25DEC26", "BTC", "future", "trading", CHRISTMAS_MS),
        ("BIO-USDT-PERP", "BIOUSDT", "BIO", "perpetual", "pending", None),
    ]
    assert {(one.tick, one.step, one.contract_value) for one in page.instruments} == {("0.1", "0.001", "1")}


def okx_entry(name: str, sort: str, **more: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("baseCcy", "quoteCcy", "uly", "instFamily", "ctVal", "ctMult", "ctValCcy", "ctType"), "")
    return {"instId": name, "instType": sort, "state": "live", "tickSz": "0.1", "lotSz": "0.01", **empty, **more}


def okx_contract(name: str, sort: str, family: str, value: str, unit: str, **more: Any) -> dict[str, Any]:
    fields = {"uly": family, "instFamily": family, "ctVal": value, "ctMult": "1", "ctValCcy": unit, "ctType": "linear"}
    return okx_entry(name, sort, **{**fields, **more})


def okx_answer(*entries: dict[str, Any]) -> bytes:
    return body({"code": "0", "data": list(entries), "msg": ""})


def test_okx_spot() -> None:
    page = okx.public(
        "okx",
        okx_answer(
            okx_entry("BTC-USDT", "SPOT", baseCcy="BTC", quoteCcy="USDT", lotSz="0.00000001"),
            okx_entry("OLD-USDT", "SPOT", baseCcy="OLD", quoteCcy="USDT", state="suspend"),
        ),
    )
    assert [(one.symbol, one.name, one.kind, one.status, one.tick, one.step) for one in page.instruments] == [
        ("BTC-USDT", "BTC-USDT", "spot", "trading", "0.1", "0.00000001"),
        ("OLD-USDT", "OLD-USDT", "spot", "halted", "0.1", "0.01"),
    ]


def test_okx_contracts_have_a_value() -> None:
    page = okx.public(
        "okx",
        okx_answer(
            okx_contract("BTC-USDT-SWAP", "SWAP", "BTC-USDT", "0.01", "BTC"),
            okx_contract("SATS-USDT-SWAP", "SWAP", "SATS-USDT", "100000", "SATS", ctMult="100"),
            # Inverse: a contract is 100 USD at any price.
            okx_contract("BTC-USD-SWAP", "SWAP", "BTC-USD", "100", "USD", ctType="inverse", settleCcy="BTC"),
            # Linear, in USD and several stablecoins, with the same underlying.
            okx_contract("BTC-USD_UM-SWAP", "SWAP", "BTC-USD_UM", "0.01", "BTC", uly="BTC-USD", settleCcy="USDⓈ"),
            okx_contract("BTC-USDT-261225", "FUTURES", "BTC-USDT", "0.01", "BTC", expTime=str(CHRISTMAS_MS)),
            okx_contract("BTC-USD-261225-50000-C", "OPTION", "BTC-USD", "1", "BTC"),
        ),
    )
    assert [
        (one.symbol, one.name, one.base, one.quote, one.contract_value, one.inverse, one.expires_ms)
        for one in page.instruments
    ] == [
        ("BTC-USDT-PERP", "BTC-USDT-SWAP", "BTC", "USDT", "0.01", False, None),
        ("SATS-USDT-PERP", "SATS-USDT-SWAP", "SATS", "USDT", "10000000", False, None),
        ("BTC-USD-PERP", "BTC-USD-SWAP", "BTC", "USD", "100", True, None),
        ("BTC-USD_UM-PERP", "BTC-USD_UM-SWAP", "BTC", "USD", "0.01", False, None),
        ("BTC-USDT-20261225", "BTC-USDT-261225", "BTC", "USDT", "0.01", False, CHRISTMAS_MS),
    ]


def test_a_contract_of_an_unknown_unit_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    page = okx.public(
        "okx",
        okx_answer(
            # A quanto: the price is in USD, and a contract is worth BTC.
            okx_contract("ETH-USD-SWAP", "SWAP", "ETH-USD", "0.001", "BTC"),
            # As it is announced before all of its fields are known.
            okx_entry("SOON-USDT-SWAP", "SWAP", state="preopen"),
            okx_contract("ZERO-USDT-SWAP", "SWAP", "ZERO-USDT", "0", "ZERO"),
            okx_contract("LATE-USDT-261225", "FUTURES", "LATE-USDT", "1", "LATE"),
            okx_contract("BTC-USDT-SWAP", "SWAP", "BTC-USDT", "0.01", "BTC"),
        ),
    )
    assert [one.symbol for one in page.instruments] == ["BTC-USDT-PERP"]
    (message,) = caplog.messages
    assert message.startswith("okx: 4 entries of its list can't be read and are left out; the first: 'ETH-USD-SWAP': ")


@pytest.mark.parametrize(
    ("read", "answer", "why"),
    [
        (kraken.spot, {"error": ["EGeneral:Too many requests"]}, "it answers EGeneral:Too many requests"),
        (bybit.category, {"retCode": 10006, "retMsg": "Too many visits!"}, "it answers 10006 Too many visits!"),
        (okx.public, {"code": "50011", "msg": "Too Many Requests", "data": []}, "it answers 50011 Too Many Requests"),
        (binance.spot, {"code": -1003, "msg": "Too much request weight used"}, "missing required field `symbols`"),
        (coinbase.exchange, {"message": "NotFound"}, "Expected `array`, got `object`"),
        (coinbase.advanced, {"error": "unknown"}, "missing required field `products`"),
        (binance.usdm, {"symbols": {}}, "Expected `array`, got `object`"),
    ],
)
def test_an_answer_that_is_an_error_is_none(read: Any, answer: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read("source", body(answer))
