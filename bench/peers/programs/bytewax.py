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

from bench.peers.programs import marks

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
    price, quantity = trade["price"], trade["quantity"]
    bought = quantity if trade["side"] == "buy" else 0.0
    if bar is None:
        return [price, price, price, price, quantity, price * quantity, bought, 1]
    if price > bar[1]:
        bar[1] = price
    if price < bar[2]:
        bar[2] = price
    bar[3] = price
    bar[4] += quantity
    bar[5] += price * quantity
    bar[6] += bought
    bar[7] += 1
    return bar


def encode(closed: tuple[str, tuple[int, list[Any]]]) -> Any:
    symbol, (second, bar) = closed
    row = {
        "symbol": symbol,
        "start_ms": second * 1000,
        "open": bar[0],
        "high": bar[1],
        "low": bar[2],
        "close": bar[3],
        "volume": bar[4],
        "vwap": bar[5] / bar[4],
        "buy_volume": bar[6],
        "count": bar[7],
    }
    return KafkaSinkMessage(key=symbol.encode(), value=orjson.dumps(row))


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
    bars = windowing.fold_window(
        "bars", trades, clock, second, lambda: None, fold, lambda first, _: first, ordered=False
    )
    op.output("sink", op.map("encode", bars.down, encode), KafkaSink([broker], sink))
    run_main(flow)
    marks.end()


if __name__ == "__main__":
    main()
