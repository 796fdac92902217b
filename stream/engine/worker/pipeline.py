"""The Faust app of a worker: it runs the agents on Kafka, and commits their checkpoints together."""

import asyncio
import logging
from contextlib import AsyncExitStack, suppress
from hashlib import blake2b
from time import monotonic
from typing import Any

import faust
from faust.tables.manager import TableManager
from faust.types import TP

from tickertape.schemas.frame import RECORD_FORMAT
from tickertape.schemas.topics import COMMIT_STATE, DEAD_LETTERS, LATE, RESHARDED, SLICES, WINDOW_STATE
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.keyed_topics import KeyedTopics
from tickertape.stream.engine.core.positions import LogEnd
from tickertape.stream.engine.core.workload import Workload
from tickertape.stream.engine.define.discovery import Agents, configured
from tickertape.stream.engine.define.recipes import Recursion, Recursions, Rolling
from tickertape.stream.engine.derived.derived import outputs_of
from tickertape.stream.engine.fetch.unpacking import Blocks
from tickertape.stream.engine.recovery.recovery import Recovery
from tickertape.stream.engine.recovery.state import earlier_fingerprints, fingerprint
from tickertape.stream.engine.slices.agent import SlicingAgent
from tickertape.stream.engine.slices.fast_lane import FastLane
from tickertape.stream.engine.windows.agent import WindowAgent
from tickertape.stream.engine.worker import memory
from tickertape.stream.engine.worker.coordinator import Agent, Coordinator
from tickertape.stream.engine.worker.partition_metrics import PartitionMetrics
from tickertape.stream.engine.worker.watchlist import Watchlist
from tickertape.stream.errors import AccessError, BrokerError, ConfigError, TickertapeError
from tickertape.stream.kafka.access.rights import denied, unread
from tickertape.stream.kafka.access.security import for_faust
from tickertape.stream.kafka.clients.group import clients_of
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.clients.topics import topic_exists
from tickertape.stream.kafka.stores.control import Control
from tickertape.stream.kafka.stores.counts import Counts
from tickertape.stream.kafka.stores.snapshots import KafkaSnapshots
from tickertape.stream.kafka.stores.states import KafkaStates
from tickertape.stream.telemetry.metrics import HELD_PARTITIONS, HOLDS, PRODUCER_BUFFER
from tickertape.stream.telemetry.registries import WORKER

log = logging.getLogger(__name__)

# The most that one fetch brings of a partition: one block of single records.
_FETCH_BYTES = 4 << 20
# The most blocks that wait for their agent; more would only take memory.
_WAITING_BLOCKS = 8
# A worker's client id at Kafka begins with this; a digest of what it computes follows.
_CLIENT = "tickertape-"
# A worker that has ended remains in its group for the session's time-out, plus at most this.
_GONE_SECONDS = 2.0
# How often this worker checks whether Kafka lets it into its group.
_LOOK_SECONDS = 1.0
# How often free memory is released during a backlog, and whether it is over is checked.
_GIVE_BACK_SECONDS = 5.0


class _NoTables(TableManager):  # type: ignore[misc]  # Faust is untyped here
    """Starts without Faust's wait of a second for tables: a worker that replaces another one hasn't that time."""

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()


