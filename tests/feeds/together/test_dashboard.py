"""The dashboard of feeds on a real Prometheus: each panel has data that moves, while all sorts of things fail."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection

from tests.feeds.exchange import Exchange, refusal
from tests.feeds.rest import Rest
from tests.feeds.together.lemons import Lemons, feeds
from tests.monitoring.prometheus import Prometheus, faults, prometheus
from tests.monitoring.queries import DASHBOARDS, of_dashboard
from tickertape.schemas.topics import BOOKS, CONTROL, INSTRUMENTS, QUOTES, TRADES
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin.topics import create
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka
from tickertape.stream.telemetry.serving import reserve

pytestmark = [pytest.mark.kafka, pytest.mark.prometheus, pytest.mark.slow, pytest.mark.timeout(150)]

(PAGE,) = [path for path in DASHBOARDS if path.stem == "feeds"]
MOVING_SECONDS = 75.0
# What is left out now and then: of one pair the history has it, of the other it doesn't.
LEFT_OUT = {100 * n + k for n in range(1, 100) for k in range(3)}


class Faulty(Lemons):
    """Trades of which some are missing, come twice, or can't be read; one pair falls silent, another isn't traded."""

    def __init__(self) -> None:
        super().__init__(LEFT_OUT, refused=["XRP_USD"], quiet_after={"ADA_USD": 150})

    async def more(self, socket: ServerConnection, number: int) -> None:
        if number % 50 == 10:
            await socket.send(json.dumps(self.trade(number, "BTC_USD")))
            await socket.send("{")

    def history(self, handler: BaseHTTPRequestHandler) -> None:
        if "SOL_USD" in handler.path:
            handler.send_error(404)
        else:
            super().history(handler)


class Books:
    """Changes of a book, of which one is lost now and then, and its snapshots."""

    def __init__(self) -> None:
        self._number = 0

    async def __call__(self, socket: ServerConnection) -> None:
        while True:
            self._number += 1
            # Each thirtieth is lost.
            if self._number % 30:
                now_ms = int(time.time() * 1000)
                data = {"e": "depthUpdate", "E": now_ms, "s": "BTCUSDT", "U": self._number, "u": self._number}
                data |= {"b": [["100.5", str(self._number)]], "a": [["101.5", "1.0"]]}
                await socket.send(json.dumps({"stream": "btcusdt@depth@100ms", "data": data}))
            await asyncio.sleep(0.1)

    def snapshot(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.dumps({"lastUpdateId": self._number, "bids": [["100.0", "1.0"]], "asks": [["101.0", "1.0"]]})
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body.encode())


@contextmanager
def running(folder: Path, port: int) -> Iterator[None]:
    """Run both feeds against their servers, and serve their metrics at a port."""
    faulty, books, rest = Faulty(), Books(), Rest()
    rest.answers = [lambda handler: (faulty.history if "from=" in handler.path else books.snapshot)(handler)]
    # Binance is asked too often, then refuses for good, and then speaks.
    busy, forbidden = refusal(HTTPStatus.TOO_MANY_REQUESTS, "", Retry_After="3"), refusal(HTTPStatus.FORBIDDEN, "")
    binance, lemons, end = Exchange(busy, forbidden, books), Exchange(faulty), threading.Event()

    async def run() -> None:
        async with lemons.open(), binance.open():
            (folder / "feeds.toml").write_text(f"""
[feeds.lemon]
symbols = ["BTC-USD", "SOL-USD", "ADA-USD", "XRP-USD"]
url = "{lemons.url}"
history_url = "{rest.url}"

[feeds.binance]
symbols = ["BTC-USDT"]
url = "{binance.url}"
snapshot_url = "{rest.url}"
channels = "books"
refill = false
""")
            environ = {"TICKERTAPE_BROKER": broker, "TICKERTAPE_METRICS_PORT": str(port)}
            environ |= {"TICKERTAPE_FEED_SILENCE_SECONDS": "4"}
            async with feeds("run", folder / "feeds.toml", **environ) as process:
                assert process.stderr is not None
                # The state is shown every five seconds.
                while await process.stderr.readline() and not end.is_set():
                    pass

    with ExitStack() as stack:
        stack.enter_context(rest.open())
        broker = stack.enter_context(EmbeddedKafka()).broker
        create(Settings(broker), [TRADES, QUOTES, BOOKS, INSTRUMENTS, CONTROL])
        thread = threading.Thread(target=asyncio.run, args=(run(),), daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join(30)


def test_every_panel_has_data_that_moves(tmp_path: Path) -> None:
    held = reserve("127.0.0.1")
    port = held.getsockname()[1]
    with (
        held,
        prometheus(tmp_path, "http://127.0.0.1:1/sd", feeds=[f"127.0.0.1:{port}"]) as found,
        running(tmp_path, port),
    ):
        end = time.monotonic() + MOVING_SECONDS
        while (told := missing(found)) and time.monotonic() < end:
            time.sleep(2)
        assert "\n".join(told) == ""


def missing(found: Prometheus) -> list[str]:
    """Return the panels without data that moves; rebalances and takeovers, which all pages mark, are of workers."""
    queries = [query for query in of_dashboard(json.loads(PAGE.read_text())) if "tickertape_feed_" in query.expr]
    assert len(queries) > 20
    return faults(found, queries)
