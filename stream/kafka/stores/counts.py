"""Check the numbers of partitions that heartbeats report against the broker and the schedules."""

import asyncio
import logging
from collections.abc import Collection, Mapping
from time import monotonic

from tickertape.stream.errors import BrokerError
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.clients.topics import partition_counts
from tickertape.stream.kafka.stores.control import Control

log = logging.getLogger(__name__)

# The pause before another try, if the broker doesn't answer.
AGAIN_SECONDS = 0.5
# The least time between two log lines about wrong numbers.
LINE_SECONDS = 10.0


class Counts:
    """The highest valid number of partitions of each topic.

    A heartbeat reports the number of its topic's partitions, so no result is final before all of them have sent
    frames. But anybody may write a heartbeat. A number is valid up to the broker's current number, or up to the
    schedule that `tickertape scale` writes to ``control`` before it adds partitions.

    Parameters
    ----------
    producer
        The producer whose connection is used to request metadata.
    control
        The reader of the schedules.
    """

    def __init__(self, producer: Producer, control: Control) -> None:
        self._producer = producer
        self._control = control
        self._told_at = -LINE_SECONDS

    async def most(self, topics: Collection[str]) -> Mapping[str, int]:
        """Return the highest valid number of partitions of each topic; wait while the broker doesn't answer."""
        while True:
            try:
                there = await partition_counts(self._producer.connection, self._producer.client, topics)
                await self._control.sync()
                promised = {topic: [step.partitions for step in self._control.steps(topic)] for topic in topics}
            except BrokerError as error:
                log.warning("the numbers of partitions can't be read (%s): trying again", error)
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return {topic: max([there[topic], *promised[topic]]) for topic in topics}

    def refuse(self, topic: str, told: int, most: int) -> None:
        """Log a number of partitions that isn't valid, at most once in `LINE_SECONDS`."""
        if (now := monotonic()) - self._told_at >= LINE_SECONDS:
            self._told_at = now
            log.warning(
                "%s: a heartbeat reports %d partitions, but there are %d, scheduled ones included: "
                "its number is ignored",
                topic,
                told,
                most,
            )
