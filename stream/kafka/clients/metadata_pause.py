"""What aiokafka lacks while no broker answers: a pause before it asks for the cluster's metadata again."""

import asyncio
from typing import Any

PAUSE_SECONDS = 0.1


def patient(client: Any) -> None:
    """Have a client of aiokafka pause after each time that no broker could tell it about the cluster.

    A partition whose leader went tidily has none; producer and consumer ask for another until there is one, without a
    pause where the connection is refused: a core for each process, a thousand lines of log a second, and a broker
    that takes three times as long to come back on the same machine.
    """
    update = client._metadata_update

    async def paused(*arguments: Any) -> bool:
        updated = await update(*arguments)
        if not updated:
            await asyncio.sleep(PAUSE_SECONDS)
        return bool(updated)

    client._metadata_update = paused
