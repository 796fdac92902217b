"""Add a pause that aiokafka lacks: before it requests the cluster's metadata again, while no broker answers."""

import asyncio
from typing import Any

PAUSE_SECONDS = 0.1


def patient(client: Any) -> None:
    """Make a client of aiokafka pause after each failed request for metadata.

    A partition whose leader was shut down cleanly has no leader. Producer and consumer then request metadata until
    there is a new one, and don't pause if the connection is refused. This takes a core for each process, writes a
    thousand log lines per second, and triples the time that a broker on the same machine needs to come back.
    """
    update = client._metadata_update

    async def paused(*arguments: Any) -> bool:
        updated = await update(*arguments)
        if not updated:
            await asyncio.sleep(PAUSE_SECONDS)
        return bool(updated)

    client._metadata_update = paused
