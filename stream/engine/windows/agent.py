"""The window agent: frames of slices in, results out."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from secrets import token_hex
from time import monotonic, perf_counter, time
from typing import Protocol

import msgspec
from faust.types import TP

from tickertape.schemas.checkpoint import Views, WindowCheckpoint, to_metadata, windows_from
from tickertape.schemas.frame import Frame
from tickertape.schemas.snapshot import Snapshot
from tickertape.schemas.topics import DEAD_LETTERS, LATE, SLICES
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.core.pace import Pace
from tickertape.stream.engine.core.positions import LogEnd, Position
from tickertape.stream.engine.core.refusal import dead_letter
from tickertape.stream.engine.core.results import Result
from tickertape.stream.engine.core.workload import AHEAD_MS, Workload
from tickertape.stream.engine.define.recipes import DerivedRecipe, Windowing
from tickertape.stream.engine.derived.derived import Derived
from tickertape.stream.engine.frames.latency import Latency
from tickertape.stream.engine.frames.packing import BadFrame
from tickertape.stream.engine.recovery.recovery import Recovery
from tickertape.stream.engine.recovery.state import State, from_bytes, to_bytes
from tickertape.stream.engine.windows.windows import Windows
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.partition import partition_for
from tickertape.stream.telemetry.metrics import BLOCK_RECORDS, FOLD_SECONDS, OPEN_WINDOWS, PUBLISH_SECONDS, RESULTS

# A shard that has more frames to read is behind.
BEHIND_FRAMES = 100
# Merged at the latest when so many upserts wait, which bounds memory while it catches up; and with more than a quarter
# of them, what is provisional would be old news, and waits.
WAITING_UPSERTS = 20_000
# Of one flush, so that none takes long.
PROVISIONAL_RESULTS = 20_000
# A provisional bar of an hour is no news with each flush, as one of a second is.
LONGER_SECONDS = 0.25

log = logging.getLogger(__name__)
_json = msgspec.json.Encoder().encode


class Listener(Protocol):
    """What is told of every result that is published."""

    def note(self, results: list[Result]) -> None: ...
    def clear(self) -> None: ...


class WindowAgent:
    """Keeps the windows of the shards that this worker owns.

    Parameters
    ----------
    windowings
        What to make of slices.
    producer
        Where results go.
    sinks
        How many partitions each sink has, by name.
    log_end
        The end of a shard's log as far as known, or None.
    workload
        The worker's; all of its agents have the same.
    recovery
        Where snapshots come from and go to; None: there are none.
    recipes
        What follows the windows when they are final.
    listener
        Is told of results; None: nobody is.
    """

    topic = SLICES.name

    def __init__(
        self,
        windowings: list[Windowing],
        settings: Settings,
        producer: Producer,
        sinks: Mapping[str, int],
        log_end: Callable[[TP], LogEnd | None],
        workload: Workload,
        recovery: Recovery | None = None,
        recipes: Sequence[DerivedRecipe] = (),
        listener: Listener | None = None,
    ) -> None:
        self._windowings = windowings
        self._recipes = recipes
        self._settings = settings
        self._producer = producer
        self._sinks = sinks
        self._decode = msgspec.msgpack.Decoder(Frame).decode
        self._windows: list[Windows] = []
        self._most: Mapping[str, int] = {}
        self._read: dict[int, int] = {}
        self._upto: dict[int, int] = {}
        self._log: dict[int, str] = {}
        # Where a shard was first read, while no snapshot spares what follows windows from beginning there again.
        self._began: dict[int, int | None] = {}
        self._log_end = log_end
        self._workload = workload
        self._recovery = recovery
        self._listener = listener
        self._latency = Latency()
        # By sink: when what is provisional may be published next, and when also of windows longer than the finest.
        self._next: dict[str, float] = {}
        self._longer: dict[str, float] = {}
        self._block_records = BLOCK_RECORDS.labels(self.topic)
        self._fold_seconds = FOLD_SECONDS.labels(self.topic)
        self._publish_seconds = PUBLISH_SECONDS.labels(self.topic)
        self._pace = Pace(self.flush, settings.backlog_ms / 1000, workload)

    def restore(self, positions: Mapping[TP, Position]) -> dict[TP, int]:
        """Take up these shards from their checkpoints, and snapshots; return where to read each from."""
        self._pace.stop()
        self._workload.clear(self.topic)
        if self._listener:
            self._listener.clear()
        self._latency.clear()
        if self._recovery:
            self._recovery.begin([tp.partition for tp in positions])
        settings = self._settings
        self._windows = [
            Windows(
                windowing,
                slice_ms=settings.slice_ms,
                horizon_ms=settings.horizon_ms,
                epoch=settings.epoch,
                fill=settings.fill,
                derived=Derived(windowing, self._recipes, settings),
            )
            for windowing in self._windowings
        ]
        self.limit_partitions(self._most)
        self._read, self._upto, self._log, self._next, self._longer = {}, {}, {}, {}, {}
        self._began = {}
        for tp, position in positions.items():
            position = position.valid(tp)
            saved = windows_from(position.metadata) or WindowCheckpoint()
            self._read[tp.partition] = max(position.committed or 0, position.begin)
            self._upto[tp.partition] = saved.upto
            self._log[tp.partition] = saved.log or token_hex(4)
            states = self._states(tp.partition, position)
            # What only fills windows without events may go: a series is filled again from its next event on.
            needed = position.committed if saved.needed is None else saved.needed
            lost = not states and position.committed is not None and position.begin > (needed or 0)
            fresh = not states and self._begin(tp.partition, position, saved)
            anew: list[str] = []
            for i, windows in enumerate(self._windows):
                views = saved.topics.get(windows.topic, Views())
                anew += windows.assign(tp.partition, views, saved.upto, states[i] if states else None, fresh=fresh)
                if lost:
                    windows.mark_incomplete(tp.partition, int(time() * 1000) + settings.skew_ms)
            if anew:
                log.warning(
                    "slices, partition %d: %s begin anew, for what was before is in no snapshot; they are marked "
                    "incomplete until that doesn't show any more",
                    tp.partition,
                    ", ".join(anew),
                )
            self._settle(tp.partition)
        return {tp: self._read[tp.partition] for tp in positions}

    def limit_partitions(self, most: Mapping[str, int]) -> None:
        """Hear how many partitions topics have, or are promised."""
        self._most = most
        for windows in self._windows:
            if windows.topic in most:
                windows.shards.limit_partitions(most[windows.topic])

    def claimed_partitions(self, block: Block) -> dict[str, int]:  # noqa: ARG002 - frames say it when they are read
        return {}

    def doubtful_partitions(self) -> dict[str, int]:
        """Return by topic how many partitions frames say that there are, where that is more than there may be."""
        return {windows.topic: doubt for windows in self._windows if (doubt := windows.shards.doubtful_partitions)}

    def _states(self, shard: int, position: Position) -> list[State]:
        """Go back to a snapshot, where there is one that fits; return what it holds for each of the windows."""
        snapshot = self._recovery.snapshot_for(shard, position) if self._recovery else None
        if self._recovery is None or snapshot is None:
            return []
        try:
            states = from_bytes(snapshot.state)
        except msgspec.MsgspecError as error:
            log.warning("slices, partition %d: the snapshot can't be read (%s): frames are read again", shard, error)
            self._recovery.discard(shard)
            return []
        log.info(
            "slices, partition %d: snapshot at offset %d, the commit is of %d", shard, snapshot.upto, self._upto[shard]
        )
        self._read[shard] = snapshot.upto
        return states

    def _begin(self, shard: int, position: Position, saved: WindowCheckpoint) -> bool:
        """Note from where what follows windows can be made again; return whether that is without a snapshot."""
        first = self._read[shard] if position.committed is None else saved.began
        fresh = first is not None and first >= position.begin
        self._began[shard] = first if fresh else None
        return fresh

    def _settle(self, shard: int) -> None:
        if self._read[shard] >= self._upto[shard]:
            for windows in self._windows:
                windows.start_publishing(shard)

    def read(self, partition: int) -> int | None:
        """Return the offset that a shard has been read to, or None where it isn't this worker's."""
        return self._read.get(partition)

    def receive(self, block: Block) -> None:
        shard = block.partition
        began = perf_counter()
        block = block.since(self._read[shard])
        for at, (offset, value) in enumerate(zip(block.offsets.tolist(), block.values, strict=True)):
            try:
                frame = self._decode(value or b"")
                for windows in self._windows:
                    windows.apply_frame(shard, offset, frame)
                if offset >= self._upto[shard]:
                    self._latency.note_frame(frame)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, BadFrame) as error:
                self._reject(block, at, error)
        self._read[shard] = max(self._read[shard], block.end)
        self._settle(shard)
        self._block_records.observe(len(block))
        self._fold_seconds.observe(perf_counter() - began)
        tp = TP(self.topic, shard)
        end = self._log_end(tp)
        self._workload.note(tp, behind=end is not None and end.offset - self._read[shard] > BEHIND_FRAMES)
        if any(windows.waiting > WAITING_UPSERTS for windows in self._windows):
            self._pace.now()
        else:
            self._pace.ask()

    def _reject(self, block: Block, at: int, error: Exception) -> None:
        if block.offsets[at] < self._upto[block.partition]:
            return  # the last owner has told of it
        letter = dead_letter(block, at, f"not a frame: {error}")
        log.error("%s, partition %d, offset %d: %s", self.topic, block.partition, letter.offset, letter.reason)
        key = f"{self.topic}|{block.partition}|{letter.offset}".encode()
        self._producer.send(DEAD_LETTERS.name, 0, key, _json(letter))

    def flush(self) -> None:
        """Publish what has changed."""
        with self._publish_seconds.time():
            waits = {windows.topic for windows in self._windows if self._flush(windows)}
        self._latency.clear(but=waits)
        if any(windows.lags for windows in self._windows):
            self._pace.again()

    def _flush(self, windows: Windows) -> bool:
        """Publish what has changed of some windows; return whether what is provisional has to wait."""
        sink, put, sinks = windows.windowing.sink.name, self._producer.send, self._sinks
        now = monotonic()
        waits = windows.waiting > WAITING_UPSERTS // 4 or now < self._next.get(sink, 0.0)
        if not waits:
            self._next[sink] = now + windows.windowing.provisional_seconds
        longer = now >= self._longer.get(sink, 0.0)
        results = windows.flush(provisional=0 if waits else PROVISIONAL_RESULTS, longer=longer)
        if self._workload.has_backlog(windows.topic):
            self._tell_final(windows)
        if results and longer and not waits:
            self._longer[sink] = now + LONGER_SECONDS
        for output, symbol, key, value in results:
            put(output.sink, partition_for(symbol, sinks[output.sink]), key, value)
        if self._listener:
            self._listener.note(results)
        for name, count in Counter([output.sink for output, *_ in results]).items():
            RESULTS.labels(name).inc(count)
        OPEN_WINDOWS.labels(sink).set(len(windows))
        if results and not waits:
            self._latency.published(windows.topic, sink)
        return waits

    def _tell_final(self, windows: Windows) -> None:
        """Have who reads on hear how far results are final, and what piles up beyond that."""
        final_ms = windows.shards.final_ms
        lateness_ms = windows.windowing.slicing.lateness(self._settings.lateness_ms)
        piled = windows.slices_from(final_ms + lateness_ms + AHEAD_MS)
        self._workload.final(windows.topic, final_ms, piled)

    def checkpoint(self) -> dict[TP, tuple[int, str]]:
        """Flush, and return what may be committed once the producer has delivered."""
        self._pace.now()
        self._tell_late()
        commits: dict[TP, tuple[int, str]] = {}
        if any(windows.lags for windows in self._windows):
            # The next owner begins to fill where windows are done.
            return commits
        for shard, read in self._read.items():
            if read < self._upto[shard]:
                continue
            oldest, carried, known = read, read, {}
            for windows in self._windows:
                offset, known[windows.topic] = windows.checkpoint(shard, read)
                oldest, carried = min(oldest, offset), min(carried, windows.stages_need(shard, read))
            began = None
            if any(windows.needs_all_finals for windows in self._windows):
                kept = self._recovery.kept(shard) if self._recovery else None
                if kept is None:
                    kept = began = self._began.get(shard)
                carried = min(carried, read if kept is None else kept)
            needed = oldest if carried < oldest else None
            checkpoint = WindowCheckpoint(upto=read, topics=known, needed=needed, log=self._log[shard], began=began)
            commits[TP(self.topic, shard)] = min(oldest, carried), to_metadata(checkpoint)
        if self._recovery:
            self._recovery.pack(commits, self._read, self._snapshot)
        return commits

    def _snapshot(self, shard: int) -> Snapshot:
        states = [windows.state(shard) for windows in self._windows]
        return Snapshot(self._log[shard], self._read[shard], to_bytes(states))

    def _tell_late(self) -> None:
        """Report slices that came past the horizon; with a checkpoint, for they grow with every frame."""
        for windows in self._windows:
            late = windows.late()
            for one in late:
                key = f"{one.input_topic}|{one.input_partition}|{one.source}|{one.symbol}|{one.time_ms}".encode()
                self._producer.send(LATE.name, 0, key, _json(one))
            if late:
                log.warning(
                    "%s: slices that came past the horizon: %d, see the topic %s; horizon_ms is %d",
                    windows.topic,
                    len(late),
                    LATE.name,
                    self._settings.horizon_ms,
                )

    def stop(self) -> None:
        self._pace.stop()
