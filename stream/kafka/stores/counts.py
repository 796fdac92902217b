"""How many partitions topics have, or are promised: asked for when somebody claims that there are more."""

import asyncio
import logging
from collections.abc import Collection, Mapping
from time import monotonic

from tickertape.stream.errors import BrokerError
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.clients.topics import partition_counts
from tickertape.stream.kafka.stores.control import Control

log = logging.getLogger(__name__)

# Where neither can be asked, it is tried again after so long.
AGAIN_SECONDS = 0.5
# Between two lines about counts that aren't true.
LINE_SECONDS = 10.0


class Counts:
    """The truth about partition counts.

    A heartbeat says how many partitions its topic has, so that no result is final before all have spoken. Anybody may
    write one. What is true is what the broker says now, or what `tickertape scale` has promised on ``control`` before
    it adds partitions.

    Parameters
    ----------
    producer
        Its connection is asked for metadata.
    control
        The schedules.
    """

    def __init__(self, producer: Producer, control: Control) -> None:
        self._producer = producer
        self._control = control
        self._told_at = -LINE_SECONDS

    async def most(self, topics: Collection[str]) -> Mapping[str, int]:
        """Return how many partitions there are at most of each topic; wait where nobody can be asked."""
        while True:
            try:
                there = await partition_counts(self._producer.connection, self._producer.client, topics)
                await self._control.sync()
                promised = {topic: [step.partitions for step in self._control.steps(topic)] for topic in topics}
            except BrokerError as error:
                log.warning("how many partitions there are can't be asked (%s): it is tried again", error)
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return {topic: max([there[topic], *promised[topic]]) for topic in topics}

    def refuse(self, topic: str, told: int, most: int) -> None:
        """Tell of a count that isn't true, now and then."""
        if (now := monotonic()) - self._told_at >= LINE_SECONDS:
            self._told_at = now
            log.warning(
                "%s: a heartbeat says that there are %d partitions, and there are %d, promised ones included: "
                "its count is left out",
                topic,
                told,
                most,
            )
