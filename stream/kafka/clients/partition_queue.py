"""The batches that wait for one partition, and the task that sends them in order."""

import asyncio
from collections import deque

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder


class Batch:
    """Records that are sent in one request.

    Attributes
    ----------
    over
        Set once the batch is acknowledged, or the producer has failed.
    offset
        The first record's offset, once the batch is acknowledged; -1 before.
    """

    __slots__ = ("builder", "offset", "over", "size_bytes")

    def __init__(self, builder: BatchBuilder) -> None:
        self.builder = builder
        self.size_bytes = 0
        self.offset = -1
        self.over = asyncio.Event()


class PartitionQueue:
    """The batches of one partition, oldest first; records are appended to the last one.

    Parameters
    ----------
    topic, partition
        Where the batches go.
    linger_seconds
        The least time between two requests, unless a batch is full.
    delivery_seconds
        How long a batch may go without acknowledgement.
    """

    __slots__ = (
        "_delivery_seconds",
        "_linger_seconds",
        "_sent_at",
        "batches",
        "partition",
        "pump",
        "sending",
        "topic",
        "topic_exists",
    )

    def __init__(self, topic: str, partition: int, linger_seconds: float, delivery_seconds: float) -> None:
        self.topic = topic
        self.partition = partition
        self.topic_exists = False
        self.batches: deque[Batch] = deque()
        #: The batch in flight.
        self.sending: Batch | None = None
        #: The task that sends while there are batches.
        self.pump: asyncio.Task[None] | None = None
        self._linger_seconds = linger_seconds
        self._delivery_seconds = delivery_seconds
        self._sent_at = 0.0

    @property
    def newest(self) -> Batch | None:
        """The batch that will be acknowledged last."""
        return self.batches[-1] if self.batches else self.sending

    async def send_oldest(self, kafka: AIOKafkaProducer) -> Batch:
        """Send the oldest batch, and return it once it is acknowledged.

        Raises
        ------
        TimeoutError
            The batch was not acknowledged in time.
        """
        await self._linger()
        batch = self.sending = self.batches.popleft()
        batch.builder.close()
        sent = await kafka.send_batch(batch.builder, self.topic, partition=self.partition)
        # aiokafka retries an idempotent batch for ever, with the same sequence number: no loss, no repeat, no end.
        done, _ = await asyncio.wait((sent,), timeout=self._delivery_seconds)
        if not done:
            raise TimeoutError(f"not acknowledged in {self._delivery_seconds:g} s")
        batch.offset = sent.result().offset
        self.sending = None
        return batch

    def release(self) -> None:
        """Wake everyone who waits for a batch of this partition: the producer has failed."""
        for batch in (*self.batches, self.sending):
            if batch is not None:
                batch.over.set()

    async def _linger(self) -> None:
        loop = asyncio.get_running_loop()
        rest = self._sent_at + self._linger_seconds - loop.time()
        if rest > 0 and len(self.batches) == 1:
            await asyncio.sleep(rest)
        self._sent_at = loop.time()
