"""The Faust transport that delivers blocks: ``blocks://host:port``.

`unpacking` makes the blocks from what is fetched. This module relies on private parts of Faust and aiokafka, which
tests/engine/fetch/test_transport_contract.py checks.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Generator, Mapping
from functools import partial
from inspect import iscoroutine
from time import monotonic, time
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import (
    CommitFailedError,
    GroupAuthorizationFailedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    RebalanceInProgressError,
    TopicAuthorizationFailedError,
    UnknownMemberIdError,
)
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.services import WaitResults

from tickertape.schemas.topics import SLICES
from tickertape.stream.engine.core.positions import LogEnd, Position
from tickertape.stream.engine.core.workload import Workload
from tickertape.stream.engine.fetch.fetch_pause import gather
from tickertape.stream.engine.fetch.turns import Turns
from tickertape.stream.engine.fetch.unowned_partitions import watch_unowned
from tickertape.stream.engine.fetch.unpacking import Blocks
from tickertape.stream.kafka.clients.metadata_pause import patient
from tickertape.stream.telemetry.metrics import REBALANCES

log = logging.getLogger(__name__)

# How long a broker that has hung may report too few commits; see `ConsumerThread.positions`.
FORGETFUL_SECONDS = 4.0
# A restore that takes longer is abandoned, and starts again as a new member of the group. After 90 s Faust would
# continue without it.
RESTORE_SECONDS = 80.0
# The delay before a commit that could not be delivered is sent again.
COMMIT_AGAIN_SECONDS = 0.1
# How long the broker waits for records before it answers a fetch. Only one fetch is in flight at a time. While some
# partitions have blocks to be read, it covers only the others, and all partitions wait for its answer. Faust's value is
# a second and a half.
FETCH_WAIT_MS = 50
# The most that one fetch brings of all partitions, however many there are. It bounds a worker's memory in a backlog.
FETCH_BYTES = 16 << 20
# How often the held partitions are determined again while the others have no records.
HELD_SECONDS = 0.05


class StateCoordinator(Protocol):
    """Keeps the state of the partitions that are read as blocks; the app has one as ``app.coordinator``."""

    blocks: Blocks
    workload: Workload

    async def load(self, positions: Mapping[TP, Position]) -> Mapping[TP, Position]:
        """Load what a restore of these partitions uses, and resolve the references in their commits.

        `restore` follows, unless the partitions are revoked in the meantime.
        """

    def restore(self, positions: Mapping[TP, Position]) -> Mapping[TP, int]:
        """Restore exactly these partitions, drop all others, and return the offset to read each from."""

    async def checkpoint(self) -> Mapping[TP, tuple[int, str]]:
        """Publish what is open, wait for its delivery, and return the (offset, metadata) to commit, by partition."""

    async def shortened(self, commits: Mapping[TP, tuple[int, str]]) -> Mapping[TP, tuple[int, str]]:
        """Store metadata that is too long for a commit, and return the commits with references in its place."""

    def committed(self, offsets: Mapping[TP, tuple[int, str]]) -> None:
        """Record that a checkpoint was committed."""

    def refused(self, error: Exception) -> None:
        """Record that a commit was refused: its partitions have, or are about to get, another owner."""


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust's is untyped here
    _lookout: asyncio.Task[None] | None = None

    async def on_start(self) -> None:
        await super().on_start()
        consumer = self._ensure_consumer()
        gather(consumer._fetcher, self.app.coordinator.workload.rest_seconds)
        self._lookout = asyncio.create_task(watch_unowned(consumer))

    async def on_thread_stop(self) -> None:
        if self._lookout is not None:
            self._lookout.cancel()
        await super().on_thread_stop()

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._value_deserializer = self.app.coordinator.blocks
        # A feed may use transactions; records of aborted ones are not read.
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        consumer._fetch_max_bytes = FETCH_BYTES
        patient(consumer._client)
        return consumer

    async def _fetch_records(self, consumer: AIOKafkaConsumer, active_partitions: set[TP], **options: Any) -> Any:
        # For an empty set aiokafka would return the records of all partitions.
        if (held := self.app.coordinator.workload.held) and (others := active_partitions - held):
            active_partitions = others
            options["timeout"] = HELD_SECONDS
        return await super()._fetch_records(consumer, active_partitions, **options)

    async def positions(self, tps: list[TopicPartition], least: Mapping[TP, int]) -> dict[TP, Position]:
        """Ask the broker for the logs' begins and ends, and for the group's commits.

        Parameters
        ----------
        tps
            The partitions.
        least
            Offsets that are known to be committed.

        Notes
        -----
        A broker that has hung answers for a second or two as if the group had committed nothing (seen with Kafka 4).
        So it is asked again, for up to `FORGETFUL_SECONDS`, if it reports less than is known, or nothing although there
        are frames.
        """
        consumer = self._ensure_consumer()
        begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
        # Once workers have run, every shard has frames, so one shard is enough.
        shards = [TopicPartition(SLICES.name, 0)] if SLICES.name in self.app.coordinator.blocks.topics else []
        begun = any((await consumer.end_offsets(shards)).values())
        until = monotonic() + FORGETFUL_SECONDS
        while True:
            commits = await consumer._coordinator.fetch_committed_offsets(tps)
            less = any(tp not in commits or commits[tp].offset < least[TP(*tp)] for tp in tps if TP(*tp) in least)
            if not (less or (begun and not commits)) or monotonic() > until:
                break
            await asyncio.sleep(0.2)
        return {
            TP(tp.topic, tp.partition): Position(
                begin=begins[tp],
                end=ends[tp],
                committed=commits[tp].offset if tp in commits and commits[tp].offset >= 0 else None,
                metadata=commits[tp].metadata if tp in commits else "",
                partitions=len(consumer.partitions_for_topic(tp.topic) or ()),
            )
            for tp in tps
        }

    async def commit_while(
        self, offsets: Mapping[TopicPartition, OffsetAndMetadata], is_on: Callable[[], bool]
    ) -> bool:
        """Commit, and retry while the broker is unreachable. Return False if `is_on` turned false first.

        aiokafka's own commit retries too, but as whatever member of the group the worker has become by then. So the
        broker would accept a commit of abandoned state.

        Raises
        ------
        KafkaError
            The broker refuses the commit.
        """
        coordinator = self._ensure_consumer()._coordinator
        while is_on():
            await coordinator.ensure_coordinator_known()
            # Nothing else runs in this thread before the request is made, so it is from the member checked here.
            if not is_on():
                break
            if coordinator.generation < 0:
                # A commit without a membership would be accepted if the group were empty.
                raise CommitFailedError("this worker is no longer a member of its group")
            try:
                await coordinator._do_commit_offsets(None, offsets)
            except KafkaError as error:
                if isinstance(error, _STALE) or not error.retriable:
                    raise
                await asyncio.sleep(COMMIT_AGAIN_SECONDS)
            else:
                return True
        return False

    def join_anew(self) -> None:
        """Join the group as a new member. The broker refuses the old member's requests from then on."""
        # Not through the thread's queue of calls: an earlier call may be the one that hangs.
        self.thread_loop.call_soon_threadsafe(self._ensure_consumer()._coordinator.reset_generation)

    def seek_all(self, offsets: Mapping[TP, int]) -> None:
        """Seek in the consumer's own thread: from another, Faust's `seek` drops a fetch while it is being unpacked."""
        for tp, offset in offsets.items():
            self.seek(tp, offset)


