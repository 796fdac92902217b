"""Histories that are asked by time: servers that answer as the exchanges' documents say, and what is made of it."""

import asyncio
import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.feeds.exchanges.table import Table
from tests.feeds.rest import Rest, refuses
from tickertape.schemas.trade import Trade
from tickertape.stream.errors import InputError
from tickertape.stream.feeds.adapt.exchange import Exchange
from tickertape.stream.feeds.define.page import Page
from tickertape.stream.feeds.exchanges.binance import Binance, BinanceSettings
from tickertape.stream.feeds.exchanges.binance_usdm import BinanceUsdm, BinanceUsdmSettings
from tickertape.stream.feeds.exchanges.kraken import Kraken, KrakenSettings
from tickertape.stream.feeds.history import binance as binance_history
from tickertape.stream.feeds.history import kraken as kraken_history
from tickertape.stream.feeds.hosts.limit import Limit, Limits
from tickertape.stream.feeds.hosts.request import getter

MANY = Limits(requests=Limit(1_000_000, 1.0))
# An hour ago, as USD-M has the last two days.
T = time.time_ns() // 1_000_000 - 3_600_000
Answer = Callable[[str], Any]


def kraken(url: str = "") -> Kraken:
    return Kraken(KrakenSettings(history_url=url), ["BTC-USD"], Table({"BTC/USD": "BTC-USD"}), "kraken")


def usdm(url: str = "") -> BinanceUsdm:
    names = Table({"BTCUSDT": "BTC-USDT-PERP"})
    return BinanceUsdm(BinanceUsdmSettings(history_url=url), ["BTC-USDT-PERP"], names, "binanceusdm")


def spot(url: str = "") -> Binance:
    names = Table({"BTCUSDT": "BTC-USDT"})
    return Binance(BinanceSettings(history_url=url, channels="aggregates"), ["BTC-USDT"], names, "binance")


def trades_at(*times_ns: int) -> Answer:
    """Return what answers as Kraken does, with trades of these times and the numbers from 1 on."""

    def answer(query: str) -> Any:
        asked = parse_qs(query)
        since, count = int(asked["since"][0]), int(asked["count"][0])
        assert asked["pair"] == ["BTC/USD"]
        found = [(number, at) for number, at in enumerate(times_ns, 1) if at > since][:count]
        rows = [
            ["60000.50000", "0.25000000", at / 1e9, "b" if number % 2 else "s", "m", "", number] for number, at in found
        ]
        # Rows are those of the documents; times with all digits.
        text = json.dumps(rows)
        for (_, at), row in zip(found, rows, strict=True):
            text = text.replace(f"{row[2]!r},", f"{at // 10**9}.{at % 10**9:09d},", 1)
        last = found[-1][1] if found else since
        return f'{{"error":[],"result":{{"XXBTZUSD":{text},"last":"{last}"}}}}'

    return answer


def aggregates_at(*times_ms: int, of: int = 3) -> Answer:
    """Return what answers as Binance does, with aggregates of these times, each of some trades; the numbers from 1."""

    def answer(query: str) -> Any:
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        assert asked["symbol"] == "BTCUSDT"
        limit = int(asked["limit"])
        first, begin, end = int(asked.get("fromId", 0)), int(asked.get("startTime", 0)), int(asked.get("endTime", 1e15))
        if "fromId" in asked:
            assert "startTime" not in asked
        else:
            assert end - begin < 3_600_000
        found = [
            {"a": 700 + at, "p": "60000.5", "q": "0.25", "nq": "0.25", "f": of * at + 1, "l": of * at + of, "T": when}
            | {"m": at % 2 == 0}
            for at, when in enumerate(times_ms)
            if 700 + at >= first and begin <= when <= end
        ]
        return json.dumps(found[:limit])

    return answer


def serves(answer: Answer) -> Callable[[BaseHTTPRequestHandler], None]:
    def handle(handler: BaseHTTPRequestHandler) -> None:
        body = answer(urlsplit(handler.path).query).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return handle


def over_http(source: Exchange, first: int, last: int | None, since_ms: int = T) -> Page:
    get = getter(MANY, 5.0)
    return asyncio.run(source.missed(get, source.symbols[0], first, last, since_ms))


def asked(source: Exchange, answer: Answer, first: int, last: int | None, since_ms: int = T) -> tuple[Page, list[str]]:
    """Return a page of a history, and the queries that it took."""
    queries: list[str] = []

    async def get(url: str, _: float) -> bytes:
        queries.append(url.partition("?")[2])
        return answer(queries[-1]).encode()  # type: ignore[no-any-return]  # a text

    return asyncio.run(source.missed(get, source.symbols[0], first, last, since_ms)), queries


