"""Producing at block speed: records are appended to batches without a future each, and nothing is lost silently."""

import asyncio
import logging
from collections import deque
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import ClusterAuthorizationFailedError, KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from tickertape.stream.configuration.connection import Connection
from tickertape.stream.errors import BrokerError
from tickertape.stream.kafka.access.diagnosis import find_cause
from tickertape.stream.kafka.access.rights import denied, no_topic, refused, unseen
from tickertape.stream.kafka.access.security import for_aiokafka
from tickertape.stream.kafka.clients.metadata_pause import patient

log = logging.getLogger(__name__)

# New partitions are seen this fast; Kafka's default is five minutes.
METADATA_AGE_MS = 2000
# Long enough for a broker that is there, also one that is just starting.
CONNECT_SECONDS = 30.0
# A topic just created shows up in a broker's metadata a moment later.
APPEAR_SECONDS = 1.0
# A request that isn't answered in this time is sent again, over a new connection: a machine that went without a word.
REQUEST_SECONDS = 120.0
# What is left is given this long when the caller has failed already.
LAST_CHANCE_SECONDS = 5.0


class _Batch:
    """Records that go in one request; ``over`` is set when they are acknowledged, or the producer has failed.

    ``offset`` is the first one's, once they are acknowledged.
    """

    __slots__ = ("builder", "offset", "over", "size_bytes")

    def __init__(self, builder: BatchBuilder) -> None:
        self.builder = builder
        self.size_bytes = 0
        self.offset = -1
        self.over = asyncio.Event()


class _Queue:
    """What waits for one partition, oldest first; the last batch is open. A pump runs while there is anything."""

    __slots__ = ("batches", "partition", "pump", "sending", "sent_at", "topic", "topic_exists")

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.topic_exists = False
        self.batches: deque[_Batch] = deque()
        self.sending: _Batch | None = None
        self.sent_at = 0.0
        self.pump: asyncio.Task[None] | None = None


