"""A plain Faust windowed table: OHLC, volume, notional, buy volume and count of each second.

Run: python -m bench.faust_table BROKER EVENTS
"""

import sys

import faust

from bench.faust_dict import Clock, Trade, app
from tickertape.schemas.topics import TRADES


def main() -> None:
    broker, events = sys.argv[1], int(sys.argv[2])
    bench = app(broker)
    bench.conf.topic_partitions = 4
    table = bench.Table("bars", partitions=4).tumbling(1.0, expires=60.0)
    by_event_time = table.relative_to(lambda event: event.value.time_ms / 1000)
    clock = Clock(events)

    @bench.agent(bench.topic(TRADES.name, value_type=Trade))  # type: ignore[untyped-decorator]  # Faust's
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
            clock.tick()

    sys.argv[1:] = ["worker", "-l", "error", "--without-web"]
    bench.main()


if __name__ == "__main__":
    main()
