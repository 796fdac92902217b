"""Makes results from the frames of one topic, for all shards of a worker. It doesn't depend on Kafka."""

import logging
import sys
from collections.abc import Iterable, Sequence

import numpy as np

from tickertape.schemas.checkpoint import Views
from tickertape.schemas.frame import Frame
from tickertape.schemas.refused import LateSlice
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.results import Output, Results
from tickertape.stream.engine.define.recipes import DerivedRecipe, Windowing
from tickertape.stream.engine.derived.derived import Derived
from tickertape.stream.engine.derived.fill import Filler
from tickertape.stream.engine.derived.post_processor import PostProcessor
from tickertape.stream.engine.finality.shards import Shards
from tickertape.stream.engine.frames.packing import Inspector
from tickertape.stream.engine.frames.upserts import Arrival
from tickertape.stream.engine.recovery.state import State
from tickertape.stream.engine.tables.joint import is_joint
from tickertape.stream.engine.tables.rows import rows_of
from tickertape.stream.engine.tables.tables import Tables
from tickertape.stream.engine.windows.folding import Folding
from tickertape.stream.engine.windows.past_horizon import PastHorizon
from tickertape.stream.engine.windows.publishing import Publishing

log = logging.getLogger(__name__)

# The key, in place of an input partition, for what retention deleted from the shard's own log.
_NO_PARTITION = -1


