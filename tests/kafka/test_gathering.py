"""When a fetch is sent: not soon after one that brought records, and else at once."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

from aiokafka.consumer.fetcher import FetchError, FetchResult

from stream.kafka.gathering import ENOUGH_BYTES, gather

GATHERED_SECONDS = 0.2


class Fetcher:
    """Answers at once: with records, or with none.

    Beside what it has fetched lie an error, and a result that was taken.
    """

    brings = True

    def __init__(self, size_bytes: int = 1000) -> None:
        self.fetched: list[int] = []
        unpacked = SimpleNamespace(_records=SimpleNamespace(size_in_bytes=lambda: size_bytes))
        fetched, taken = (
            FetchResult(number, assignment=None, partition_records=records, backoff=1)
            for number, records in ((0, unpacked), (1, None))
        )
        self._records = {0: fetched, 1: taken, 2: FetchError(error=ValueError(), backoff=1)}

    async def _proc_fetch_request(self, _assignment: Any, node: int, _request: Any) -> bool:
        self.fetched.append(node)
        return self.brings


async def seconds(fetcher: Any, node: int = 0) -> float:
    """Fetch from a broker; return how long it took."""
    began = time.monotonic()
    assert await fetcher._proc_fetch_request(None, node, None) is fetcher.brings
    return time.monotonic() - began


def test_after_records_the_next_waits_and_another_broker_s_doesn_t() -> None:
    async def run() -> None:
        fetcher = Fetcher()
        gather(fetcher, GATHERED_SECONDS)
        assert await seconds(fetcher) < GATHERED_SECONDS / 2
        assert await seconds(fetcher, node=1) < GATHERED_SECONDS / 2
        assert await seconds(fetcher) > GATHERED_SECONDS / 2
        # As long as it takes until it may is time that needn't be waited.
        await asyncio.sleep(GATHERED_SECONDS)
        assert await seconds(fetcher) < GATHERED_SECONDS / 2

    asyncio.run(run())


def test_after_none_it_is_sent_at_once() -> None:
    async def run() -> None:
        fetcher = Fetcher()
        gather(fetcher, GATHERED_SECONDS)
        fetcher.brings = False
        for _ in range(3):
            assert await seconds(fetcher) < GATHERED_SECONDS / 2

    asyncio.run(run())


def test_after_much_it_is_sent_at_once() -> None:
    async def run() -> None:
        fetcher = Fetcher(ENOUGH_BYTES)
        gather(fetcher, GATHERED_SECONDS)
        for _ in range(3):
            assert await seconds(fetcher) < GATHERED_SECONDS / 2

    asyncio.run(run())


def test_one_that_is_cancelled_while_it_waits_brings_none() -> None:
    async def run() -> None:
        fetcher: Any = Fetcher()
        gather(fetcher, GATHERED_SECONDS)
        await seconds(fetcher)
        waits = asyncio.create_task(fetcher._proc_fetch_request(None, 0, None))
        await asyncio.sleep(0)
        waits.cancel()
        # aiokafka looks at the result of what it has cancelled.
        assert await waits is False
        assert fetcher.fetched == [0]

    asyncio.run(run())
