"""What aiokafka lacks under load: a pause after each answer, so that the next fetch brings more than a record."""

import asyncio
from collections import defaultdict
from time import monotonic
from typing import Any


def gather(fetcher: Any, interval_seconds: float) -> None:
    """Have a fetcher of aiokafka ask a broker no sooner than so long after it last brought records.

    A fetch costs both sides a millisecond, however little it brings. After an answer without records, or a longer
    pause, it asks at once: where it is quiet nothing waits.

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
        if brought:
            brought_seconds[node] = monotonic()
        return brought

    fetcher._proc_fetch_request = gathered
