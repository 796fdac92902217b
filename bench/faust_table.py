"""A plain Faust windowed table: OHLC, volume, notional, buy volume and count of each second.

A symbol's bar is published once the next second has a trade of it.

Run: python -m bench.faust_table BROKER EVENTS [TOPIC]
"""

import sys

import faust

from bench.faust_dict import Clock, Trade, app
from tickertape.schemas.topics import BARS, TRADES


def main() -> None:
    broker, events = sys.argv[1], int(sys.argv[2])
    source = sys.argv[3] if len(sys.argv) > 3 else TRADES.name
    bench = app(broker)
    bench.conf.topic_partitions = 4
    table = bench.Table("bars", partitions=4).tumbling(1.0, expires=60.0)
    by_event_time = table.relative_to(lambda event: event.value.time_ms / 1000)
    clock = Clock(events)
    sink = bench.topic(BARS.name, value_serializer="json")
    open_bars: dict[str, list[float]] = {}

    @bench.agent(bench.topic(source, value_type=Trade))  # type: ignore[untyped-decorator]  # Faust's
    async def fold(stream: faust.Stream[Trade]) -> None:
        async for trade in stream:
            price, quantity = trade.price, trade.quantity
            bought = quantity if trade.side == "buy" else 0.0
            window = by_event_time[trade.symbol]
            try:
                bar = window.value()
            except KeyError:
                bar = None
            if bar is None:
                bar = [price, price, price, price, quantity, price * quantity, bought, 1]
            else:
                bar = [
                    bar[0],
                    max(bar[1], price),
                    min(bar[2], price),
                    price,
                    bar[4] + quantity,
                    bar[5] + price * quantity,
                    bar[6] + bought,
                    bar[7] + 1,
                ]
            by_event_time[trade.symbol] = bar
            second = trade.time_ms // 1000
            before = open_bars.get(trade.symbol)
            if before is not None and before[8] != second:
                before[5] /= before[4]
                sink.send_soon(key=trade.symbol, value=before)
            open_bars[trade.symbol] = [*bar, second]
            clock.tick()

    sys.argv[1:] = ["worker", "-l", "error", "--without-web"]
    bench.main()


if __name__ == "__main__":
    main()
