"""A list is fetched within limits, whatever the other side does."""

import gzip
import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import pytest

from tests.feeds.rest import Answer, Rest, products, refuses
from tickertape.stream.errors import ConfigError
from tickertape.stream.feeds.hosts.budget import Budget
from tickertape.stream.feeds.instruments import sources
from tickertape.stream.feeds.instruments.sources import SOURCES, FetchError, fetch


def why(source: str, url: str) -> str:
    with pytest.raises(FetchError) as told:
        fetch(source, url)
    return str(told.value)


def test_a_list_is_fetched(rest: Rest) -> None:
    rest.answers = [products("BTC-USD", "ETH-USD")]
    assert [one.symbol for one in fetch("coinbase", rest.url)] == ["BTC-USD", "ETH-USD"]
    assert rest.asked == ["/list"]


def bybit_page(cursor: str, *symbols: str) -> bytes:
    entries = [
        {"symbol": f"{one}USDT", "contractType": "LinearPerpetual", "baseCoin": one, "quoteCoin": "USDT"}
        for one in symbols
    ]
    return json.dumps({"retCode": 0, "result": {"list": entries, "nextPageCursor": cursor}}).encode()


def test_all_pages_are_fetched(rest: Rest) -> None:
    rest.answers = [
        bybit_page("first%3DA%26last%3DB", "A", "B"),
        bybit_page("c&category=inverse d", "C", "B"),
        bybit_page("", "D"),
    ]
    found = fetch("bybitlinear", rest.url)
    assert [one.name for one in found] == ["AUSDT", "BUSDT", "CUSDT", "DUSDT"]
    # A cursor comes escaped, and is sent as it came. One that would ask for something else is escaped.
    assert rest.asked == [
        "/list?category=linear&limit=1000",
        "/list?category=linear&limit=1000&cursor=first%3DA%26last%3DB",
        "/list?category=linear&limit=1000&cursor=c%26category%3Dinverse%20d",
    ]


def test_pages_without_end_are_no_list(rest: Rest) -> None:
    rest.answers = [bybit_page("a", "A"), bybit_page("b", "B"), bybit_page("a", "C")]
    assert why("bybitlinear", rest.url) == "its pages go round in a circle"
    assert len(rest.asked) == 3
    rest.answers = [bybit_page(str(number), "A") for number in range(100)]
    assert why("bybitlinear", rest.url) == "it has more than 20 pages"


def test_all_kinds_are_fetched_or_none(rest: Rest) -> None:
    def okx(name: str, sort: str, **more: str) -> bytes:
        contract = {"uly": "BTC-USDT", "instFamily": "BTC-USDT", "ctVal": "0.01", "ctValCcy": "BTC", "ctType": "linear"}
        return json.dumps({"code": "0", "data": [{"instId": name, "instType": sort, **contract, **more}]}).encode()

    swap = okx("BTC-USDT-SWAP", "SWAP")
    future = okx("BTC-USDT-261225", "FUTURES", expTime="1798185600000")
    rest.answers = [swap, future]
    found = fetch("okxswap", f"{rest.url}?region=eea")
    assert [one.symbol for one in found] == ["BTC-USDT-PERP", "BTC-USDT-20261225"]
    assert rest.asked == ["/list?region=eea&instType=SWAP", "/list?region=eea&instType=FUTURES"]
    rest.answers = [swap, refuses(429, Retry_After="2")]
    assert why("okxswap", rest.url) == "HTTP 429 Too Many Requests"


def test_an_address_keeps_the_parameters_that_it_has(rest: Rest) -> None:
    rest.answers = [bybit_page("next", "A"), bybit_page("", "B")]
    assert len(fetch("bybitlinear", f"{rest.url}?category=inverse")) == 2
    assert rest.asked == ["/list?category=inverse&limit=1000", "/list?category=inverse&limit=1000&cursor=next"]
    rest.asked.clear()
    rest.answers = [b'{"code": "0", "data": []}']
    assert why("okxswap", f"{rest.url}?instType=SWAP") == "it lists no instruments"
    assert rest.asked == ["/list?instType=SWAP"]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (refuses(429), "HTTP 429 Too Many Requests"),
        (refuses(418, Retry_After="120"), "HTTP 418 I'm a Teapot"),
        (refuses(451), "HTTP 451 Unavailable For Legal Reasons"),
        (refuses(403, Retry_After="soon"), "HTTP 403 Forbidden"),
        (refuses(500), "HTTP 500 Internal Server Error"),
        (refuses(204), "HTTP 204 No Content"),
        (refuses(302, Location="file:///etc/passwd"), "HTTP 302 Found"),
        (b"", "its answer can't be read: Input data was truncated"),
        (b"<html>a login page</html>", "its answer can't be read: JSON is malformed: invalid character (byte 0)"),
        (products("BTC-USD", "ETH-USD")[:-30], "its answer can't be read: Input data was truncated"),
        (b"[" * 100_000, "its answer can't be read: maximum recursion depth exceeded"),
        (b"\xff\xfe\x00", "its answer can't be read: JSON is malformed: invalid character (byte 0)"),
        (b"[]", "it lists no instruments"),
        (products("EVIL|-USD"), "it lists no instruments"),
    ],
)
def test_what_is_no_list_is_told_in_a_line(rest: Rest, answer: Answer, told: str) -> None:
    rest.answers = [answer]
    assert why("coinbase", rest.url).startswith(told)