class Producer:
    """An idempotent Kafka producer whose `put` costs a microsecond.

    Records of a partition keep their order and arrive once, also across a restart of the broker that is shorter than
    ``delivery_seconds``. One request a partition is in flight; what is put meanwhile makes up the next.

    Parameters
    ----------
    connection
        How Kafka is reached.
    name
        What the broker knows it by, in its logs, metrics and quotas.
    compression
        ``none``, ``gzip``, ``snappy``, ``lz4`` or ``zstd``.
    buffer_bytes
        `room` waits while more than this is not acknowledged.
    batch_bytes
        The most that one request has for a partition, before compression; a larger record goes alone. Below the
        least ``max.message.bytes`` of the topics.
    linger_seconds
        The least time between two requests for a partition, full batches aside: under load fewer and larger ones; the
        first record after a quiet time goes at once.
    delivery_seconds
        A record that isn't acknowledged within it is a failure.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        name: str = "tickertape",
        compression: str = "none",
        buffer_bytes: int = 32 << 20,
        batch_bytes: int = 512 << 10,
        linger_seconds: float = 0.005,
        delivery_seconds: float = 120.0,
    ) -> None:
        self.connection = connection
        self._name = name
        self._compression = compression
        self._buffer_bytes = buffer_bytes
        self._batch_bytes = batch_bytes
        self._linger_seconds = linger_seconds
        self._delivery_seconds = delivery_seconds
        self._queues: dict[tuple[str, int], _Queue] = {}
        self._pending_bytes = 0
        self._progress = asyncio.Event()
        self._failure: BrokerError | None = None
        self._kafka: AIOKafkaProducer | None = None

    @property
    def pending_bytes(self) -> int:
        """What has been put and is not acknowledged."""
        return self._pending_bytes

    async def start(self) -> None:
        """Connect.

        Raises
        ------
        BrokerError
            Nothing answers there as Kafka does.
        """
        kafka = AIOKafkaProducer(
            **for_aiokafka(self.connection),
            client_id=self._name,
            acks="all",
            enable_idempotence=True,
            compression_type=None if self._compression == "none" else self._compression,
            max_batch_size=self._batch_bytes,
            # The size of a request is not looked at where batches are given.
            request_timeout_ms=int(min(self._delivery_seconds, REQUEST_SECONDS) * 1000),
            metadata_max_age_ms=METADATA_AGE_MS,
        )
        # A batch without a leader fails after this, a request's time-out by itself, so it must outlast a restart.
        kafka._message_accumulator._batch_ttl = self._delivery_seconds
        patient(kafka.client)
        try:
            await asyncio.wait_for(kafka.start(), CONNECT_SECONDS)
        except (KafkaError, OSError, TimeoutError) as error:
            await kafka.stop()
            if denied(error):
                # Who may write to a topic may have a number, which each batch of an idempotent producer carries.
                raise refused(self.connection, error, "Write on the topics that are written to") from error
            raise await find_cause(self.connection) from error
        self._kafka = kafka

    async def stop(self, within_seconds: float | None = None) -> None:
        """Flush and disconnect; it disconnects in any case.

        Parameters
        ----------
        within_seconds
            Give up on the flush after this; by default it has the time that delivery has.

        Raises
        ------
        BrokerError
            Something that was put has not been acknowledged.
        """
        kafka = self._kafka
        if kafka is None:
            return
        try:
            async with asyncio.timeout(within_seconds):
                await self._flush()
        except TimeoutError:
            self._fail(
                BrokerError(
                    f"Kafka at {self.connection.broker} did not acknowledge {self._pending_bytes} bytes in time"
                )
            )
            self._raise_failure()
        finally:
            self._kafka = None
            await self._disconnect(kafka)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.stop()
            return
        try:
            await self.stop(within_seconds=LAST_CHANCE_SECONDS)
        except BrokerError as second:
            # The first error is the one to tell of.
            log.warning("%s", second)

    def send(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        """Append a record; it is sent soon, in order. Await `room` now and then, and `flush` before a commit.

        Raises
        ------
        BrokerError
            An earlier record was not delivered; nothing is taken any more.
        """
        if self._failure is not None:
            self._raise_failure()
        queue = self._queues.get((topic, partition))
        if queue is None:
            queue = self._queues[topic, partition] = _Queue(topic, partition)
        listed = list(headers)
        batches = queue.batches
        batch = batches[-1] if batches else self._open(queue)
        record = batch.builder.append(timestamp=None, key=key, value=value, headers=listed)
        if record is None:
            batch = self._open(queue)
            record = batch.builder.append(timestamp=None, key=key, value=value, headers=listed)
        batch.size_bytes += record.size
        self._pending_bytes += record.size

    async def place(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> int:
        """Append a record, and return its offset once it is acknowledged.

        Raises
        ------
        BrokerError
            It was not delivered, or something before it.
        """
        if self._failure is not None:
            self._raise_failure()
        queue = self._queues.setdefault((topic, partition), _Queue(topic, partition))
        # It is the first of its batch.
        batch = self._open(queue)
        record = batch.builder.append(timestamp=None, key=key, value=value, headers=[])
        batch.size_bytes += record.size
        self._pending_bytes += record.size
        await batch.over.wait()
        self._raise_failure()
        return batch.offset

    async def flush(self) -> None:
        """Return when all that was put before is acknowledged.

        Raises
        ------
        BrokerError
            Something that was put, now or earlier, was not delivered.
        """
        self._started()
        await self._flush()

    async def room(self) -> None:
        """Return when the buffer has room.

        Raises
        ------
        BrokerError
            Something that was put was not delivered.
        """
        while self._failure is None and self._pending_bytes > self._buffer_bytes:
            self._progress.clear()
            await self._progress.wait()
        self._raise_failure()

    async def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has, as seen within the last two seconds.

        Raises
        ------
        BrokerError
            There is no such topic.
        """
        kafka = self._started()
        known = kafka.client.cluster.partitions_for_topic(topic)
        if known is None:
            await self._must_exist(kafka, topic)
            known = await kafka.partitions_for(topic)
        return len(known)

    async def counts(self, topics: Collection[str]) -> dict[str, int]:
        """Return how many partitions topics have, as the broker says now.

        Raises
        ------
        BrokerError
            It can't be asked.
        """
        try:
            cluster = await self._started().client.fetch_all_metadata()
        except KafkaError as error:
            raise refused(self.connection, error) from error
        return {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}

    async def exists(self, topic: str) -> bool:
        """Return whether there is such a topic.

        Raises
        ------
        AccessError
            Kafka doesn't let us see it.
        """
        client = self._started().client
        if (await client.fetch_all_metadata()).partitions_for_topic(topic):
            return True
        if hidden := await unseen(self.connection, client, topic):
            raise hidden
        return False

    def _started(self) -> AIOKafkaProducer:
        if self._kafka is None:
            raise RuntimeError("the producer is not started")
        return self._kafka

    def _open(self, queue: _Queue) -> _Batch:
        kafka = self._started()
        batch = _Batch(kafka.create_batch())
        queue.batches.append(batch)
        if queue.pump is None:
            queue.pump = asyncio.create_task(self._pump(kafka, queue))
        return batch

    async def _flush(self) -> None:
        # Batches of a partition go in order, so the last stands for all.
        newest = [queue.batches[-1] if queue.batches else queue.sending for queue in self._queues.values()]
        for batch in newest:
            if batch is not None:
                await batch.over.wait()
        self._raise_failure()

    async def _pump(self, kafka: AIOKafkaProducer, queue: _Queue) -> None:
        try:
            if not queue.topic_exists:
                await self.partitions(queue.topic)
                queue.topic_exists = True
            while queue.batches and self._failure is None:
                await self._linger(queue)
                batch = queue.sending = queue.batches.popleft()
                await self._deliver(kafka, queue, batch)
                self._pending_bytes -= batch.size_bytes
                self._progress.set()
                queue.sending = None
                batch.over.set()
        except BrokerError as error:
            self._fail(error)
        except Exception as error:  # whatever it is, records are lost by it
            right = "" if isinstance(error, ClusterAuthorizationFailedError) else f"Write on topic {queue.topic}"
            self._fail(
                refused(self.connection, error, right)
                if denied(error)
                else BrokerError(
                    f"topic {queue.topic}, partition {queue.partition}: records were not delivered ({_cause(error)}); "
                    f"mend that at Kafka, {self.connection.broker}, and start again"
                )
            )
        finally:
            queue.pump = None

    async def _linger(self, queue: _Queue) -> None:
        loop = asyncio.get_running_loop()
        rest = queue.sent_at + self._linger_seconds - loop.time()
        if rest > 0 and len(queue.batches) == 1:
            await asyncio.sleep(rest)
        queue.sent_at = loop.time()

    async def _deliver(self, kafka: AIOKafkaProducer, queue: _Queue, batch: _Batch) -> None:
        batch.builder.close()
        sent = await kafka.send_batch(batch.builder, queue.topic, partition=queue.partition)
        # aiokafka retries an idempotent batch for ever, with the same sequence number: no loss, no repeat, no end.
        done, _ = await asyncio.wait((sent,), timeout=self._delivery_seconds)
        if not done:
            raise TimeoutError(f"not acknowledged in {self._delivery_seconds:g} s")
        batch.offset = sent.result().offset

    async def _must_exist(self, kafka: AIOKafkaProducer, topic: str) -> None:
        # Asking for one topic by name would create it on a broker that does so; asking for all does not.
        deadline = asyncio.get_running_loop().time() + APPEAR_SECONDS
        while True:
            try:
                cluster = await kafka.client.fetch_all_metadata()
            except KafkaError as error:
                raise BrokerError(
                    f"Kafka at {self.connection.broker} can't be reached ({_cause(error)}): start it"
                ) from error
            if cluster.partitions_for_topic(topic):
                return
            if asyncio.get_running_loop().time() > deadline:
                raise await unseen(self.connection, kafka.client, topic) or no_topic(self.connection, topic)
            await asyncio.sleep(0.1)

    def _fail(self, error: BrokerError) -> None:
        self._failure = self._failure or error
        self._progress.set()
        for queue in self._queues.values():
            for batch in (*queue.batches, queue.sending):
                if batch is not None:
                    batch.over.set()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise type(self._failure)(*self._failure.args) from self._failure

    async def _disconnect(self, kafka: AIOKafkaProducer) -> None:
        pumps = [queue.pump for queue in self._queues.values() if queue.pump is not None]
        for pump in pumps:
            pump.cancel()
        if pumps:
            await asyncio.wait(pumps)
        if self._failure is not None or self._pending_bytes:
            await _abandon(kafka)
        await kafka.stop()


async def _abandon(kafka: Any) -> None:
    """End aiokafka's sender, which would go on trying for as long as the broker is away, and hold up `stop`."""
    sender = kafka._sender.sender_task
    # The first is answered by waiting for requests in flight, the second is not.
    for _ in range(2):
        sender.cancel()
        await asyncio.wait((sender,), timeout=0.2)


def _cause(error: BaseException) -> str:
    # Kafka's errors begin with their own name.
    name, text = type(error).__name__, str(error)
    return text if text.startswith(name) else f"{name}: {text}" if text else name