class Pipeline(faust.App):  # type: ignore[misc]  # Faust is untyped here
    """A worker's app.

    Parameters
    ----------
    settings
        The settings; ``broker`` is set.
    slot
        The worker's slot. It names a static member of the group, so that a restart moves no partition.
    """

    def __init__(self, settings: Settings, slot: str) -> None:
        self.settings = settings
        self._agents = configured(settings)
        self.slicings, self.windowings, self.recipes, _ = self._agents
        if self.recipes and not settings.snapshot_seconds:
            raise ConfigError(
                "setting: snapshot_seconds is 0, but agents that take final windows resume from snapshots: set it, or "
                "leave these agents out"
            )
        self._outputs = outputs_of(self.windowings, self.recipes, settings)
        topics = [slicing.topic.name for slicing in self.slicings] + [SLICES.name] * bool(self.windowings)
        blocks = Blocks(frozenset(topics), settings.block_records, settings.block_bytes)
        self.coordinator = Coordinator(blocks, Workload(settings.coalesce_ms / 1000, HOLDS.inc))
        # Created in on_start, because it belongs to the event loop.
        self._output: Producer | None = None
        self._opened = AsyncExitStack()
        group = settings.consumer_group
        self._name = f"{group}-{slot}"
        self._slot = slot
        # Kafka shows the members of a group each other's client ids.
        self._client = f"{_CLIENT}{_digest(self._agents)}"
        super().__init__(
            group,
            broker_client_id=self._client,
            broker=[f"blocks://{address.strip()}" for address in settings.broker.split(",")],
            broker_credentials=for_faust(settings),
            broker_commit_interval=settings.commit_seconds,
            broker_heartbeat_interval=settings.session_seconds / 4,
            broker_session_timeout=settings.session_seconds,
            consumer_auto_offset_reset="earliest",
            consumer_group_instance_id=self._name,
            consumer_max_fetch_size=_FETCH_BYTES,
            # New partitions are seen within this time; Kafka's default is five minutes.
            consumer_metadata_max_age_ms=2000,
            store="memory://",
            TableManager=_NoTables,
            stream_buffer_maxsize=_WAITING_BLOCKS,
            stream_wait_empty=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            value_serializer="raw",
            web_enabled=False,
        )
        for topic in topics:
            # Without acks, because the coordinator commits.
            self.agent(self.topic(topic, value_serializer="raw", acks=False), name=topic)(self._read)
        self._is_behind = False
        self.timer(_GIVE_BACK_SECONDS)(self._give_back)

    async def _read(self, stream: Any) -> None:
        async for event in stream.events():
            try:
                if not await self.coordinator.receive(event.value):
                    await self.consumer.perform_seek()
            except Exception as error:
                # Faust would continue with the next block. A worker that restarts reads this one again.
                if not isinstance(error, TickertapeError):
                    log.exception("%s, partition %d: a block failed", event.message.topic, event.message.partition)
                await self.crash(error)
                raise

    async def _give_back(self) -> None:
        # During a backlog, and once after it. A block uses the memory of the one before again, but when the windows of
        # a minute become final, their results take a hundred megabytes, and leave gaps as large.
        was_behind, self._is_behind = self._is_behind, self.coordinator.workload.behind
        if was_behind:
            memory.give_back()

    def _create_directories(self) -> None:
        """Do nothing: without tables no directories are needed."""

    async def on_start(self) -> None:
        await super().on_start()
        settings = self.settings
        producer = self._output = Producer(settings, name=self._name, compression=settings.compression)
        await producer.start()
        if await topic_exists(producer.connection, producer.client, RESHARDED.name):
            raise BrokerError(
                f"{SLICES.name} is being resharded: wait for `tickertape reshard`, or run it again if interrupted"
            )
        await self._refuse_others()
        for topic in (*(slicing.topic for slicing in self.slicings), LATE, DEAD_LETTERS):
            # A missing topic is reported now, not when its first record is sent.
            await producer.partitions(topic.name)
        shards = await producer.partitions(SLICES.name)
        sinks = {output.sink: await producer.partitions(output.sink) for output in self._outputs}
        workload = self.coordinator.workload
        keyed = KeyedTopics()
        agents: list[Agent] = []
        for slicing in self.slicings:
            windowings = [one for one in self.windowings if one.slicing.topic == slicing.topic]
            fast_lane = FastLane(windowings, settings, producer, sinks, keyed)
            agents.append(SlicingAgent(slicing, settings, producer, shards, self._log_end, workload, fast_lane))
        recovery = await self._recovery(producer)
        if self.windowings:
            watchlist = Watchlist(settings.watch)
            WORKER.register(watchlist)
            agents.append(
                WindowAgent(
                    self.windowings,
                    settings,
                    producer,
                    sinks,
                    self._log_end,
                    workload,
                    recovery,
                    recipes=self.recipes,
                    listener=watchlist,
                    keyed=keyed,
                )
            )
        counts = Counts(producer, await self._opened.enter_async_context(Control(settings)))
        states = await self._states(producer)
        self.coordinator.start(agents, producer, recovery, PartitionMetrics(self._log_end), counts, states)
        PRODUCER_BUFFER.set_function(lambda: producer.pending_bytes)
        HELD_PARTITIONS.set_function(lambda: len(workload.held))

    async def _refuse_others(self) -> None:
        """Check that all workers of this group compute the same.

        Raises
        ------
        ConfigError
            A worker that computes something else stays in the group.
        """
        until = monotonic() + self.settings.session_seconds + _GONE_SECONDS
        while any(
            client.startswith(_CLIENT) and client != self._client
            for client in await clients_of(self.settings, self.settings.consumer_group)
        ):
            if monotonic() > until:
                raise ConfigError(
                    f"workers of group {self.settings.group} compute something else than this one would: set the same "
                    "`agents` for all of them, or another `group` for this one; stop workers of an older version first"
                )
            await asyncio.sleep(_LOOK_SECONDS)

    async def _states(self, producer: Producer) -> KafkaStates | None:
        """Return the store of checkpoints that are too long for a commit; None if its topic doesn't exist yet."""
        with suppress(AccessError):
            if await topic_exists(producer.connection, producer.client, COMMIT_STATE.name):
                return KafkaStates(producer, self.settings.consumer_group)
        return None

    async def _recovery(self, producer: Producer) -> Recovery | None:
        settings = self.settings
        if not self.windowings or not settings.snapshot_seconds:
            return None
        partitions = await producer.partitions(WINDOW_STATE.name)
        form = fingerprint(self.windowings, settings.epoch, fill=settings.fill)
        earlier = earlier_fingerprints(self.windowings, settings.epoch, fill=settings.fill)
        group = settings.consumer_group
        snapshots = KafkaSnapshots(producer, partitions, group=group, fingerprint=form, earlier=earlier)
        return Recovery(snapshots, settings.snapshot_seconds, needed=bool(self.recipes))

    async def refusal(self) -> BaseException:
        """Wait until Kafka refuses to let this worker into its group, and return why. Faust doesn't log it."""
        while self._consumer is None or (error := self._consumer.refusal()) is None:  # noqa: ASYNC110 - a thread has it
            await asyncio.sleep(_LOOK_SECONDS)
        return self._told(error)

    def crashed(self) -> BaseException | None:
        """Return why the worker crashed, or None if it didn't."""
        reason = self.crash_reason
        return None if reason is None else self._told(reason)

    def _told(self, reason: BaseException) -> BaseException:
        """Return an error; if a right at Kafka is missing, as a message of one line that names it."""
        return unread(self.settings, reason, self.settings.consumer_group) if denied(reason) else reason

    async def stop(self) -> None:
        # The last commit comes with a snapshot of every shard: that memory is needed at once.
        memory.give_back()
        self.coordinator.leave()
        await super().stop()

    async def on_shutdown(self) -> None:
        await super().on_shutdown()
        await self.coordinator.stop()
        if self._output is not None:
            await self._output.stop(within_seconds=5.0)
        await self._opened.aclose()

    def _log_end(self, tp: TP) -> LogEnd | None:
        return self.consumer.log_end(tp)  # type: ignore[no-any-return]  # Faust is untyped here


def _digest(agents: Agents) -> str:
    """Return a digest of what agents read and publish, and how frames travel.

    Rules of signals aren't part of it, so workers' may differ.
    """
    names = [slicing.topic.name for slicing in agents.slicings]
    names += [f"{one.output.name} {sorted(one.resolutions.items())}" for one in agents.windowings]
    names += [one.output.name for one in agents.recipes if isinstance(one, Recursion)]
    for one in agents.recipes:
        if isinstance(one, Recursions):
            names += [f"{member.output.name}@{one.resolution}" for member in one.members]
    names += [f"{one.sink.name}/{one.kind}" for one in agents.recipes if isinstance(one, Rolling)]
    names.append(f"records of {SLICES.name}: {RECORD_FORMAT}")
    return blake2b("\n".join(sorted(names)).encode(), digest_size=4).hexdigest()
