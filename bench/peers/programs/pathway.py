"""Pathway: ``windowby`` a tumbling window, in static mode, which takes less time than streaming and reads to the end.

It has no order of arrival, so the first and the last price are those of the least and the greatest (time, id).
"""

import sys
import time

import pathway as pw

from bench.peers.programs import marks


class Trade(pw.Schema):  # type: ignore[misc]  # Pathway isn't installed where types are checked
    symbol: str
    price: float
    quantity: float
    side: str
    number: int
    time_ms: int


def main() -> None:
    broker, source, sink, _ = sys.argv[1:]
    consumer = {
        "bootstrap.servers": broker,
        "group.id": f"pathway-{time.time():.0f}",
        "auto.offset.reset": "earliest",
        "queued.max.messages.kbytes": "262144",
        "fetch.message.max.bytes": str(4 << 20),
        "check.crcs": "false",
    }
    producer = {"bootstrap.servers": broker, "linger.ms": "20", "queue.buffering.max.messages": "1000000"}
    trades = pw.io.kafka.read(
        consumer,
        topic=source,
        schema=Trade,
        format="json",
        json_field_paths={"number": "/id"},  # Pathway keeps the name "id" for itself
        mode="static",
    )
    trades = trades.with_columns(
        at=pw.make_tuple(trades.time_ms, trades.number, trades.price),
        notional=trades.price * trades.quantity,
        bought=pw.if_else(trades.side == "buy", trades.quantity, 0.0),
    )
    second = pw.temporal.tumbling(duration=1000, origin=0)
    bars = trades.windowby(pw.this.time_ms, window=second, instance=pw.this.symbol).reduce(
        symbol=pw.this._pw_instance,
        start_ms=pw.this._pw_window_start,
        first=pw.reducers.min(pw.this.at),
        high=pw.reducers.max(pw.this.price),
        low=pw.reducers.min(pw.this.price),
        last=pw.reducers.max(pw.this.at),
        volume=pw.reducers.sum(pw.this.quantity),
        notional=pw.reducers.sum(pw.this.notional),
        buy_volume=pw.reducers.sum(pw.this.bought),
        count=pw.reducers.count(),
    )
    rows = bars.select(
        bars.symbol,
        bars.start_ms,
        open=bars.first.get(2),
        high=bars.high,
        low=bars.low,
        close=bars.last.get(2),
        volume=bars.volume,
        vwap=bars.notional / bars.volume,
        buy_volume=bars.buy_volume,
        count=bars.count,
    )
    pw.io.kafka.write(rows, producer, sink, format="json")
    marks.begin()
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)
    marks.end()


if __name__ == "__main__":
    main()
