"""Symbols are merged by event time, with one batch of each in memory."""

import asyncio
from collections.abc import AsyncGenerator

from hypothesis import given
from hypothesis import strategies as st

from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.backfill.merged import merged

T = 1_700_000_000_000


def trade(symbol: str, number: int, time_ms: int) -> Trade:
    return Trade(symbol=symbol, source="x", id=number, time_ms=T + time_ms, price=1.0, quantity=1.0, side="buy")


@given(st.lists(st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=5), max_size=5), max_size=4))
def test_event_time_never_goes_back(symbols: list[list[list[int]]]) -> None:
    batches = []
    for n, each in enumerate(symbols):
        times = iter(sorted(time for batch in each for time in batch))
        numbers = iter(range(100))
        batches.append([[trade(f"S-{n}", next(numbers), next(times)) for _ in batch] for batch in each])
    closed = []

    async def of(one: list[list[Trade]]) -> AsyncGenerator[list[Trade]]:
        try:
            for batch in one:
                yield batch
        finally:
            closed.append(True)

    async def run() -> list[Trade]:
        return [one async for batch in merged([of(each) for each in batches]) for one in batch]

    found = asyncio.run(run())
    times = [one.time_ms for one in found]
    assert times == sorted(times)
    for n, each in enumerate(batches):
        assert [one for one in found if one.symbol == f"S-{n}"] == [one for batch in each for one in batch]
    assert len(closed) == len(batches)