def cut_off(handler: BaseHTTPRequestHandler) -> None:
    """Promise more than is sent."""
    whole = products("BTC-USD")
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(whole)))
    handler.end_headers()
    handler.wfile.write(whole[:-1])
    handler.close_connection = True


def test_half_an_answer_is_none(rest: Rest) -> None:
    rest.answers = [cut_off]
    assert why("coinbase", rest.url).startswith("Response payload is not completed")


def drips_body(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    _drip(handler, b" ")


def drips_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    _drip(handler, b"X-Again: and again\r\n")


def says_nothing(handler: BaseHTTPRequestHandler) -> None:
    _drip(handler, b"")


def _drip(handler: BaseHTTPRequestHandler, piece: bytes) -> None:
    for _ in range(100):
        handler.wfile.write(piece)
        time.sleep(0.03)


@pytest.mark.parametrize("answer", [drips_body, drips_headers, says_nothing])
def test_a_slow_drip_ends_in_time(
    rest: Rest, answer: Callable[[BaseHTTPRequestHandler], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "FETCH_SECONDS", 0.3)
    rest.answers = [answer]
    began = time.monotonic()
    assert why("coinbase", rest.url) == "no answer within 0.3 s"
    assert time.monotonic() - began < 2


def test_the_time_is_that_of_all_pages(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "FETCH_SECONDS", 0.5)
    pages = iter(range(100))

    def slow(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.2)
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(bybit_page(f"c{next(pages)}", "A"))

    rest.answers = [slow]
    assert why("bybitlinear", rest.url) == "no answer within 0.5 s"
    assert 2 <= len(rest.asked) <= 3


def test_the_size_is_that_of_all_pages_unpacked(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "FETCH_BYTES", 10_000)
    rest.answers = [products("BTC-USD") + b" " * 10_000]
    assert why("coinbase", rest.url) == "the answer has more than 10,000 bytes"
    page = bybit_page("", "A")
    rest.answers = [bybit_page("1", "A") + b" " * 6000, page + b" " * 6000]
    assert why("bybitlinear", rest.url) == "its pages have more than 10,000 bytes"

    def bomb(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.end_headers()
        handler.wfile.write(gzip.compress(products("BTC-USD") + b" " * 10_000_000))

    rest.answers = [bomb]
    assert why("coinbase", rest.url) == "the answer has more than 10,000 bytes"


def test_a_compressed_answer_is_unpacked(rest: Rest) -> None:
    def packed(handler: BaseHTTPRequestHandler) -> None:
        assert "gzip" in handler.headers["Accept-Encoding"]
        assert handler.headers["User-Agent"] == "tickertape"
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.end_headers()
        handler.wfile.write(gzip.compress(products("BTC-USD")))

    rest.answers = [packed]
    assert [one.symbol for one in fetch("coinbase", rest.url)] == ["BTC-USD"]


def test_other_addresses_than_http_are_refused() -> None:
    for url in ("file:///etc/passwd", "ftp://example/x", "example.com"):
        assert why("coinbase", url).startswith(("ftp://", "file://", "example.com", "NonHttp", "Invalid", url))
    assert why("coinbase", "http://127.0.0.1:9/").startswith("Cannot connect to host 127.0.0.1:9")


def test_a_host_that_is_to_be_left_alone_is_asked_for_no_list(rest: Rest) -> None:
    rest.answers = [refuses(429, Retry_After="90"), products("BTC-USD")]
    assert why("coinbase", rest.url) == "HTTP 429 Too Many Requests"
    assert why("coinbase", rest.url).startswith("its host allows no request for ")
    # It isn't for feeds either.
    assert Budget("127.0.0.1").blocked_seconds == 0.0
    assert Budget("127.0.0.1")._ask("connections", 1.0) > 60.0
    assert len(rest.asked) == 1


def test_an_unknown_source_is_told() -> None:
    with pytest.raises(ConfigError, match="nasdaq: no list of instruments is known; there are those of binance, "):
        fetch("nasdaq", "http://127.0.0.1:9/")
    assert all(source.url.startswith("https://") for source in SOURCES.values())
