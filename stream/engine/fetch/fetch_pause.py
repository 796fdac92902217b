"""What aiokafka lacks under load: a rest after each answer, so that the next fetch brings more than a record."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from time import monotonic
from typing import Any


def gather(fetcher: Any, rest_seconds: Callable[[float], float]) -> None:
    """Have a fetcher of aiokafka rest after answers that brought records; after others it asks again at once.

    A fetch costs both sides a millisecond, however little it brings.

    Parameters
    ----------
    fetcher
        A consumer's; its requests name all partitions whose records are taken, and none is sent before these are.
    rest_seconds
        Takes when a broker last brought records, by the monotonic clock, and returns how long to wait before it is
        called again; zero or less: fetch now.
    """
    fetch = fetcher._proc_fetch_request
    brought_seconds: dict[int, float] = defaultdict(float)

    async def gathered(assignment: Any, node: int, request: Any) -> bool:
        try:
            while (rest := rest_seconds(brought_seconds[node])) > 0:  # noqa: ASYNC110 - agents are in another thread
                await asyncio.sleep(rest)
        except asyncio.CancelledError:
            # As its own does: who cancels it asks for its result.
            return False
        brought = bool(await fetch(assignment, node, request))
        if brought:
            brought_seconds[node] = monotonic()
        return brought

    fetcher._proc_fetch_request = gathered
