"""With `fill` set, a bar for each second without trades, also after a worker was killed."""

import pytest

from tests.integration.running import bars, feed, is_read, running, until
from tickertape.schemas.trade import Trade

pytestmark = pytest.mark.kafka

T = 1_723_161_255_000


def trade(symbol: str, at_s: int, number: int, price: float) -> Trade:
    time_ms = T + at_s * 1000
    return Trade(
        symbol=symbol,
        source="x",
        id=number,
        time_ms=time_ms,
        price=price,
        quantity=1.0,
        side="buy",
        received_ms=time_ms,
    )


def test_quiet_seconds_carry_the_last_close(own_kafka: str) -> None:
    with running(own_kafka, workers=1, fill=True, partitions={"trades": 2}) as (settings, supervisor):
        feed(
            own_kafka, [trade("A-USD", 0, 1, 10.0), trade("A-USD", 3, 2, 11.0), trade("B-USD", 9, 1, 5.0)], close=False
        )
        # The watermark is at 9 s, so the frontier at 7 s: the second that ends there is the last one that is final.
        until("seven seconds of A", lambda: f"A-USD|all|1s|{T + 6000}" in bars(own_kafka))
        supervisor.kill(0)
        feed(own_kafka, [trade("B-USD", 14, 2, 6.0)], close=False)
        until("all is read", lambda: is_read(settings))
        until("twelve seconds of A", lambda: f"A-USD|all|1s|{T + 11_000}" in bars(own_kafka))
        held = bars(own_kafka)
    mine = {key: bar for key, bar in held.items() if (bar.symbol, bar.source, bar.resolution) == ("A-USD", "all", "1s")}
    closes = [bar.close for bar in sorted(mine.values(), key=lambda bar: bar.start_ms)]
    assert closes == [10.0, 10.0, 10.0, 11.0, 11.0, 11.0, 11.0, 11.0, 11.0, 11.0, 11.0, 11.0]
    quiet = mine[f"A-USD|all|1s|{T + 8000}"]
    assert (quiet.open, quiet.high, quiet.low, quiet.vwap, quiet.volume, quiet.count) == (
        11.0,
        11.0,
        11.0,
        11.0,
        0.0,
        0,
    )
    assert (quiet.close_ms, quiet.final, quiet.revision) == (T + 3000, True, 0)
