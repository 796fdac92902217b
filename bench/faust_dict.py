"""A plain Faust agent that only adds to a dict.

Run: python -m bench.faust_dict BROKER EVENTS
"""

import os
import sys
import tempfile
import time

import faust

from tickertape.schemas.topics import TRADES


class Trade(faust.Record, serializer="json"):  # type: ignore[call-arg, misc]  # Faust is untyped here
    symbol: str
    source: str
    id: int
    time_ms: int
    price: float
    quantity: float
    side: str
    received_ms: int


def app(broker: str) -> faust.App:
    return faust.App(
        f"bench-{time.time():.0f}",
        broker=f"kafka://{broker}",
        store="memory://",
        datadir=tempfile.mkdtemp(),
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        stream_buffer_maxsize=16384,
        web_enabled=False,
    )


class Clock:
    """Counts events, then prints the rate since the first one, and ends the process."""

    def __init__(self, events: int) -> None:
        self.events = events
        self.seen = 0
        self.began = self.cpu = 0.0

    def tick(self) -> None:
        if not self.seen:
            self.began, self.cpu = time.perf_counter(), time.process_time()
        self.seen += 1
        if self.seen == self.events:
            wall, cpu = time.perf_counter() - self.began, time.process_time() - self.cpu
            # Faust redirects print.
            os.write(1, f"@{self.events / wall:.0f} {self.events / cpu:.0f}\n".encode())
            os._exit(0)


def main() -> None:
    broker, events = sys.argv[1], int(sys.argv[2])
    bench = app(broker)
    totals: dict[str, list[float]] = {}
    clock = Clock(events)

    @bench.agent(bench.topic(TRADES.name, value_type=Trade))  # type: ignore[untyped-decorator]  # Faust's
    async def add(stream: faust.Stream[Trade]) -> None:
        async for trade in stream:
            total = totals.setdefault(trade.symbol, [0.0, 0.0])
            total[0] += trade.price * trade.quantity
            total[1] += trade.quantity
            clock.tick()

    sys.argv[1:] = ["worker", "-l", "error", "--without-web"]
    bench.main()


if __name__ == "__main__":
    main()