def ids(page: Page) -> list[int | str]:
    return [one.id for one in page.trades]


def ns(*parts_ms: float) -> list[int]:
    """Return times so many ms after `T`, ns."""
    return [T * 1_000_000 + round(part * 1_000_000) for part in parts_ms]


def test_kraken_is_asked_from_before_the_trade_before_the_gap(rest: Rest) -> None:
    rest.answers = [serves(trades_at(*ns(0, 1.0007, 1.999999, 5)))]
    page = over_http(kraken(rest.url), 2, 3)
    assert rest.asked == [f"/list?pair=BTC%2FUSD&since={(T - 1000) * 1_000_000}&count=1000"]
    assert [(one.id, one.time_ms, one.side) for one in page.trades] == [(2, T + 1, "sell"), (3, T + 1, "buy")]
    assert (page.trades[0].symbol, page.trades[0].price, page.trades[0].quantity) == ("BTC-USD", 60000.5, 0.25)
    assert (page.has_more, page.reaches) == (False, 3)
    # Nothing is missing.
    assert over_http(kraken(rest.url), 5, None) == Page([], has_more=False)
    assert KrakenSettings().history_url == ""
    assert kraken().histories["trades"].url == "https://api.kraken.com/0/public/Trades"


def test_a_page_of_kraken_may_end_within_a_millisecond() -> None:
    # 2,500 trades in one ms, 100 ns apart, the first of which is the last that came.
    answer = trades_at(*(ns(0)[0] + 100 * at for at in range(2500)), *ns(2))
    page, queries = asked(kraken(), answer, 1500, None)
    assert ids(page) == list(range(1500, 2000)) or ids(page)[0] == 1500
    assert page.has_more
    assert len(queries) == 2
    page, _ = asked(kraken(), answer, 2400, None)
    assert ids(page) == list(range(2400, 2502))
    assert not page.has_more
    # More of the very same time than a page has can't be told apart.
    with pytest.raises(ValueError, match="don't get to trade 1200"):
        asked(kraken(), trades_at(*ns(0) * 1500), 1200, None)


def test_binance_is_asked_for_aggregates_by_time_and_then_by_their_numbers(rest: Rest) -> None:
    rest.answers = [serves(aggregates_at(T, T + 100, T + 100, T + 300))]
    page = over_http(usdm(rest.url), 4, 9)
    begin = T - 1000
    assert rest.asked == [f"/list?symbol=BTCUSDT&limit=1000&startTime={begin}&endTime={begin + 3_599_999}"]
    assert [(one.id, one.last_id, one.time_ms, one.side) for one in page.trades] == [
        (4, 6, T + 100, "buy"),
        (7, 9, T + 100, "sell"),
    ]
    assert (page.trades[0].symbol, page.trades[0].source) == ("BTC-USDT-PERP", "binanceusdm")
    assert (page.has_more, page.reaches) == (False, 9)
    # 2,500 aggregates of one ms.
    page, queries = asked(usdm(), aggregates_at(*[T] * 2500), 3 * 1500 + 1, None)
    assert [query.rpartition("&")[2].partition("=")[0] for query in queries] == ["endTime", "fromId"]
    assert queries[1].endswith("&fromId=1700")
    assert (ids(page)[0], len(page.trades), page.has_more) == (4501, 500, True)


def test_spot_has_aggregates_too() -> None:
    page, queries = asked(spot(), aggregates_at(T, T + 5, of=1), 2, 2)
    # An aggregate of one trade is one trade.
    assert [(one.id, one.last_id) for one in page.trades] == [(2, None)]
    assert len(queries) == 1
    assert spot().histories["aggregates"].url == "https://api.binance.com/api/v3/aggTrades"
    assert usdm().histories["trades"].url == "https://fapi.binance.com/fapi/v1/aggTrades"


def test_a_quiet_symbol_is_asked_for_hour_by_hour_up_to_now() -> None:
    since = T - 5 * 3_600_000
    page, queries = asked(usdm(), aggregates_at(since, T), 4, None, since)
    assert ids(page) == [4]
    assert len(queries) == 6
    page, queries = asked(usdm(), aggregates_at(since), 4, None, since)
    assert page == Page([], has_more=False)
    assert len(queries) == 7


def test_what_usdm_no_longer_has_is_not_asked_for() -> None:
    page, queries = asked(usdm(), aggregates_at(T), 2, None, T - 100 * 24 * 3_600_000)
    assert int(parse_qs(queries[0])["startTime"][0]) > T - 48 * 3_600_000
    # The aggregate of the trades 1 to 3 begins before what was asked for, and isn't taken in part.
    assert page == Page([], has_more=False)
    assert len(queries) > 40


