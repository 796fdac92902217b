"""Binance's trades by number: an answer written by hand from its documents, and what is asked."""

import asyncio
import json
from typing import Any

import pytest

from tests.feeds.exchanges.test_binance import binance
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.define.page import Page
from tickertape.stream.feeds.exchanges.binance import Binance, BinanceSettings
from tickertape.stream.feeds.instruments.names import RecordedNames

T = 1_499_865_549_590


def entry(number: int, **changes: object) -> dict[str, object]:
    found = {"id": number, "price": "4.00000100", "qty": "12.00000000", "quoteQty": "48.000012", "time": T}
    return found | {"isBuyerMaker": True, "isBestMatch": True} | changes


def asked(body: bytes, first: int, last: int | None) -> tuple[Page, list[tuple[str, float]]]:
    requests = []

    async def get(url: str, weight: float) -> bytes:
        requests.append((url, weight))
        return body

    page = asyncio.run(binance().missed(get, "BTC-USDT", first, last, T))
    for at, trade in enumerate(page.trades):
        assert trade.received_ms > T
        page.trades[at] = Trade(**{name: getattr(trade, name) for name in Trade.__struct_fields__} | {"received_ms": 0})
    return page, requests


def trade(number: int, side: str = "sell") -> Trade:
    return Trade(
        symbol="BTC-USDT",
        source="binance",
        id=number,
        time_ms=T,
        price=4.000001,
        quantity=12.0,
        side=side,  # type: ignore[arg-type]  # one of two
    )


def test_trades_between_two_numbers() -> None:
    body = json.dumps([entry(28457), entry(28458, isBuyerMaker=False)]).encode()
    page, requests = asked(body, 28457, 28458)
    assert page == Page([trade(28457), trade(28458, "buy")], has_more=False)
    url = "https://api.binance.com/api/v3/historicalTrades?symbol=BTCUSDT&fromId=28457&limit=2"
    assert requests == [(url, 25.0)]


def test_all_that_there_are_from_a_number_on() -> None:
    page, requests = asked(json.dumps([entry(number) for number in range(1000)]).encode(), 0, None)
    assert (len(page.trades), page.has_more) == (1000, True)
    assert requests[0][0].endswith("fromId=0&limit=1000")
    page, _ = asked(json.dumps([entry(7)]).encode(), 7, None)
    assert (len(page.trades), page.has_more) == (1, False)
    assert asked(b"[]", 8, None)[0] == Page([], has_more=False)


def test_what_was_not_asked_for_is_left_out() -> None:
    page, _ = asked(json.dumps([entry(9), entry(8), entry(5), entry(10)]).encode(), 8, 9)
    assert page.trades == [trade(8), trade(9)]


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"code": -1121}', b'[{"id": 1}]', json.dumps([entry(1, price="0")]).encode()]
)
def test_another_answer_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        asked(body, 1, 2)


def test_single_trades_are_refilled_and_aggregates_by_aggregates() -> None:
    def refills(**settings: Any) -> bool:
        return Binance(BinanceSettings(**settings), ["BTCUSDT"], RecordedNames("binance"), "binance").refills

    assert refills()
    assert not refills(refill=False)
    assert refills(channels="aggregates")
    assert not refills(channels="aggregates", refill=False)
    assert not refills(channels="quotes")
