"""The slicing agent: blocks of one input topic in, frames of slices out."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic, perf_counter, time

import msgspec
from faust.types import TP

from tickertape.schemas.checkpoint import slices_from, to_metadata
from tickertape.schemas.control import MOST_PARTITIONS
from tickertape.schemas.frame import NEVER_MS, to_records
from tickertape.schemas.refused import Late
from tickertape.schemas.topics import DEAD_LETTERS, LATE, SLICES
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.core.pace import Pace
from tickertape.stream.engine.core.positions import LogEnd, Position
from tickertape.stream.engine.core.workload import Workload
from tickertape.stream.engine.define.recipes import Slicing
from tickertape.stream.engine.slices.decode import heartbeats
from tickertape.stream.engine.slices.fast_lane import FastLane
from tickertape.stream.engine.slices.silence import Silence
from tickertape.stream.engine.slices.slicer import Refused, Slicer
from tickertape.stream.engine.slices.slicer_settings import settings_of
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.partition import partition_for
from tickertape.stream.telemetry.metrics import BLOCK_RECORDS, DECODE_SECONDS, FOLD_SECONDS, PUBLISH_SECONDS

_json = msgspec.json.Encoder().encode
_msgpack = msgspec.msgpack.Encoder().encode

# Blocks with fewer records are joined. Larger blocks would hardly be cheaper per record.
FOLD_RECORDS = 1024
# A partition with more unread events than this has a backlog.
BEHIND_EVENTS = 8192
# With more than this, it is a large one.
FAR_EVENTS = 1 << 17
# With more shards than the first number, a worker sends no more records with slices a second than the second one. As it
# sends to all shards and owns a share of them, it doesn't receive more either.
FREE_SHARDS, MOST_RECORDS = 32, 1000
# What the fast lane publishes isn't waited for in frames, so they are sent this often.
FRAMES_SECONDS = 0.2
# Flushes take at most half of the time. They are short, and what the fast lane publishes waits for them.
_SHARE = 2
# A partition whose newest record is younger than this is read, though other agents are behind.
LIVE_MS = 30_000


class SlicingAgent:
    """Owns the slicers of this worker's partitions: it receives blocks and sends frames.

    Parameters
    ----------
    slicing
        The recipe of the slices.
    producer
        Sends frames, late records and dead letters.
    shards
        How many partitions ``slices`` has.
    log_end
        Returns the end of a partition's log, or None if it is unknown.
    workload
        The worker's backlog, shared by all of its agents.
    fast_lane
        Publishes provisional results from open slices; None for a worker without windows.
    """

    def __init__(
        self,
        slicing: Slicing,
        settings: Settings,
        producer: Producer,
        shards: int,
        log_end: Callable[[TP], LogEnd | None],
        workload: Workload,
        fast_lane: FastLane | None = None,
    ) -> None:
        self.topic = slicing.topic.name
        self.slicers: dict[int, Slicer] = {}
        self._most_partitions = MOST_PARTITIONS
        self._slicing = slicing
        self._settings = settings
        self._slicer_settings = settings_of(slicing, settings)
        self._producer = producer
        self._shards = shards
        self._log_end = log_end
        self._workload = workload
        self._fast_lane = fast_lane if fast_lane is not None and fast_lane.serves else None
        # When slices were last sent.
        self._sent = -math.inf
        self._due: asyncio.TimerHandle | None = None
        # By partition: small blocks that the next flush folds together.
        self._waiting: dict[int, list[Block]] = {}
        # The partitions that have had a backlog since their last frames.
        self._were_behind: set[int] = set()
        self._failure: Exception | None = None
        self._silence = Silence(self.topic, settings, log_end)
        self._block_records = BLOCK_RECORDS.labels(self.topic)
        self._decode_seconds = DECODE_SECONDS.labels(self.topic)
        self._fold_seconds = FOLD_SECONDS.labels(self.topic)
        self._publish_seconds = PUBLISH_SECONDS.labels(self.topic)
        # The least time between records with slices.
        self._least_seconds = shards / MOST_RECORDS if shards > FREE_SHARDS else 0.0
        self._pace = Pace(self._flush_changed, settings.backlog_ms / 1000, workload, _SHARE)

    def restore(self, positions: Mapping[TP, Position]) -> dict[TP, int]:
        """Resume these partitions from their checkpoints; return the offset to read each from."""
        self.stop()
        self._workload.clear(self.topic)
        self._sent = -math.inf
        self.slicers = {}
        self._waiting = {}
        self._were_behind = set()
        for tp, position in positions.items():
            position = position.valid(tp)
            self.slicers[tp.partition] = Slicer(
                self._slicing,
                tp.partition,
                position.partitions,
                **self._slicer_settings,
                checkpoint=slices_from(position.metadata),
                committed=position.committed,
                begin=position.begin,
                now_ms=int(time() * 1000),
                most_partitions=self._most_partitions,
            )
        self._silence.restart(self.slicers.values())
        return {tp: self.slicers[tp.partition].read for tp in positions}

    def limit_partitions(self, most: Mapping[str, int]) -> None:
        """Set the most partitions that a topic may have, by topic."""
        self._most_partitions = most.get(self.topic, self._most_partitions)
        for slicer in self.slicers.values():
            slicer.most_partitions = self._most_partitions

    def claimed_partitions(self, block: Block) -> dict[str, int]:
        """Return the number of partitions that a block's heartbeats claim, if it exceeds the most that is allowed."""
        most = max((beat.partitions for beat in heartbeats(block)), default=0)
        return {self.topic: most} if most > self._most_partitions else {}

    def doubtful_partitions(self) -> dict[str, int]:
        return {}

    def read(self, partition: int) -> int | None:
        """Return the offset that a partition has been read to, or None if another worker owns it."""
        if waiting := self._waiting.get(partition):
            return waiting[-1].end
        slicer = self.slicers.get(partition)
        return None if slicer is None else slicer.read

    def receive(self, block: Block) -> None:
        """Fold large blocks now; the next flush folds small ones together."""
        read, waiting = self.read(block.partition), self._waiting.setdefault(block.partition, [])
        assert read is not None
        self._block_records.observe(block.events)
        if block.end > read:
            waiting.append(block.since(read))
        if sum(each.events for each in waiting) >= FOLD_RECORDS:
            self._fold_waiting()
        tp = TP(self.topic, block.partition)
        end = self._log_end(tp)
        left = 0 if end is None else end.offset - max(read, block.end)
        # Bundles hold many events.
        unread = left * max(1.0, block.events / max(len(block), 1))
        behind, far = unread > BEHIND_EVENTS, unread > FAR_EVENTS
        if behind:
            self._were_behind.add(block.partition)
        at_ms = self._stands_ms(block.partition) if behind else NEVER_MS
        self._workload.record_backlog(tp, behind=behind, far=far, at_ms=at_ms)
        if len(block) > len(block.headers):
            self._pace.ask()
        else:
            # Nobody waits for heartbeats alone, and the next fetch doesn't wait for the flush that folds them.
            self._workload.record_processed()

    def _stands_ms(self, partition: int) -> int:
        """Return the frontier of a partition's slowest lane, ms; NEVER_MS if the partition is almost live."""
        lanes = self.slicers[partition].lanes
        if max(lanes.watermark_ms.values(), default=NEVER_MS) > time() * 1000 - LIVE_MS:
            return NEVER_MS
        return min(lanes.frontier_ms.values(), default=NEVER_MS)

    def _fold_waiting(self) -> None:
        # A failed fold leaves its slicer half changed: a second try would count the same records as repeated.
        if self._failure is not None:
            raise self._failure
        for partition, waiting in self._waiting.items():
            if waiting:
                try:
                    self._fold(self.slicers[partition], Block.joined(waiting))
                except Exception as error:
                    self._failure = error
                    raise
                waiting.clear()

    def _fold(self, slicer: Slicer, block: Block) -> None:
        began, decoding = perf_counter(), slicer.decode_seconds
        self._refuse(slicer.fold(block))
        decoding = slicer.decode_seconds - decoding
        self._decode_seconds.observe(decoding)
        self._fold_seconds.observe(perf_counter() - began - decoding)
        self._silence.note(slicer)

    def _refuse(self, refused: list[Refused]) -> None:
        for record in refused:
            topic = LATE if isinstance(record, Late) else DEAD_LETTERS
            self._producer.send(topic.name, 0, record.key, _json(record))

    def flush(self) -> None:
        """Send every shard a frame of every partition, even without changes, because each shard needs all lanes."""
        self._fold_waiting()
        with self._publish_seconds.time():
            for slicer in self.slicers.values():
                self._silence.retire(slicer)
            self._hurry(list(self.slicers.values()))
            self._send(self.slicers.values(), everyone=True)
        self._silence.forget_evicted(self.slicers)

    def _flush_changed(self) -> None:
        self._fold_waiting()
        with self._publish_seconds.time():
            changed = [slicer for slicer in self.slicers.values() if slicer.is_dirty]
            wait_seconds = max(self._least_seconds, FRAMES_SECONDS if self._hurry(changed) else 0.0)
            if changed and not self._may_wait(wait_seconds):
                self._send(changed, everyone=False)

    def _hurry(self, slicers: Sequence[Slicer]) -> bool:
        """Let the fast lane publish what has changed; return whether that is all that has.

        In a backlog, or while slices of one aren't sent yet, it would be old news.
        """
        if self._fast_lane is None or self._workload.has_backlog(self.topic):
            return False
        may = [one for one in slicers if one.read >= one.upto and one.partition not in self._were_behind]
        return all(self._fast_lane.publish(may)) and len(may) == len(slicers)

    def _may_wait(self, seconds: float) -> bool:
        """Return whether some seconds since the last records aren't over yet; if so, send the next once they are."""
        wait_seconds = self._sent + seconds - monotonic()
        if wait_seconds <= 0:
            return False
        loop = asyncio.get_running_loop()
        if self._due is None or self._due.when() > loop.time() + wait_seconds:
            self._cancel()
            self._due = loop.call_later(wait_seconds, self._send_waiting)
        return True

    def _send_waiting(self) -> None:
        self._due = None
        self._pace.now()

    def _send(self, slicers: Iterable[Slicer], *, everyone: bool) -> None:
        """Send each shard the frames of its slices; all of a shard's frames go in one record."""
        self._sent = monotonic()
        shards = self._shards
        by_shard: defaultdict[int, list[bytes]] = defaultdict(list)
        for slicer in slicers:
            # The slices may have been read in a backlog that is over by now: what follows from them is old news too.
            behind = slicer.partition in self._were_behind or self._workload.is_behind(TP(self.topic, slicer.partition))
            self._were_behind.discard(slicer.partition)
            frames = slicer.flush(
                lambda symbol: partition_for(symbol, shards),
                shards,
                everyone=everyone,
                idle=self._silence.idle(slicer),
                behind=behind,
            )
            # Without slices, the frames of all shards are one object.
            encoded: dict[int, bytes] = {}
            for shard, frame in frames:
                if (value := encoded.get(id(frame))) is None:
                    value = encoded[id(frame)] = _msgpack(frame)
                by_shard[shard].append(value)
        key = self.topic.encode()
        for shard, values in by_shard.items():
            for record in to_records(values):
                self._producer.send(SLICES.name, shard, key, record)

    def checkpoint(self) -> dict[TP, tuple[int, str]]:
        """Flush; return each partition's offset and metadata, to commit once the producer has delivered."""
        # No frame may wait.
        self._sent = -math.inf
        self._pace.now()
        commits = {}
        for partition, slicer in self.slicers.items():
            if slicer.read >= slicer.upto:
                offset, saved = slicer.checkpoint()
                commits[TP(self.topic, partition)] = offset, to_metadata(saved)
        return commits

    def stop(self) -> None:
        self._pace.stop()
        self._cancel()

    def _cancel(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