@pytest.mark.parametrize("source", [kraken(), usdm()])
def test_a_page_in_another_order_and_with_repeats_is_put_in_order(source: Exchange) -> None:
    straight = trades_at(*ns(0, 1, 2, 3)) if source.name == "kraken" else aggregates_at(T, T + 1, T + 2, T + 3, of=1)

    def turned(query: str) -> str:
        answer = json.loads(straight(query))
        rows = answer["result"]["XXBTZUSD"] if source.name == "kraken" else answer
        rows.reverse()
        return json.dumps(answer)

    assert ids(asked(source, turned, 2, None)[0]) == [2, 3, 4]


def test_a_history_with_older_trades_under_these_numbers_is_another_one() -> None:
    with pytest.raises(InputError, match="its history has older trades under the numbers from 2 on"):
        asked(spot(), lambda _: aggregates_at(T - 120_000, T - 110_000, of=1)("symbol=BTCUSDT&limit=9&fromId=1"), 2, 2)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ('{"error":["EGeneral:Too many requests"]}', OSError),
        ('{"error":["EAPI:Rate limit exceeded"]}', OSError),
        ('{"error":["EService:Unavailable"]}', OSError),
        ('{"error":["EQuery:Unknown asset pair"]}', InputError),
        ("", ValueError),
        ("<html>", ValueError),
        ('{"error":[],"result":{}}', ValueError),
        ('{"error":[],"result":{"last":"1"}}', ValueError),
        ('{"error":[],"result":{"XXBTZUSD":[],"last":"never"}}', ValueError),
        ('{"error":[],"result":{"XXBTZUSD":[["1","1",1700000000.5,"x","m","",2]],"last":"1"}}', ValueError),
        ('{"error":[],"result":{"XXBTZUSD":[["-1","1",1700000000.5,"b","m","",2]],"last":"1"}}', ValueError),
        ('{"error":[],"result":{"XXBTZUSD":[["1","1",17.5,"b","m","",2]],"last":"1"}}', ValueError),
        ('{"error":[],"result":{"XXBTZUSD":[["1","1",1e999,"b","m","",2]],"last":"1"}}', ValueError),
    ],
)
def test_what_kraken_refuses_or_garbles_is_an_error(body: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        asked(kraken(), lambda _: body, 1, None)


@pytest.mark.parametrize("body", ["", "{}", '{"code":-1121,"msg":"Invalid symbol."}', '[{"a":1}]', "[[]]"])
def test_what_binance_garbles_is_an_error(body: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        asked(usdm(), lambda _: body, 1, None)


def test_a_host_that_is_busy_may_be_asked_again(rest: Rest) -> None:
    rest.answers = [refuses(503), serves(trades_at(*ns(0, 1)))]
    with pytest.raises(OSError, match="HTTP 503"):
        over_http(kraken(rest.url), 2, None)
    assert ids(over_http(kraken(rest.url), 2, None)) == [2]


@given(
    steps=st.lists(st.sampled_from([0, 1, 999_999, 1_000_000, 700_000_000]), min_size=1, max_size=40),
    first=st.integers(1, 40),
)
@settings(max_examples=100, deadline=None)
def test_page_by_page_all_of_kraken_comes(steps: list[int], first: int) -> None:
    times, same = ns(0), 0
    for step in steps:
        # Of one time at most so many as a page has besides one.
        same = same + 1 if step == 0 else 0
        times.append(times[-1] + (step if same < 3 else 1))
        same %= 3
    whole(kraken(), trades_at(*times), len(times), min(first, len(times)), lambda at: times[at] // 1_000_000, 1)


@given(steps=st.lists(st.sampled_from([0, 0, 1, 700, 4_000_000]), min_size=1, max_size=40), first=st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_page_by_page_all_of_binance_comes(steps: list[int], first: int) -> None:
    times = [T - 40 * 3_600_000]
    for step in steps:
        times.append(min(times[-1] + step, T))
    whole(usdm(), aggregates_at(*times), len(times), min(first, len(times)), lambda at: times[at], 3)


def whole(source: Exchange, answer: Answer, count: int, first: int, time_of: Callable[[int], int], of: int) -> None:
    """Ask for all from a trade on, page by page as a refill does, and compare it with what there is."""
    found: list[Trade] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kraken_history, "_PAGE", 5)
        patched.setattr(binance_history, "_PAGE", 5)
        number, since_ms = of * (first - 1) + 1, time_of(max(first - 2, 0))
        for _ in range(200):
            page, _ = asked(source, answer, number, None, since_ms)
            found += page.trades
            if not page.has_more:
                break
            last = page.trades[-1]
            number, since_ms = (page.reaches or 0) + 1, last.time_ms
    assert [(one.id, one.time_ms) for one in found] == [(of * at + 1, time_of(at)) for at in range(first - 1, count)]
