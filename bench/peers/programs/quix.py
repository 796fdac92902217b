"""Quix Streams: a tumbling window with ``reduce`` and ``final``, its state in RocksDB with a changelog topic."""

import sys
import tempfile
import time
from typing import Any

from quixstreams import Application

from bench.peers.programs import bars, marks

FETCH = {
    "fetch.max.bytes": 50 << 20,
    "max.partition.fetch.bytes": 4 << 20,
    "queued.max.messages.kbytes": 262_144,
    "check.crcs": False,
}
PRODUCE = {"linger.ms": 50, "queue.buffering.max.messages": 1_000_000}


class Clock:
    """Tells each trade's event time, and ends the application with the last trade."""

    def __init__(self, events: int) -> None:
        self.events = events
        self.seen = 0
        self.app: Any = None

    def time_of(self, trade: Any, *_: Any) -> int:
        if not self.seen:
            marks.begin()
        self.seen += 1
        if self.seen == self.events:
            self.app.stop()
        return int(trade["time_ms"])


def row(window: Any, symbol: str, *_: Any) -> dict[str, Any]:
    return bars.row(symbol, window["start"], window["value"])


def main() -> None:
    broker, source, sink, events = sys.argv[1:]
    clock = Clock(int(events))
    with tempfile.TemporaryDirectory() as folder:
        app = Application(
            broker_address=broker,
            consumer_group=f"quix-{time.time():.0f}",
            auto_offset_reset="earliest",
            loglevel="WARNING",
            state_dir=folder,
            commit_interval=5.0,
            consumer_extra_config=FETCH,
            producer_extra_config=PRODUCE,
        )
        trades = app.topic(source, value_deserializer="json", key_deserializer="str", timestamp_extractor=clock.time_of)
        closed = app.topic(sink, value_serializer="json", key_serializer="str")
        windows = app.dataframe(trades).tumbling_window(1000).reduce(bars.add, bars.first).final()
        windows.apply(row, metadata=True).to_topic(closed)
        clock.app = app
        app.run()
        marks.end()


if __name__ == "__main__":
    main()
