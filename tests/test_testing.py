"""The harness for metrics of one's own: what it says is what a worker says."""

import doctest

import pytest

import tickertape.testing
from tickertape import TRADE_BARS, Heartbeat, Quote, Settings, Trade
from tickertape.agents.market.indicators.defaults.ema import EMA
from tickertape.stream.errors import ConfigError
from tickertape.testing import run

START_MS = 1_700_000_000_000


def trade(at_ms: int, price: float, number: int = 1, source: str = "sim") -> Trade:
    return Trade(symbol="A", source=source, id=number, time_ms=START_MS + at_ms, price=price, quantity=1.0, side="buy")


def test_its_example_holds() -> None:
    assert doctest.testmod(tickertape.testing).failed == 0


@pytest.mark.parametrize("block_records", [1, 2, 1000])
def test_events_in_results_out(block_records: int) -> None:
    outcome = run([trade(0, 1.0), trade(500, 3.0, 2), trade(1000, 2.0, 3)], EMA, block_records=block_records)
    seconds = [one for one in outcome.results["bars"] if (one.source, one.resolution) == ("all", "1s")]
    assert [(one.open, one.close, one.count, one.final) for one in seconds] == [
        (1.0, 3.0, 2, True),
        (2.0, 2.0, 1, True),
    ]
    assert outcome.results["indicators/ema"] == []  # twelve bars come before the first
    assert outcome.tallies["trades"].counted == 3
    assert (outcome.late, outcome.dead_letters) == ([], [])


def test_what_is_turned_down_is_there_with_its_reason() -> None:
    # The third is more than two seconds behind the second.
    outcome = run([trade(0, 1.0), trade(9000, 1.0, 2), trade(1, 1.0, 3), b"no trade"], TRADE_BARS)
    (late,) = outcome.late
    assert late.late_by_ms > 0
    (letter,) = outcome.dead_letters
    assert "malformed" in letter.reason
    assert (outcome.tallies["trades"].late, outcome.tallies["trades"].rejected) == (1, 1)


def test_open_windows_are_not_final_and_a_heartbeat_moves_time_on() -> None:
    outcome = run([trade(0, 1.0)], TRADE_BARS, close=False)
    assert not any(one.final for one in outcome.results["bars"])
    outcome = run([trade(0, 1.0), Heartbeat("sim", START_MS + 3000)], TRADE_BARS, close=False)
    assert {one.resolution for one in outcome.results["bars"] if one.final} == {"1s"}


def test_settings_are_those_of_a_worker() -> None:
    late = [trade(0, 1.0), trade(9000, 1.0, 2), trade(1, 1.0, 3)]
    assert run(late, TRADE_BARS, settings=Settings(lateness_ms={"trades": 10_000})).late == []


def test_events_that_nothing_reads_are_told_of() -> None:
    quote = Quote(symbol="A", source="s", id=1, time_ms=START_MS, bid=1.0, ask=2.0, bid_quantity=1.0, ask_quantity=1.0)
    with pytest.raises(ConfigError, match="Quote: no recipe reads such events; these read Trade"):
        run([quote], TRADE_BARS)
