"""A producer at block speed: records join batches without a future each, and no loss is silent."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import ClusterAuthorizationFailedError, KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from tickertape.stream.compiled.rows import PackedRecords
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.errors import BrokerError, name_and_text
from tickertape.stream.kafka.access.diagnosis import find_cause
from tickertape.stream.kafka.access.rights import denied, refused
from tickertape.stream.kafka.access.security import for_aiokafka
from tickertape.stream.kafka.clients import requests  # noqa: F401 - sends batches for each connection made later
from tickertape.stream.kafka.clients.metadata_pause import patient
from tickertape.stream.kafka.clients.packed_batch import PackedBatchBuilder
from tickertape.stream.kafka.clients.partition_queue import Batch, PartitionQueue
from tickertape.stream.kafka.clients.topics import require_topic

log = logging.getLogger(__name__)

# New partitions are seen within this time; Kafka's default is five minutes.
METADATA_AGE_MS = 2000
# Long enough for a broker that is still starting.
CONNECT_SECONDS = 30.0
# A request without an answer is sent again after this time, over a new connection: the machine may have vanished.
REQUEST_SECONDS = 120.0
# After the caller has failed, pending records have this long to be acknowledged.
LAST_CHANCE_SECONDS = 5.0


class Producer:
    """An idempotent Kafka producer whose `send` costs a microsecond.

    Records of a partition keep their order and arrive once, also across a restart of the broker that is shorter than
    ``delivery_seconds``. One request per partition is in flight; records sent meanwhile form the next one.

    Parameters
    ----------
    connection
        How to reach Kafka.
    name
        The client id, in the broker's logs, metrics and quotas.
    compression
        ``none``, ``gzip``, ``snappy``, ``lz4`` or ``zstd``.
    buffer_bytes
        `room` waits while more bytes than this are unacknowledged, and so does `send_later`'s work.
    batch_bytes
        The most bytes of one partition in a request, before compression; a larger record is sent alone. Keep it below
        the smallest ``max.message.bytes`` of the topics.
    linger_seconds
        The least time between two requests for a partition, unless a batch is full. Under load this makes requests
        fewer and larger; the first record after a quiet time is sent at once.
    delivery_seconds
        The producer fails when a record is not acknowledged within this time.
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
        self._queues: dict[tuple[str, int], PartitionQueue] = {}
        self._pending_bytes = 0
        #: What is still to be sent, and how many times such was put there.
        self._later: deque[Callable[[], None]] = deque()
        self._n_later = 0
        self._progress = asyncio.Event()
        self._failure: BrokerError | None = None
        self._kafka: AIOKafkaProducer | None = None

    @property
    def pending_bytes(self) -> int:
        """Bytes sent and not acknowledged yet."""
        return self._pending_bytes

    async def start(self) -> None:
        """Connect.

        Raises
        ------
        BrokerError
            No Kafka answers at that address.
        """
        kafka = AIOKafkaProducer(
            **for_aiokafka(self.connection),
            client_id=self._name,
            acks="all",
            enable_idempotence=True,
            compression_type=None if self._compression == "none" else self._compression,
            max_batch_size=self._batch_bytes,
            # For batches that the caller builds, aiokafka doesn't check the size of a request.
            request_timeout_ms=int(min(self._delivery_seconds, REQUEST_SECONDS) * 1000),
            metadata_max_age_ms=METADATA_AGE_MS,
        )
        # A batch whose partition has no leader fails after this time (by default one request's), so a restart must fit.
        kafka._message_accumulator._batch_ttl = self._delivery_seconds
        patient(kafka.client)
        try:
            await asyncio.wait_for(kafka.start(), CONNECT_SECONDS)
        except (KafkaError, OSError, TimeoutError) as error:
            await kafka.stop()
            if denied(error):
                # Each batch of an idempotent producer carries a producer id, which needs the right to write to a topic.
                raise refused(self.connection, error, "Write on the topics that it writes to") from error
            raise await find_cause(self.connection) from error
        self._kafka = kafka

    async def stop(self, within_seconds: float | None = None) -> None:
        """Flush and disconnect; a failed flush still disconnects.

        Parameters
        ----------
        within_seconds
            Give up on the flush after this time; None means ``delivery_seconds``.

        Raises
        ------
        BrokerError
            A record was not acknowledged.
        """
        kafka = self._kafka
        if kafka is None:
            return
        try:
            async with asyncio.timeout(within_seconds):
                await self.flush()
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
            # The caller's error is the one to report.
            log.warning("%s", second)

    def send(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        """Append a record, which is sent soon and in order. Await `room` regularly, and `flush` before a commit.

        Raises
        ------
        BrokerError
            An earlier record was not delivered; the producer accepts no more.
        """
        if self._failure is not None:
            self._raise_failure()
        queue = self._queues.get((topic, partition)) or self._queue(topic, partition)
        listed = list(headers)
        batches = queue.batches
        batch = batches[-1] if batches else self._open(queue)
        record = batch.builder.append(timestamp=None, key=key, value=value, headers=listed)
        if record is None:
            batch = self._open(queue)
            record = batch.builder.append(timestamp=None, key=key, value=value, headers=listed)
        batch.size_bytes += record.size
        self._pending_bytes += record.size

    def send_many(self, topic: str, partition: int, records: Sequence[tuple[bytes, bytes]]) -> None:
        """Append the keys and values of records, as `send` does. Packed ones cost a fifth of a microsecond each.

        Raises
        ------
        BrokerError
            An earlier record was not delivered; the producer accepts no more.
        """
        if not isinstance(records, PackedRecords):
            for key, value in records:
                self.send(topic, partition, key, value)
            return
        if self._failure is not None:
            self._raise_failure()
        queue = self._queues.get((topic, partition)) or self._queue(topic, partition)
        sent = 0
        while sent < len(records):
            batch = queue.batches[-1] if queue.batches else None
            if batch is None or not isinstance(batch.builder, PackedBatchBuilder) or batch.builder.closed():
                batch = self._open(queue, PackedBatchBuilder(self._started()))
            size_bytes, n = batch.builder.extend(records, sent)
            batch.size_bytes += size_bytes
            self._pending_bytes += size_bytes
            sent += n

    def send_later(self, send: Callable[[], None]) -> None:
        """Call a function that sends records: now, or as soon as the buffer has room.

        They are called in the order in which they come, and `room` and `flush` wait for them. So a hundred megabytes of
        records needn't exist at once.

        Raises
        ------
        BrokerError
            An earlier record was not delivered; the producer accepts no more.
        """
        self._raise_failure()
        self._later.append(send)
        self._n_later += 1
        self._send_waiting()

    def _send_waiting(self) -> None:
        while self._later and self._failure is None and self._pending_bytes <= self._buffer_bytes:
            self._later.popleft()()

    async def place(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> int:
        """Append a record, and return its offset once it is acknowledged.

        Raises
        ------
        BrokerError
            This record or an earlier one was not delivered.
        """
        if self._failure is not None:
            self._raise_failure()
        queue = self._queues.get((topic, partition)) or self._queue(topic, partition)
        # The record opens a batch, so its offset is the batch's.
        batch = self._open(queue)
        record = batch.builder.append(timestamp=None, key=key, value=value, headers=[])
        batch.size_bytes += record.size
        self._pending_bytes += record.size
        await batch.over.wait()
        self._raise_failure()
        return batch.offset

    async def flush(self) -> None:
        """Return when all records sent so far are acknowledged.

        Raises
        ------
        BrokerError
            A record was not delivered.
        """
        put = self._n_later
        while self._failure is None and self._n_later - len(self._later) < put:
            self._progress.clear()
            await self._progress.wait()
        # Batches of a partition are acknowledged in order, so the newest stands for all.
        newest = [queue.newest for queue in self._queues.values()]
        for batch in newest:
            if batch is not None:
                await batch.over.wait()
        self._raise_failure()

    async def room(self) -> None:
        """Return when the buffer has room again.

        Raises
        ------
        BrokerError
            A record was not delivered.
        """
        while self._failure is None and (self._later or self._pending_bytes > self._buffer_bytes):
            self._progress.clear()
            await self._progress.wait()
        self._raise_failure()

    async def partitions(self, topic: str) -> int:
        """Return a topic's number of partitions, at most two seconds old.

        Raises
        ------
        BrokerError
            The topic doesn't exist.
        """
        kafka = self._started()
        known = kafka.client.cluster.partitions_for_topic(topic)
        if known is None:
            await require_topic(self.connection, kafka.client, topic)
            known = await kafka.partitions_for(topic)
        return len(known)

    @property
    def client(self) -> Any:
        """The connected client, for the broker's metadata; see `tickertape.stream.kafka.clients.topics`."""
        return self._started().client

    def _started(self) -> AIOKafkaProducer:
        if self._kafka is None:
            raise RuntimeError("the producer is not started")
        return self._kafka

    def _queue(self, topic: str, partition: int) -> PartitionQueue:
        queue = PartitionQueue(topic, partition, self._linger_seconds, self._delivery_seconds)
        self._queues[topic, partition] = queue
        return queue

    def _open(self, queue: PartitionQueue, builder: BatchBuilder | None = None) -> Batch:
        kafka = self._started()
        batch = Batch(builder or kafka.create_batch())
        queue.batches.append(batch)
        if queue.pump is None:
            queue.pump = asyncio.create_task(self._pump(kafka, queue))
        return batch

    async def _pump(self, kafka: AIOKafkaProducer, queue: PartitionQueue) -> None:
        try:
            if not queue.topic_exists:
                await self.partitions(queue.topic)
                queue.topic_exists = True
            while queue.batches and self._failure is None:
                batch = await queue.send_oldest(kafka)
                self._pending_bytes -= batch.size_bytes
                self._send_waiting()
                self._progress.set()
                batch.over.set()
        except BrokerError as error:
            self._fail(error)
        except Exception as error:  # any failure here loses records
            self._fail(_not_delivered(self.connection, queue, error))
        finally:
            queue.pump = None

    def _fail(self, error: BrokerError) -> None:
        self._failure = self._failure or error
        self._progress.set()
        for queue in self._queues.values():
            queue.release()

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
    """End aiokafka's sender: while the broker is away it retries for ever, and `stop` would wait for it."""
    sender = kafka._sender.sender_task
    # After the first cancellation the sender waits for requests in flight; the second ends it.
    for _ in range(2):
        sender.cancel()
        await asyncio.wait((sender,), timeout=0.2)


def _not_delivered(connection: Connection, queue: PartitionQueue, error: Exception) -> BrokerError:
    if denied(error):
        cluster = isinstance(error, ClusterAuthorizationFailedError)
        return refused(connection, error, "" if cluster else f"Write on topic {queue.topic}")
    return BrokerError(
        f"topic {queue.topic}, partition {queue.partition}: records were not delivered ({name_and_text(error)}); "
        f"mend that at Kafka, {connection.broker}, and start again"
    )
