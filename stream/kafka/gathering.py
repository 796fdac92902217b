"""What aiokafka lacks under load: a pause after each answer, so that the next fetch brings more than a record."""

import asyncio
from collections import defaultdict
from time import monotonic
from typing import Any

from aiokafka.consumer.fetcher import FetchResult

# What brings so much is dear by the byte, not by the fetch: a backlog, which nobody is to wait for.
ENOUGH_BYTES = 256 << 10


def gather(fetcher: Any, interval_seconds: float) -> None:
    """Have a fetcher of aiokafka ask a broker no sooner than so long after it last brought records.

    A fetch costs both sides a millisecond, however little it brings. After an answer without records, or a longer
    pause, it asks at once: where it is quiet nothing waits. Nor does it after one that brought `ENOUGH_BYTES`.

    Parameters
    ----------
    fetcher
        A consumer's; its requests name all partitions whose records are taken, and none is sent before these are.
    interval_seconds
        How long.
    """
    fetch = fetcher._proc_fetch_request
    brought_seconds: dict[int, float] = defaultdict(float)

    async def gathered(assignment: Any, node: int, request: Any) -> bool:
        try:
            await asyncio.sleep(brought_seconds[node] + interval_seconds - monotonic())
        except asyncio.CancelledError:
            # As its own does: who cancels it asks for its result.
            return False
        brought = bool(await fetch(assignment, node, request))
        if brought and _size_bytes(fetcher) < ENOUGH_BYTES:
            brought_seconds[node] = monotonic()
        return brought

    fetcher._proc_fetch_request = gathered


def _size_bytes(fetcher: Any) -> int:
    """Return how much lies there that nobody has taken."""
    # Beside results there are errors; and a result that was taken, or is of a partition taken away, has no more.
    fetched = [one for one in fetcher._records.values() if isinstance(one, FetchResult) and one.has_more()]
    return sum(one._partition_records._records.size_in_bytes() for one in fetched)
