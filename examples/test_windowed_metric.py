"""Test a metric without Kafka: pass events, and check the results.

Run it: pytest examples/test_windowed_metric.py
"""

from windowed_metric import IMBALANCE

from tickertape import Heartbeat, Trade
from tickertape.testing import run

START_MS = 1_700_000_000_000


def trade(number: int, at_ms: int, quantity: float, side: str) -> Trade:
    return Trade(
        symbol="BTC-USD", source="sim", id=number, time_ms=START_MS + at_ms, price=100.0, quantity=quantity, side=side
    )


def test_it_is_the_difference_over_the_sum() -> None:
    outcome = run([trade(1, 0, 3.0, "buy"), trade(2, 500, 1.0, "sell")], IMBALANCE)
    (second,) = [one for one in outcome.results["imbalance"] if (one.source, one.resolution) == ("all", "1s")]
    assert (second.imbalance, second.final, second.revision) == (0.5, True, 2)


def test_a_late_trade_changes_nothing() -> None:
    # The heartbeat moves the watermark nine seconds ahead, and trades may be two seconds late.
    events = [trade(1, 0, 3.0, "buy"), Heartbeat("sim", START_MS + 9000), trade(2, 500, 1.0, "sell")]
    outcome = run(events, IMBALANCE)
    assert len(outcome.late) == 1
    assert {one.imbalance for one in outcome.results["imbalance"]} == {1.0}
