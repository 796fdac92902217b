"""Bytewax: batches are decoded at once, then an event-time window is folded per key.

Without a recovery store, and with Kafka's source itself, whose records need no branch for errors.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators import windowing
from bytewax.testing import run_main

from bench.peers.programs import bars, marks

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FETCH = {"queued.max.messages.kbytes": "262144", "fetch.message.max.bytes": str(4 << 20), "check.crcs": "false"}


def decoder() -> Callable[[list[Any]], list[tuple[str, Any]]]:
    begun = False

    def decode(messages: list[Any]) -> list[tuple[str, Any]]:
        nonlocal begun
        if not begun and messages:
            begun = True
            marks.begin()
        trades = [orjson.loads(message.value) for message in messages]
        return [(trade["symbol"], trade) for trade in trades]

    return decode


def fold(bar: list[Any] | None, trade: Any) -> list[Any]:
    return bars.first(trade) if bar is None else bars.add(bar, trade)


def encode(closed: tuple[str, tuple[int, list[Any]]]) -> Any:
    symbol, (second, bar) = closed
    return KafkaSinkMessage(key=symbol.encode(), value=orjson.dumps(bars.row(symbol, second * 1000, bar)))


def main() -> None:
    broker, source, sink, _ = sys.argv[1:]
    clock = windowing.EventClock(
        lambda trade: datetime.fromtimestamp(trade["time_ms"] / 1000, UTC),
        wait_for_system_duration=timedelta(seconds=1),
    )
    second = windowing.TumblingWindower(length=timedelta(seconds=1), align_to=EPOCH)
    flow = Dataflow("bars")
    messages = op.input("trades", flow, KafkaSource([broker], [source], tail=False, batch_size=1000, add_config=FETCH))
    trades = op.flat_map_batch("decode", messages, decoder())
    closed = windowing.fold_window(
        "bars", trades, clock, second, lambda: None, fold, lambda first, _: first, ordered=False
    )
    op.output("sink", op.map("encode", closed.down, encode), KafkaSink([broker], sink))
    run_main(flow)
    marks.end()


if __name__ == "__main__":
    main()
