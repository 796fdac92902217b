"""When a fetch is sent: after one that brought records not before the rest is over, and else at once."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from tickertape.stream.engine.fetch.fetch_pause import gather

REST_SECONDS = 0.2


class Fetcher:
    """Answers at once: with records, or with none."""

    brings = True

    def __init__(self) -> None:
        self.fetched: list[int] = []

    async def _proc_fetch_request(self, _assignment: Any, node: int, _request: Any) -> bool:
        self.fetched.append(node)
        return self.brings


def rest(since: float) -> float:
    return since + REST_SECONDS - time.monotonic()


def gathering(rest_seconds: Callable[[float], float] = rest) -> Any:
    fetcher = Fetcher()
    gather(fetcher, rest_seconds)
    return fetcher


async def seconds(fetcher: Any, node: int = 0) -> float:
    """Fetch from a broker; return how long it took."""
    began = time.monotonic()
    assert await fetcher._proc_fetch_request(None, node, None) is fetcher.brings
    return time.monotonic() - began


def test_after_records_the_next_waits_and_another_broker_s_doesn_t() -> None:
    async def run() -> None:
        fetcher = gathering()
        assert await seconds(fetcher) < REST_SECONDS / 2
        assert await seconds(fetcher, node=1) < REST_SECONDS / 2
        assert await seconds(fetcher) > REST_SECONDS / 2
        # As long as it takes until it may is time that needn't be waited.
        await asyncio.sleep(REST_SECONDS)
        assert await seconds(fetcher) < REST_SECONDS / 2

    asyncio.run(run())


def test_after_none_it_is_sent_at_once() -> None:
    async def run() -> None:
        fetcher = gathering()
        fetcher.brings = False
        for _ in range(3):
            assert await seconds(fetcher) < REST_SECONDS / 2

    asyncio.run(run())


def test_it_is_asked_again_until_there_is_no_rest() -> None:
    rests, asked = iter([0.01, 0.05, 0.0]), []

    def rest_seconds(since: float) -> float:
        asked.append(since)
        return next(rests) if since else 0.0

    async def run() -> None:
        fetcher = gathering(rest_seconds)
        began = time.monotonic()
        await seconds(fetcher)
        assert await seconds(fetcher) >= 0.06
        assert next(rests, None) is None
        # It is told when records came, of a broker that has brought none: long ago.
        assert asked[0] == 0
        assert all(began <= since < began + 0.05 for since in asked[1:])

    asyncio.run(run())


def test_one_that_is_cancelled_while_it_waits_brings_none() -> None:
    async def run() -> None:
        fetcher = gathering()
        await seconds(fetcher)
        waits = asyncio.create_task(fetcher._proc_fetch_request(None, 0, None))
        await asyncio.sleep(0)
        waits.cancel()
        # aiokafka looks at the result of what it has cancelled.
        assert await waits is False
        assert fetcher.fetched == [0]

    asyncio.run(run())
