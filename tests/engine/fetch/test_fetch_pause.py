"""When a fetch is sent: after one that brought records not before the rest is over, and else at once."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

from tickertape.stream.engine.fetch.fetch_pause import gather

# Longer than any test: a fetch that rests so long isn't sent.
EVER = 3600.0


class Fetcher:
    """Answers at once: with records, or with none."""

    brings = True

    def __init__(self) -> None:
        self.fetched: list[int] = []

    async def _proc_fetch_request(self, _assignment: Any, node: int, _request: Any) -> bool:
        self.fetched.append(node)
        return self.brings


def rests_after_records(since: float) -> float:
    return EVER if since else 0.0


def gathering(rest_seconds: Callable[[float], float] = rests_after_records) -> Any:
    fetcher = Fetcher()
    gather(fetcher, rest_seconds)
    return fetcher


async def fetch(fetcher: Any, node: int = 0) -> bool:
    return bool(await fetcher._proc_fetch_request(None, node, None))


async def waits(fetcher: Any, node: int = 0) -> bool:
    """Return whether a fetch from a broker still waits once everything else has had its turn."""
    before = len(fetcher.fetched)
    task = asyncio.create_task(fetch(fetcher, node))
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    return len(fetcher.fetched) == before


def test_after_records_the_next_waits_and_another_broker_s_doesn_t() -> None:
    async def run() -> None:
        fetcher = gathering()
        assert await fetch(fetcher)
        assert await waits(fetcher)
        assert await fetch(fetcher, node=1)
        assert await waits(fetcher, node=1)
        assert fetcher.fetched == [0, 1]

    asyncio.run(run())


def test_after_none_it_is_sent_at_once() -> None:
    async def run() -> None:
        fetcher = gathering()
        fetcher.brings = False
        assert [await fetch(fetcher) for _ in range(3)] == [False] * 3
        assert fetcher.fetched == [0] * 3

    asyncio.run(run())


def test_it_is_asked_again_until_there_is_no_rest() -> None:
    rests, asked = iter([0.001, 0.002, 0.0]), []

    def rest_seconds(since: float) -> float:
        asked.append(since)
        return next(rests) if since else 0.0

    async def run() -> None:
        fetcher = gathering(rest_seconds)
        began = monotonic()
        await fetch(fetcher)
        brought = monotonic()
        await fetch(fetcher)
        assert next(rests, None) is None
        # It is told when records came, of a broker that has brought none: long ago.
        assert asked[0] == 0
        assert all(began <= since <= brought for since in asked[1:])
        assert len(asked) == 4

    asyncio.run(run())


def test_one_that_is_cancelled_while_it_waits_brings_none() -> None:
    async def run() -> None:
        fetcher = gathering()
        await fetch(fetcher)
        task = asyncio.create_task(fetcher._proc_fetch_request(None, 0, None))
        await asyncio.sleep(0)
        task.cancel()
        # aiokafka looks at the result of what it has cancelled.
        assert await task is False
        assert fetcher.fetched == [0]

    asyncio.run(run())
