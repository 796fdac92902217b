"""``tickertape alerts run`` as a process, and signals for it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.alerts.servers import Request, Web
from tickertape.agents.signals import Signal
from tickertape.schemas.alert import Fact, decode
from tickertape.schemas.topics import ALERTS, SIGNALS
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.clients.reader import Reader
from tickertape.stream.kafka.partition import partition_for

ROOT = Path(__file__).parents[2]


def until(what: str, true: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait until something is true; the limit is far above what any machine needs."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)


def fired(symbol: str, *, ago_ms: int = 0, number: int = 0, final: bool = True, value: float = 103.0) -> Signal:
    """Return a signal of a window that ended about when the symbol's first one was made."""
    start_ms = FIRST_MS.setdefault(symbol, int(time.time()) * 1000) - 1000 - ago_ms + number
    return Signal(
        "breakout", symbol, "all", "1s", start_ms, "bars", "close", value, 102.0, final, 2 if final else 1, False
    )


# One time for each symbol, so that the same signal has the same start whenever it is made. That of the import would be
# too old, as a run of all tests takes longer than signals may wait.
FIRST_MS: dict[str, int] = {}


def publish(settings: Settings, *signals: Signal) -> None:
    async def send() -> None:
        async with Producer(settings) as producer:
            for one in signals:
                key = f"{one.symbol}|{one.source}|{one.resolution}|{one.start_ms}|{one.rule}".encode()
                producer.send(
                    SIGNALS.name, partition_for(one.symbol, SIGNALS.partitions), key, msgspec.json.encode(one)
                )

    asyncio.run(send())


def facts(settings: Settings) -> list[Fact]:
    """Return all facts on the topic."""

    async def read() -> list[Fact]:
        found = []
        async with Reader(settings, [ALERTS.name], from_beginning=True) as reader:
            ends = await reader.ends()
            while not await reader.has_read(ends):
                found += [decode(record.value or b"") for record in await reader.read()]
        return found

    return asyncio.run(read())


def starts(requests: Sequence[Request]) -> list[int]:
    """Return the starts of the signals in requests, in order."""
    return [one["start_ms"] for request in requests for one in request.json["alerts"]]


class Runner:
    """Starts processes for one test, with a file of its own."""

    def __init__(self, settings: Settings, folder: Path, symbol: str, server: Web, **route: object) -> None:
        self.settings, self.symbol = settings, symbol
        self._log = folder / f"{symbol}.log"
        entries = {"channels": [symbol], "symbols": [symbol], "group_seconds": 0.2, **route}
        lines = ["[[channel]]", f'name = "{symbol}"', 'kind = "webhook"', 'url_env = "ALERTS_URL"', "[[route]]"]
        lines += [f"{name} = {msgspec.json.encode(value).decode()}" for name, value in entries.items()]
        self.file = folder / f"{symbol}.toml"
        self.file.write_text("\n".join(lines) + "\n")
        self.url = f"{server.url}/s3cret"

    @property
    def log(self) -> str:
        return self._log.read_text()

    @contextmanager
    def running(self, die: str = "") -> Iterator[subprocess.Popen[bytes]]:
        """Run a process; kill it in the end, unless it has ended."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TICKERTAPE_")} | {
            "TICKERTAPE_BROKER": self.settings.broker,
            "TICKERTAPE_GROUP": self.symbol,
            "TICKERTAPE_ALERTS": str(self.file),
            "TICKERTAPE_SESSION_SECONDS": "6",
            "TICKERTAPE_METRICS_PORT": "-1",
            "ALERTS_URL": self.url,
        }
        if die:
            environment["DIE"] = die
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.alerts.dying", "alerts", "run"],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
