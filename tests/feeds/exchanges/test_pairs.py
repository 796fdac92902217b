"""What Binance's symbols are made of: by its own list, and where there is none."""

import json
import logging
import os
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from tickertape.stream.feeds.exchanges import pairs
from tickertape.stream.feeds.exchanges.pairs import ask, cached, forget, pair


@pytest.mark.parametrize(
    ("symbol", "found"),
    [
        ("BTCUSDT", "BTC-USDT"),
        ("BTCUSD", "BTC-USD"),
        ("ETHBTC", "ETH-BTC"),
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
    with pytest.raises(ValueError, match=r"^symbol "):
        pair(symbol)


@pytest.fixture
def exchange() -> Iterator[tuple[str, list[bytes]]]:
    """An exchange's address, and what it answers next; it has counted how often it was asked when that is used up."""
    answers: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.pop(0)
            self.send_response(200 if answer else 503)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/info", answers
    server.shutdown()
    thread.join()
    server.server_close()


def listed(**symbols: tuple[str, str]) -> bytes:
    return json.dumps(
        {
            "timezone": "UTC",
            "symbols": [
                {"symbol": name, "status": "TRADING", "baseAsset": base, "quoteAsset": quote}
                for name, (base, quote) in symbols.items()
            ],
        }
    ).encode()


def test_the_exchanges_own_list_decides_and_is_kept(exchange: tuple[str, list[bytes]]) -> None:
    url, answers = exchange
    answers.append(listed(BNBUSD=("BN", "BUSD"), NEWCOINQQ=("NEWCOIN", "QQ"), ODD=("O|", "D")))
    ask(url)
    assert (pair("BNBUSD"), pair("NEWCOINQQ"), pair("BTCUSDT")) == ("BN-BUSD", "NEWCOIN-QQ", "BTC-USDT")
    assert "ODD" not in cached().read_text()
    # It is of today: nobody is asked again, here and in another process.
    ask(url)
    forget()
    assert pair("NEWCOINQQ") == "NEWCOIN-QQ"


@pytest.mark.parametrize("answer", [b"", b"no JSON", b"[" * 100_000, b"{}"])
def test_where_it_cant_be_had_the_one_of_before_serves(
    exchange: tuple[str, list[bytes]], caplog: pytest.LogCaptureFixture, answer: bytes
) -> None:
    caplog.set_level(logging.WARNING)
    url, answers = exchange
    answers += [listed(NEWCOINQQ=("NEWCOIN", "QQ")), answer]
    ask(url)
    yesterday = time.time() - 25 * 3600
    os.utime(cached(), (yesterday, yesterday))
    ask(url)
    assert pair("NEWCOINQQ") == "NEWCOIN-QQ"
    (message,) = caplog.messages
    assert message.startswith(f"binance: can't fetch its list of symbols from {url} (")


def test_an_answer_without_end_is_none(
    exchange: tuple[str, list[bytes]], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, answers = exchange
    monkeypatch.setattr(pairs, "MOST_BYTES", 1000)
    answers.append(listed(NEWCOINQQ=("NEWCOIN", "QQ")) + b" " * 1000)
    ask(url)
    monkeypatch.setattr(pairs, "MOST_BYTES", 10_000)
    monkeypatch.setattr(pairs, "ASK_SECONDS", 1e-9)
    answers.append(listed(NEWCOINQQ=("NEWCOIN", "QQ")))
    ask(url)
    assert not cached().exists()
    assert len(caplog.messages) == 2


def test_a_list_that_is_broken_is_none() -> None:
    cached().parent.mkdir(parents=True)
    cached().write_bytes(b"{")
    assert pair("BTCUSDT") == "BTC-USDT"
