"""An exchange on this machine, as Binance's spot market: its history page by page, and its daily files, or faults."""

import csv
import hashlib
import io
import json
import random
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct

from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.exchanges.binance import Binance, BinanceSettings
from tickertape.stream.feeds.exchanges.feeding import names_of
from tickertape.stream.feeds.hosts.limit import Limit, Limits

DAY_MS = 86_400_000
# 2024-08-09, UTC.
FIRST = date(2024, 8, 9)
FIRST_MS = 1_723_161_600_000
HEADER = "id,price,qty,quote_qty,time,is_buyer_maker,is_best_match"
# What may become of a day's file.
FAULTS = (
    "",
    "header",
    "us",
    "not there",
    "checksum",
    "no checksum",
    "cut",
    "cut and signed",
    "garbage",
    "lacks",
    "begins late",
    "busy",
    "fails",
)


class Made(Struct, frozen=True):
    """A trade, made by hand."""

    id: int
    price: str
    quantity: str
    time_ms: int
    is_maker: bool

    def as_trade(self, symbol: str = "BTC-USDT", source: str = "binance") -> Trade:
        """Return it as it is to be sent, without its receipt."""
        return Trade(
            symbol=symbol,
            source=source,
            id=self.id,
            time_ms=self.time_ms,
            price=float(self.price),
            quantity=float(self.quantity),
            side="sell" if self.is_maker else "buy",
        )


def made(count: int, days: float, seed: int = 1, first_id: int = 1000) -> list[Made]:
    """Return trades over some days from `FIRST` on, some of them in the same millisecond."""
    chance = random.Random(seed)
    times = sorted(chance.randrange(int(days * DAY_MS)) // 7 * 7 for _ in range(count))
    return [
        Made(
            first_id + n,
            f"{100 + chance.randrange(1000) / 100:.2f}",
            f"{chance.randrange(1, 10**6) / 10**6:.8f}",
            FIRST_MS + at,
            chance.random() < 0.5,
        )
        for n, at in enumerate(times)
    ]


class History:
    """Serves the trades of symbols.

    Parameters
    ----------
    trades
        By the exchange's own name of a symbol.
    faults
        By the number of a day since `FIRST`: what becomes of its file; see `FAULTS`.
    page
        The most trades of a page.

    Attributes
    ----------
    asked
        How often each path was asked for.
    statuses
        The next answers of the history by page: a status each, instead of a page.
    most
        How many trades of each symbol the history gives away; who asks for more waits until it is changed.
    """

    def __init__(self, trades: Mapping[str, Sequence[Made]], faults: Mapping[int, str], page: int = 1000) -> None:
        self.trades, self.faults, self.page = trades, faults, page
        self.asked: Counter[str] = Counter()
        self.statuses: list[int] = []
        self.most: int | None = None
        history = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = urlsplit(self.path).path
                history.asked[path] += 1
                status, body = history.answer(path, parse_qs(urlsplit(self.path).query))
                with suppress(ConnectionError):
                    self.send_response(status)
                    if status == 429:
                        self.send_header("Retry-After", "0")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @contextmanager
    def open(self) -> Iterator["History"]:
        thread = Thread(target=self.server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            self.most = None
            self.server.shutdown()
            thread.join()
            self.server.server_close()

    def source(self, name: str = "binance") -> Binance:
        """Return the exchange as a source of this name, whose host bears any number of requests."""
        settings = BinanceSettings(history_url=f"{self.url}/history", archive_url=f"{self.url}/files")
        source = Binance(settings, ("BTCUSDT",), names_of("binance", ""), name)
        source.limits = Limits(requests=Limit(10**9, 1.0))
        return source

    def answer(self, path: str, asked: Mapping[str, Sequence[str]]) -> tuple[int, bytes]:
        if path == "/history":
            return self._page(asked["symbol"][0], int(asked["fromId"][0]), int(asked["limit"][0]))
        name, _, day = path.removesuffix(".CHECKSUM").removesuffix(".zip").rpartition("/")[2].partition("-trades-")
        prefix = f"/files/data/spot/daily/trades/{name}/{name}-trades-{day}.zip"
        assert path in (prefix, f"{prefix}.CHECKSUM"), path
        number = (date.fromisoformat(day) - FIRST).days
        return self._file(name, number, path, path.endswith(".CHECKSUM"))

    def _page(self, name: str, first: int, limit: int) -> tuple[int, bytes]:
        begin = self.trades[name][0].id if self.trades[name] else 0
        while self.most is not None and first >= begin + self.most:
            time.sleep(0.02)
        if self.statuses:
            return self.statuses.pop(0), b"{}"
        found = [one for one in self.trades[name] if one.id >= first][: min(limit, self.page)]
        if self.most is not None:
            found = [one for one in found if one.id < begin + self.most]
        rows = [
            {
                "id": one.id,
                "price": one.price,
                "qty": one.quantity,
                "time": one.time_ms,
                "isBuyerMaker": one.is_maker,
                "isBestMatch": True,
            }
            for one in found
        ]
        return 200, json.dumps(rows).encode()

    def _file(self, name: str, number: int, path: str, is_checksum: bool) -> tuple[int, bytes]:
        fault = self.faults.get(number, "")
        first = self.asked[path] == 1
        if fault == "not there" or (fault == "no checksum" and is_checksum):
            return 404, b"<Error/>"
        if fault == "busy" and first:
            return 429, b""
        if fault == "fails":
            return 500, b""
        whole = self._zip(name, number, fault)
        if is_checksum:
            of = whole[: len(whole) // 2] if fault == "cut and signed" else whole
            digest = "0" * 64 if fault == "checksum" else hashlib.sha256(of).hexdigest()
            return 200, f"{digest}  {name}-trades.zip\n".encode()
        return 200, whole[: len(whole) // 2] if fault.startswith("cut") else whole

    def _zip(self, name: str, number: int, fault: str) -> bytes:
        since_ms = FIRST_MS + number * DAY_MS
        mine = [one for one in self.trades[name] if since_ms <= one.time_ms < since_ms + DAY_MS]
        text, chance = io.StringIO(), random.Random(number)
        rows = csv.writer(text, lineterminator="\n")
        for one in mine:
            if fault == "garbage" and chance.random() < 0.2:
                text.write(chance.choice(["a,b,c\n", "1,2,3,4,5,6,7\n", "\x00\xff,,,,,,\n"]))
                continue
            if fault == "begins late" and one in mine[:3]:
                continue
            if fault == "lacks" and chance.random() < 0.2:
                continue
            at = one.time_ms * 1000 + chance.randrange(1000) if fault == "us" else one.time_ms
            worth = float(one.price) * float(one.quantity)
            rows.writerow((one.id, one.price, one.quantity, f"{worth:.8f}", at, str(one.is_maker), "True"))
        found = io.BytesIO()
        with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as archive:
            head = f"{HEADER}\n" if fault == "header" else ""
            # A member without a date: the same bytes whenever they are asked for.
            archive.writestr(
                zipfile.ZipInfo(f"{name}-trades-{day_of(number)}.csv"), head + text.getvalue(), zipfile.ZIP_DEFLATED
            )
        return found.getvalue()


def day_of(number: int) -> str:
    return (datetime.combine(FIRST, datetime.min.time(), UTC) + timedelta(days=number)).date().isoformat()
