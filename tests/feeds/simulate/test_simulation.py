"""A market in time: its pace, its clock, and a ledger that agrees with what was sent."""

import asyncio
import json
import math
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.feeds.recorder import Recorder
from tickertape.schemas.events import Event
from tickertape.schemas.trade import Trade
from tickertape.stream.errors import InputError
from tickertape.stream.feeds.simulate.simulated_market import Market
from tickertape.stream.feeds.simulate.simulation import Simulation

START_MS = 1_700_000_000_000


def market(seed: int = 7, rate: float = 20_000) -> Market:
    return Market(symbols=10, rate=rate, seed=seed)


def history(seed: int) -> Recorder:
    recorder = Recorder()
    asyncio.run(Simulation(market(seed), start_ms=START_MS, seconds=2, speed=math.inf).run(recorder))
    return recorder


def test_quotes_come_with_the_trades_which_stay_as_they_are() -> None:
    recorder = Recorder()
    quoted = Market(symbols=10, rate=20_000, quotes=0.5, seed=1)
    asyncio.run(Simulation(quoted, start_ms=START_MS, seconds=2, speed=math.inf).run(recorder))
    assert recorder.trades == history(1).trades
    assert len(recorder.quotes) / len(recorder.trades) == pytest.approx(0.5, rel=0.1)
    assert all(START_MS <= quote.time_ms == quote.received_ms < START_MS + 2000 for quote in recorder.quotes)
    assert recorder.steps("quotes")[-1][2] == max(quote.time_ms for quote in recorder.quotes)


def by_symbol_and_second(trades: list[Trade]) -> Counter[tuple[str, int]]:
    return Counter((trade.symbol, trade.time_ms // 1000) for trade in trades)


def test_history_is_the_same_to_the_last_byte() -> None:
    first, again, other = history(1), history(1), history(2)
    assert [r for r in first.records if r.value] == [r for r in again.records if r.value]
    assert [r for r in first.records if r.value] != [r for r in other.records if r.value]


def test_history_has_the_markets_own_clock_and_closes_every_bar() -> None:
    recorder = history(1)
    assert recorder.trades[0].time_ms >= START_MS
    assert START_MS + 1900 < recorder.trades[-1].time_ms < START_MS + 2000
    assert all(trade.received_ms == trade.time_ms for trade in recorder.trades)
    assert recorder.steps()[-1][2] == recorder.trades[-1].time_ms
    assert recorder.ends()[-1]


@pytest.mark.parametrize(("rate", "parts"), [(800, 1), (20_000, 5)])
def test_a_live_tick_comes_in_parts_only_if_it_has_many_trades(rate: float, parts: int) -> None:
    async def tick() -> list[list[Event]]:
        return [batch async for batch in Simulation(market(rate=rate), seconds=0.01).batches()]

    assert len(asyncio.run(tick())) == parts


def test_live_trades_have_the_wall_clock_and_else_the_same_content() -> None:
    recorder, before_ms = Recorder(), time.time() * 1000
    asyncio.run(Simulation(market(1), seconds=0.5).run(recorder))
    after_ms = time.time() * 1000
    live, past = recorder.trades, history(1).trades
    assert before_ms - 1 <= live[0].time_ms
    assert live[-1].time_ms <= after_ms
    assert all(trade.time_ms <= trade.received_ms + 1 <= after_ms + 1 for trade in live)
    content = [(t.symbol, t.id, t.price, t.quantity, t.side) for t in live]
    assert content == [(t.symbol, t.id, t.price, t.quantity, t.side) for t in past[: len(live)]]
    assert not recorder.quotes
    # No more than it has sent: the next run of the same source goes on from here.
    assert recorder.steps()[-1][2] == live[-1].time_ms


@pytest.mark.parametrize("start_ms", [None, START_MS])
@pytest.mark.parametrize("speed", [1.0, 2.0])
def test_the_pace_is_the_clocks_times_the_speed(start_ms: int | None, speed: float) -> None:
    recorder, began = Recorder(), time.monotonic()
    simulation = Simulation(market(), start_ms=start_ms, seconds=0.6, speed=speed)
    asyncio.run(simulation.run(recorder))
    # Seconds are of event time: history's runs at its speed, a live one is the wall's whatever the rate.
    assert 0.55 / (speed if start_ms else 1) < time.monotonic() - began < 3


def test_live_at_most_speed_ends_by_the_clock() -> None:
    recorder = Recorder()
    began = time.monotonic()
    asyncio.run(Simulation(market(), seconds=0.3, speed=math.inf).run(recorder))
    # A busy machine may send little, but it ends when it should.
    assert 0.29 < time.monotonic() - began < 10
    times = [trade.time_ms for trade in recorder.trades]
    assert times == sorted(times)
    assert 0 < times[-1] - times[0] <= 301


def test_it_ends_after_so_many_events() -> None:
    recorder = Recorder()
    asyncio.run(Simulation(market(), events=1234, speed=math.inf).run(recorder))
    assert len(recorder.trades) == 1234


@pytest.mark.parametrize("start_ms", [None, START_MS + 345])
def test_the_ledger_is_what_was_sent(start_ms: int | None, tmp_path: Path) -> None:
    recorder = Recorder()
    simulation = Simulation(market(), start_ms=start_ms, seconds=1.5, speed=math.inf)
    ledger = asyncio.run(simulation.run(recorder))
    assert ledger.by_symbol_and_second() == by_symbol_and_second(recorder.trades)
    ledger.write(tmp_path / "ledger.json")
    assert json.loads((tmp_path / "ledger.json").read_text()) == {
        "trades": len(recorder.trades),
        "by_symbol": Counter(trade.symbol for trade in recorder.trades),
    }


def test_the_ledger_is_what_was_sent_when_it_is_told_to_stop() -> None:
    recorder, simulation = Recorder(), Simulation(market())

    async def scenario() -> None:
        running = asyncio.create_task(simulation.run(recorder))
        await asyncio.sleep(0.25)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(scenario())
    assert recorder.trades
    assert simulation.ledger.by_symbol_and_second() == by_symbol_and_second(recorder.trades)
    assert recorder.flushed == len(recorder.records)


def test_a_ledger_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere/ledger\.json: No such file or directory"):
        Simulation(market()).ledger.write(tmp_path / "nowhere" / "ledger.json")
