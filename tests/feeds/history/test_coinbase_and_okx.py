"""Histories that are asked from a number downwards: answers written by hand from the exchanges' documents."""

import asyncio
import json
from collections.abc import Callable, Sequence

import pytest

from tests.feeds.exchanges.table import Table
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.adapt.exchange import Exchange
from tickertape.stream.feeds.define.page import Page
from tickertape.stream.feeds.exchanges.coinbase import Coinbase, CoinbaseSettings
from tickertape.stream.feeds.exchanges.okx import Okx, OkxSettings
from tickertape.stream.feeds.exchanges.okx_swap import OkxSwap, OkxSwapSettings

T = 1_700_000_000_000
Entry = Callable[[int], dict[str, object]]


def coinbase() -> Coinbase:
    return Coinbase(CoinbaseSettings(), ["BTC-USD"], Table({"BTC-USD": "BTC-USD"}), "coinbase")


def okx() -> Okx:
    return Okx(OkxSettings(), ["BTC-USDT"], Table({"BTC-USDT": "BTC-USDT"}), "okx")


def matched(number: int) -> dict[str, object]:
    """Return a trade of Coinbase, whose taker bought."""
    time = "2023-11-14T22:13:20.000000Z"
    return {"trade_id": number, "side": "sell", "size": "0.25", "price": "60000.50000000", "time": time}


def traded(number: int) -> dict[str, object]:
    """Return a trade of OKX, whose taker sold."""
    return {"instId": "BTC-USDT", "side": "sell", "sz": "0.25", "px": "60000.5", "tradeId": str(number), "ts": str(T)}


def asked(source: Exchange, first: int, last: int | None, there: Sequence[int]) -> tuple[Page, list[str]]:
    """Return a page of a history that has these trades, and what was asked of it."""
    requests: list[str] = []

    async def get(url: str, _: float) -> bytes:
        requests.append(url)
        query = dict(part.split("=") for part in url.partition("?")[2].split("&"))
        below = int(query.get("after", 1 << 60))
        found = sorted((number for number in there if number < below), reverse=True)[: int(query["limit"])]
        if isinstance(source, Okx):
            return json.dumps({"code": "0", "msg": "", "data": list(map(traded, found))}).encode()
        return json.dumps(list(map(matched, found))).encode()

    page = asyncio.run(source.missed(get, source.symbols[0], first, last, T))
    return page, requests


@pytest.mark.parametrize(("source", "most"), [(coinbase(), 1000), (okx(), 100)])
def test_a_gap_is_asked_for_from_its_end_on(source: Exchange, most: int) -> None:
    page, requests = asked(source, 5, 7, range(1, 3000))
    assert [one.id for one in page.trades] == [5, 6, 7]
    assert not page.has_more
    assert len(requests) == 1
    assert requests[0].endswith("&after=8")
    # A longer one page by page, from its beginning.
    page, requests = asked(source, 5, 2500, range(1, 3000))
    assert [one.id for one in page.trades] == list(range(5, 5 + most))
    assert page.has_more
    # The last page.
    page, _ = asked(source, 2500 - most + 1, 2500, range(1, 3000))
    assert (len(page.trades), page.has_more) == (most, False)


@pytest.mark.parametrize(("source", "most"), [(coinbase(), 1000), (okx(), 100)])
def test_where_the_end_is_not_known_the_newest_are_asked_for_first(source: Exchange, most: int) -> None:
    page, requests = asked(source, 2990, None, range(1, 3000))
    assert [one.id for one in page.trades] == list(range(2990, 3000))
    assert not page.has_more
    assert len(requests) == 1
    # Nothing is missing.
    assert asked(source, 3000, None, range(1, 3000))[0] == Page([], has_more=False)
    # More than a page.
    page, requests = asked(source, 11, None, range(1, 3000))
    assert [one.id for one in page.trades] == list(range(11, 11 + most))
    assert page.has_more
    assert len(requests) == 2


def trade(source: str, symbol: str, side: str, quantity: float) -> Trade:
    return Trade(
        symbol=symbol,
        source=source,
        id=7,
        time_ms=T,
        price=60000.5,
        quantity=quantity,
        side=side,  # type: ignore[arg-type]  # one of two
    )


def test_sides_and_quantities_are_those_of_the_stream() -> None:
    swap = OkxSwap(
        OkxSwapSettings(),
        ["BTC-USDT-PERP"],
        Table({"BTC-USDT-SWAP": "BTC-USDT-PERP"}, {"BTC-USDT-SWAP": 0.01}),
        "okxswap",
    )
    for source, expected in (
        (coinbase(), trade("coinbase", "BTC-USD", "buy", 0.25)),
        (okx(), trade("okx", "BTC-USDT", "sell", 0.25)),
        # 0.25 contracts of 0.01 BTC.
        (swap, trade("okxswap", "BTC-USDT-PERP", "sell", 0.0025)),
    ):
        page, _ = asked(source, 7, 7, [7])
        (found,) = page.trades
        assert found.received_ms > T
        assert {name: getattr(found, name) for name in Trade.__struct_fields__} | {"received_ms": 0} == {
            name: getattr(expected, name) for name in Trade.__struct_fields__
        }


def test_an_error_is_one() -> None:
    async def get(_: str, _weight: float) -> bytes:
        return b'{"code": "51001", "msg": "Instrument ID does not exist", "data": []}'

    with pytest.raises(ValueError, match=r"^51001 Instrument ID does not exist$"):
        asyncio.run(okx().missed(get, "BTC-USDT", 1, 2, T))
    with pytest.raises(ValueError, match="array"):
        asyncio.run(coinbase().missed(get, "BTC-USD", 1, 2, T))
