"""A rest between fetches, which aiokafka lacks: under load the next fetch then brings more than one record."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from time import monotonic
from typing import Any


def gather(fetcher: Any, rest_seconds: Callable[[float], float]) -> None:
    """Make a fetcher of aiokafka rest after each answer with records; after an empty answer it fetches at once.

    A fetch costs worker and broker a millisecond each, however little it brings.

    Parameters
    ----------
    fetcher
        A consumer's fetcher. It sends a request once fetched records are consumed, for the partitions that have none
        left.
    rest_seconds
        Takes the time of the broker's last answer with records, by the monotonic clock. Returns how many seconds to
        wait before it is called again; zero or less: fetch now.
    """
    fetch = fetcher._proc_fetch_request
    brought_seconds: dict[int, float] = defaultdict(float)

    async def gathered(assignment: Any, node: int, request: Any) -> bool:
        try:
            while (rest := rest_seconds(brought_seconds[node])) > 0:  # noqa: ASYNC110 - agents are in another thread
                await asyncio.sleep(rest)
        except asyncio.CancelledError:
            # The original does the same, because the caller that cancels it reads its result.
            return False
        brought = bool(await fetch(assignment, node, request))
        if brought:
            brought_seconds[node] = monotonic()
        return brought

    fetcher._proc_fetch_request = gathered