class Windows:
    """The open windows of one recipe. `apply_frame` takes frames, and `flush` returns results.

    Parameters
    ----------
    windowing
        The recipe of the windows.
    slice_ms, horizon_ms, epoch, fill
        See `Settings`.
    derived
        Makes the results that are derived from final windows, or None.
    """

    def __init__(
        self,
        windowing: Windowing,
        *,
        slice_ms: int,
        horizon_ms: int,
        epoch: str,
        fill: bool = False,
        derived: Derived | None = None,
    ) -> None:
        self.windowing = windowing
        self.topic = windowing.slicing.topic.name
        #: The number of upserts that have arrived since the last flush.
        self.waiting = 0
        self._epoch = epoch
        self._arrived: list[Arrival] = []
        self._inspector = Inspector(windowing.slicing.aggregate)
        self._tables = Tables(windowing)
        self._shards = Shards(horizon_ms, max(windowing.resolutions.values()))
        self._past_horizon = PastHorizon(windowing, slice_ms)
        self._fills = fill and bool(windowing.fill)
        self._post_processors: list[PostProcessor] = [Filler(windowing, slice_ms, self._shards)] if self._fills else []
        if derived:
            self._post_processors.append(derived)
        takes = (
            {name for processor in self._post_processors for name in processor.takes} if self._post_processors else None
        )
        self._folding = Folding(
            windowing, slice_ms, self._tables, self._shards, self._past_horizon, self._post_processors
        )
        self._publishing = Publishing(windowing, self._tables, self._shards, takes)

    def __len__(self) -> int:
        """Return the number of open windows; a joint one counts as two."""
        windows = self._tables.windows
        return len(windows) + int(np.count_nonzero(is_joint(windows.columns, windows.live())))

    @property
    def has_changes(self) -> bool:
        """Whether upserts wait for a flush, or windows that the last one left out."""
        return bool(self._arrived) or self._publishing.is_behind

    @property
    def shards(self) -> Shards:
        """The state of each shard."""
        return self._shards

    @property
    def outputs(self) -> list[Output]:
        """The outputs of the windows and of all post-processors."""
        return [self.windowing.output, *(output for processor in self._post_processors for output in processor.outputs)]

    @property
    def lags(self) -> bool:
        """Whether a post-processor has work left from the last flush, which a checkpoint made now would lose."""
        return any(processor.lags for processor in self._post_processors)

    @property
    def needs_all_finals(self) -> bool:
        """Whether a post-processor needs all final windows of a shard, from the first on."""
        return any(processor.needs_all_finals for processor in self._post_processors)

    def slices_from(self, start_ms: int) -> int:
        """Return the number of slices from a time on that aren't folded for good yet."""
        slices = self._tables.slices
        return int(np.count_nonzero(slices.columns["slice_ms"][slices.live()] >= start_ms))

    def assign(
        self, shard: int, saved: Views, upto: int = 0, state: State | None = None, *, fresh: bool = True
    ) -> list[str]:
        """Resume a shard from its checkpoint, and from a snapshot if there is one.

        Parameters
        ----------
        saved, upto
            The frontiers in the checkpoint, and the offset up to which the shard had been read.
        state
            The state in the snapshot, or None.
        fresh
            Whether the shard is read from where it was first read, so all derived results are computed again.

        Returns
        -------
        list[str]
            The outputs whose past is lost, so they start without it.
        """
        self._past_horizon.assign(shard, upto, state.past_horizon if state else {})
        # Post-processors must see all windows since the snapshot, also those that the previous owner had published.
        repeating = bool(self._post_processors) if state else fresh and self.needs_all_finals
        self._shards.assign(shard, saved, state, repeating=repeating)
        if state:
            self._folding.restore(shard, state.rows)
        return [name for processor in self._post_processors for name in processor.assign(shard, state, fresh=fresh)]

    def start_publishing(self, shard: int) -> None:
        """Publish a shard's results from now on: it has been read up to the previous owner's checkpoint."""
        self._shards.publishing.add(shard)

    def mark_incomplete(self, shard: int, until_ms: int) -> None:
        """Mark all open windows up to a time as incomplete, because retention deleted some of their frames."""
        log.error("slices, partition %d: retention deleted frames of open windows: they are marked incomplete", shard)
        self._shards.incomplete[shard][_NO_PARTITION] = (0, until_ms)

    def apply_frame(self, shard: int, offset: int, frame: Frame) -> None:
        """Apply a frame of a shard; the next flush merges its upserts.

        Raises
        ------
        BadFrame
            The frame isn't valid. No part of it is applied.
        """
        self.apply_record(shard, offset, (frame,))

    def apply_record(self, shard: int, offset: int, frames: Iterable[Frame]) -> None:
        """Apply the frames of one record of a shard, one after the other; the next flush merges their upserts.

        Raises
        ------
        BadFrame
            A frame isn't valid. No part of the record is applied.
        """
        ours = [frame for frame in frames if frame.topic == self.topic and frame.epoch == self._epoch]
        for frame in ours:
            self._inspector.inspect(frame)
        for frame in ours:
            self._apply(shard, offset, frame)

    def _apply(self, shard: int, offset: int, frame: Frame) -> None:
        finality = self._shards.finality[shard]
        if starts := frame.columns.get("slice_ms"):
            passed_ms = [finality.frontier_ms(frame.partition, source) for source in frame.sources]
            self._arrived.append(Arrival(shard, offset, frame, passed_ms))
            self.waiting += len(starts) // 8
        if frame.incomplete:
            self._shards.incomplete[shard][frame.partition] = frame.incomplete
        # A frame's frontiers cover its own upserts, so they count from the next frame on.
        finality.apply_frame(frame)

    def flush(self, *, provisional: int = sys.maxsize, longer: bool = True) -> Results:
        """Fold slices that can't change any more, and return the results that have changed.

        These are a record of each window that has changed or become final, and the derived results.

        Parameters
        ----------
        provisional, longer
            See `Publishing.publish`.
        """
        arrived, self._arrived, self.waiting = self._arrived, [], 0
        self._folding.absorb(arrived)
        passed = self._folding.advance()
        if not (arrived or passed or self._publishing.is_behind or self.lags or self._shards.repeating):
            return Results()
        flush = self._publishing.publish(provisional=provisional, longer=longer)
        for processor in self._post_processors:
            processor.process(flush, self._shards)
        self._folding.release()
        self._tables.forget_symbols()
        self._forget_sources()
        if not self.lags:
            self._shards.repeating -= self._shards.publishing
        return Results(flush.results)

    def _forget_sources(self) -> None:
        """Forget sources without a lane and without windows that may change. With `fill`, series never end."""
        if self._fills:
            return
        for shard in self._shards.publishing:
            if self._shards.finality[shard].may_forget:
                self._shards.finality[shard].forget(self._tables.sources_of(shard))

    def late(self) -> list[LateSlice]:
        """Return the slices that arrived past the horizon since the last call."""
        return self._past_horizon.pop_late(self._shards.finality)

    def state(self, shard: int) -> State:
        """Return a shard's state for a snapshot; to be called after a flush."""
        rows = rows_of(self._tables, shard)
        frontiers = self._shards.finality[shard].frontiers()
        state = State(rows, frontiers, self._shards.incomplete[shard], self._past_horizon.included(shard), None, {})
        for processor in self._post_processors:
            state = processor.with_state(state, shard, self._shards)
        return state

    def checkpoint(self, shard: int, read: int) -> tuple[int, Views]:
        """Return the oldest offset that an open window needs, at most ``read``, and the shard's frontiers."""
        return self._tables.needed_offset(shard, read), self._shards.finality[shard].views()

    def post_processors_need(self, shard: int, read: int) -> int:
        """Return the offset from which the next owner has to read for the post-processors, at most ``read``."""
        return min((processor.needed_offset(shard, read) for processor in self._post_processors), default=read)


def windows_of(
    windowings: Sequence[Windowing], recipes: Sequence[DerivedRecipe], settings: Settings, horizon_ms: int | None = None
) -> list[Windows]:
    """Return the windows of these recipes, made with the settings.

    Parameters
    ----------
    windowings
        The recipes of the windows.
    recipes
        The recipes of the results that are derived from final windows.
    horizon_ms
        Replaces the setting: a replay passes 0, because nothing is idle there. None: the setting.
    """
    return [
        Windows(
            windowing,
            slice_ms=settings.slice_ms,
            horizon_ms=settings.horizon_ms if horizon_ms is None else horizon_ms,
            epoch=settings.epoch,
            fill=settings.fill,
            derived=Derived(windowing, recipes, settings),
        )
        for windowing in windowings
    ]
