"""One process at a time sends: the member of a consumer group to which Kafka assigns the outbox's only partition."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from time import monotonic, time
from types import TracebackType
from typing import Self

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition

from tickertape.schemas.alert import decode
from tickertape.schemas.topics import ALERTS
from tickertape.stream.alerts.outbox import Outbox
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.access.rights import refused, unread
from tickertape.stream.kafka.access.security import for_aiokafka
from tickertape.stream.kafka.clients.consumer import CONNECT_SECONDS
from tickertape.stream.kafka.clients.metadata_pause import patient

log = logging.getLogger(__name__)

# Before the partition goes to another process, a message that is being sent has this long to be recorded.
HAND_OVER_SECONDS = 30.0
_WAIT_MS = 200
_PART = TopicPartition(ALERTS.name, 0)


class Lost(Exception):  # noqa: N818 - it is no error that another process sends
    """Another process sends, or soon will."""


class Claim(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Waits for the partition, reads the outbox from it, and says whether it is still ours.

    Of several processes the one that started first has it: members of a group are in order of their names, which begin
    with the time.

    Parameters
    ----------
    settings
        The connection settings, and ``group`` and ``session_seconds``.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.group = f"{settings.group}-alerts"
        self._held = False
        # Whether the outbox was read since the partition came to us.
        self._current = False
        self._sending = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def __aenter__(self) -> Self:
        session_ms = int(self._settings.session_seconds * 1000)
        self._consumer = AIOKafkaConsumer(
            **for_aiokafka(self._settings),
            client_id=f"tickertape-alerts-{time() * 1000:.0f}",
            group_id=self.group,
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=max(100, session_ms // 8),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        patient(self._consumer._client)
        self._consumer.subscribe([ALERTS.name], listener=self)
        try:
            await asyncio.wait_for(self._consumer.start(), CONNECT_SECONDS)
        except (KafkaError, OSError, TimeoutError) as error:
            await self._consumer.stop()
            raise unread(self._settings, error, self.group) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:  # noqa: ARG002 - there is one
        self._held = False
        await self.release()

    async def release(self) -> None:
        """Send nothing before the outbox is read again; return once what is being sent is recorded."""
        self._current = False
        try:
            await asyncio.wait_for(self._idle.wait(), HAND_OVER_SECONDS)
        except TimeoutError:
            log.warning("a message is being sent while another process takes over, which may send it again")

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        if _PART in assigned:
            self._held = True

    @property
    def lost(self) -> bool:
        """Whether the partition was taken from this process since it read the outbox, even if it has it again."""
        return not self._current

    async def read(self) -> list[ConsumerRecord]:
        """Return the next records of the partition; empty if there are none for a moment, or it isn't ours.

        Raises
        ------
        BrokerError
            A right is missing, or Kafka refuses.
        """
        try:
            found = await self._consumer.getmany(timeout_ms=_WAIT_MS)
        except KafkaError as error:
            raise unread(self._settings, error, self.group) from error
        return [record for records in found.values() for record in records]

    async def outbox(self) -> Outbox:
        """Wait for the partition, and return the outbox as of its end.

        Raises
        ------
        Lost
            It went to another process meanwhile.
        BrokerError
            A right is missing, or Kafka refuses.
        """
        while not self._held:
            await self.read()
        found, self._current = Outbox(), True
        try:
            end = (await self._consumer.end_offsets([_PART]))[_PART]
            await self._consumer.seek_to_beginning(_PART)
            while await self._consumer.position(_PART) < end:
                apply(found, await self.read())
                if self.lost:
                    raise Lost
        except IllegalStateError:
            raise Lost from None
        except KafkaError as error:
            raise refused(self._settings, error) from error
        return found

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """Enter if this process is still the owner, by Kafka's own word; `release` waits for the exit.

        Raises
        ------
        Lost
            It isn't, or it was frozen for so long that it may not be.
        """
        began = monotonic()
        if self.lost:
            raise Lost
        try:
            # Kafka accepts a commit only of a member of the group's present generation. The offset is never used.
            await self._consumer.commit({_PART: 0})
        except (CommitFailedError, IllegalStateError):
            raise Lost from None
        except KafkaError as error:
            raise refused(self._settings, error) from error
        if self.lost or monotonic() - began > self._settings.session_seconds / 2:
            raise Lost
        self._sending += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._sending -= 1
            if not self._sending:
                self._idle.set()


def apply(outbox: Outbox, records: list[ConsumerRecord]) -> None:
    """Apply the facts in records to an outbox; what isn't a fact is left out."""
    for record in records:
        try:
            outbox.apply(decode(record.value or b""))
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
            log.warning("%s, offset %d: not a fact about an alert: %s", record.topic, record.offset, error)