class Consumer(driver.Consumer):  # type: ignore[misc]  # Faust's is untyped here
    """Reads blocks, and commits for their coordinator. Other topics are left to Faust.

    Topics that are read as blocks must be declared with ``acks=False``, so that Faust never commits them.
    """

    #: How many times partitions have been revoked.
    _revocations = 0
    #: Whether partitions have been revoked, and the next assignment isn't known yet.
    _shares_out = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: The offsets that this worker has committed. Later commits, by any worker, are never lower.
        self._least: dict[TP, int] = {}
        self._turns = Turns()

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def _has_blocks(self, tp: TP) -> bool:
        return tp.topic in self.app.coordinator.blocks.topics

    async def on_task_error(self, exc: BaseException) -> None:
        """Commit nothing. Faust would commit half-done work, through a thread that may have ended."""

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        await self._commit_blocks()
        return bool(await super().force_commit(topics, start_new_transaction))

    async def commit_and_end_transactions(self) -> None:
        """Commit for the last time. Faust would be content with a commit in flight, which covers less."""
        while await self.maybe_wait_for_commit_to_finish():
            pass
        await super().commit_and_end_transactions()

    async def _commit_blocks(self) -> None:
        turn = self._turns.now()
        if turn is None:
            return
        offsets = await self.app.coordinator.checkpoint()
        mine = self.assignment()
        offsets = {tp: commit for tp, commit in offsets.items() if tp in mine}
        if not offsets:
            return
        if not self._turns.is_on(turn):
            self._give_up(offsets)
            return
        short = await self.app.coordinator.shortened(offsets)
        offsets = {tp: offsets[tp] for tp in short}
        commit = {TopicPartition(*tp): OffsetAndMetadata(offset, data) for tp, (offset, data) in short.items()}
        if not commit:
            return
        is_on = partial(self._turns.is_on, turn)
        try:
            done = await self._turns.send(self._thread.call_thread(self._thread.commit_while, commit, is_on))
        except _STALE as error:
            # These partitions have another owner, or a rebalance is under way. What was published is harmless, and the
            # new owner reads again from the last commit.
            self.app.coordinator.refused(error)
            return
        if not done:
            self._give_up(offsets)
            return
        self._least |= {tp: offset for tp, (offset, _) in offsets.items()}
        now = monotonic()
        self._thread.tp_last_committed_at.update(dict.fromkeys(offsets, now))
        self.app.coordinator.committed(offsets)

    def _give_up(self, offsets: Collection[TP]) -> None:
        """Log that a commit is not sent. A suspended worker may resume after its partitions were revoked."""
        log.info("a commit of %d partitions was given up: they were revoked before it was sent", len(offsets))

    async def wait_first(self, *coros: Any, **options: Any) -> Any:
        """Wait for the first of several awaitables. If the first one is done at once, no tasks are created.

        Faust passes on each block with this call, and creates two tasks for it: a twentieth of the time of two workers
        at 20,000 records per second.
        """
        first, *others = coros
        if not iscoroutine(first):
            return await super().wait_first(*coros, **options)
        try:
            waits_for = first.send(None)
        except BaseException as over:
            for other in others:
                other.close()
            if not isinstance(over, StopIteration):
                raise
            return WaitResults([first], [over.value], False)
        return await super().wait_first(_Begun(first, waits_for), *others, **options)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        await super().on_partitions_revoked(revoked)
        self._revocations += 1
        self._shares_out = True
        REBALANCES.inc()
        # Partitions that stay are restored when they are assigned again. A worker that gets none is not notified.
        self._turns.end()
        self.app.coordinator.restore({})

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self._shares_out = False
        await super().on_partitions_assigned(assigned, generation_id)

    async def perform_seek(self) -> None:
        """Restore state and positions together. Faust seeks here, before any block is delivered."""
        if self._shares_out:
            # Faust also seeks if a fetch ends during a rebalance. That would restore revoked partitions; for good, if
            # this worker is assigned none.
            return
        try:
            async with asyncio.timeout(RESTORE_SECONDS):
                with self._turns.restoring():
                    await self._restore()
        except TimeoutError:
            log.warning("state was not restored within %g s: this worker rejoins its group", RESTORE_SECONDS)
            self._thread.join_anew()
            self._turns.forget()

    async def _restore(self) -> None:
        revocations = self._revocations
        await self._turns.answered()
        await super().perform_seek()
        tps = [TopicPartition(*tp) for tp in self.assignment() if self._has_blocks(tp)]
        positions = await self._thread.call_thread(self._thread.positions, tps, self._least) if tps else {}
        positions = await self.app.coordinator.load(positions)
        if self._revocations != revocations:
            # Some may have another owner by now. Those that stay are restored when they are assigned.
            return
        offsets = self.app.coordinator.restore(positions)
        await self._thread.call_thread(self._thread.seek_all, offsets)
        self._read_offset.update({tp: offset or None for tp, offset in offsets.items()})

    def refusal(self) -> KafkaError | None:
        """Return the error with which Kafka keeps this worker out of its group. Faust would wait and log nothing."""
        consumer = self._thread._consumer
        # A consumer gets its coordinator while it starts.
        coordinator = None if consumer is None else consumer._coordinator
        error = None if coordinator is None else coordinator._pending_exception
        return error if isinstance(error, GroupAuthorizationFailedError | TopicAuthorizationFailedError) else None

    def log_end(self, tp: TP) -> LogEnd | None:
        """Return the end of a partition's log as of its newest fetch, or None if that isn't known."""
        consumer, part = self._thread._consumer, TopicPartition(*tp)
        if consumer is None or part not in consumer.assignment():
            return None
        offset, heard_ms = consumer.last_stable_offset(part), consumer.last_poll_timestamp(part)
        if offset is None or heard_ms is None:
            return None
        written = max(offset, consumer.highwater(part) or 0)
        return LogEnd(offset, max(0.0, time() - heard_ms / 1000), written)


class _Begun:
    """A coroutine that has already started and waits for something. Awaiting this resumes it."""

    def __init__(self, begun: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        self._begun = begun
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, Any]:
        begun, waits_for = self._begun, self._waits_for
        try:
            while True:
                try:
                    sent = yield waits_for
                except BaseException as error:
                    waits_for = begun.throw(error)
                else:
                    waits_for = begun.send(sent)
        except StopIteration as over:
            return over.value


_STALE = (CommitFailedError, IllegalGenerationError, IllegalStateError, RebalanceInProgressError, UnknownMemberIdError)


class Transport(driver.Transport):  # type: ignore[misc]  # Faust's is untyped here
    Consumer = Consumer
