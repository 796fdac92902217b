"""Makes a result record of each window that has changed or become final."""

from collections.abc import Collection, Mapping

import numpy as np

from tickertape.schemas.frame import NEVER_MS
from tickertape.stream.engine.core.columns import Bools, Ints
from tickertape.stream.engine.core.results import NOTHING, Finals, ResultWriter
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.recipes import Windowing
from tickertape.stream.engine.derived.post_processor import Flush
from tickertape.stream.engine.finality.shards import Shards
from tickertape.stream.engine.tables import source_totals
from tickertape.stream.engine.tables.joint import is_joint
from tickertape.stream.engine.tables.merging import as_they_stand
from tickertape.stream.engine.tables.tables import Tables


class Publishing:
    """Makes the result records of windows, and takes the final ones for the post-processors.

    Parameters
    ----------
    windowing
        The recipe of the windows.
    tables, shards
        The slices and windows, and the state of the shards.
    takes
        The metrics of final windows that post-processors need; None without any.
    """

    def __init__(self, windowing: Windowing, tables: Tables, shards: Shards, takes: Collection[str] | None) -> None:
        self._windowing = windowing
        self._tables = tables
        self._shards = shards
        self._takes = takes
        self._finest_ms = min(windowing.resolutions.values())
        self._writer = ResultWriter(windowing.output)
        #: Whether windows may have changed that the last call left for a later one.
        self.is_behind = True

    def publish(self, *, provisional: int, longer: bool) -> Flush:
        """Return the records of windows that have changed, and the final windows among them as columns.

        Parameters
        ----------
        provisional
            The most provisional windows to publish. The others wait for a later flush.
        longer
            Whether provisional windows of all resolutions are published, or only those of the finest.
        """
        rows, only = self._changed(provisional=provisional, longer=longer)
        if not len(rows):
            return Flush([], [], NOTHING)
        stored = self._tables.windows.columns
        stored["dirty"][rows[~only]] = False
        stored["only_dirty"][rows[only]] = False
        metrics = self._metrics(rows, only)
        metrics["final"] = np.where(only, stored["only_final"][rows], stored["final"][rows])
        metrics["incomplete"] = is_incomplete(self._shards.incomplete, stored, rows)
        metrics["width_ms"] = stored["width_ms"][rows]
        shards, sources = stored["shard"][rows], np.where(only, stored["only"][rows], stored["source"][rows])
        keys, ends_ms = self._tables.window_keys(rows, sources), stored["end_ms"][rows]
        finals = NOTHING
        if self._takes is not None and len(final := np.flatnonzero(metrics["final"])):
            columns = {name: metrics[name][final] for name in self._takes}
            finals = Finals(list(keys[final]), shards[final], columns)
        if self._shards.repeating:
            new = np.flatnonzero(ends_ms > self._published_ms(shards, sources))
            keys, ends_ms = keys[new], ends_ms[new]
            metrics = {name: column[new] for name, column in metrics.items()}
        return Flush(self._writer.write(keys, metrics), ends_ms.tolist(), finals)

    def _metrics(self, rows: Ints, only: Bools) -> Columns:
        """Return the metrics of results; see `_changed`. Those of a joint window are computed once."""
        windowing, stored = self._windowing, self._tables.windows.columns
        is_included = np.zeros(len(stored["only"]), np.bool_)
        is_included[rows] = True
        windows = np.flatnonzero(is_included)
        place = np.empty(len(is_included), np.int64)
        place[windows] = np.arange(len(windows))
        if windowing.summed:
            windows = source_totals.with_shares(stored, windows, self._tables.windows.live())
        partials = as_they_stand(windowing, stored, windows, self._tables.slices, self._tables.names)
        metrics = windowing.aggregate.finish(partials)
        sources = np.where(stored["only"] != 0, stored["only"], stored["source"])
        source_totals.add_up({"whole": stored["whole"], "source": sources}, windows, metrics, windowing.summed)
        metrics["revision"] = partials[windowing.revision]
        at = place[rows]
        metrics = {name: column[at] for name, column in metrics.items()}
        whole = ~only & is_joint(stored, rows)
        for name in windowing.summed:
            metrics[name] = np.where(whole, source_totals.of_one(metrics[name]), metrics[name])
        return metrics

    def _changed(self, *, provisional: int, longer: bool) -> tuple[Ints, Bools]:
        """Return the results to publish, sorted by their ends, so readers receive bars in time order.

        Returns
        -------
        Ints, Bools
            Of each result, the row of its window, and whether it is that of the only source of a joint window.
        """
        stored = self._tables.windows.columns
        publishing = np.zeros(max(self._shards.finality, default=0) + 1, np.bool_)
        publishing[list(self._shards.publishing)] = True
        dirty = [np.flatnonzero(stored[name]) for name in ("dirty", "only_dirty")]
        rows, only = np.concatenate(dirty), np.repeat([False, True], [len(some) for some in dirty])
        final = np.where(only, stored["only_final"][rows], stored["final"][rows])
        wanted = publishing[stored["shard"][rows]]
        if not longer:
            wanted &= final | (stored["width_ms"][rows] == self._finest_ms)
        chosen = np.concatenate([np.flatnonzero(wanted & final), np.flatnonzero(wanted & ~final)[:provisional]])
        self.is_behind = len(chosen) < len(rows)
        rows, only = rows[chosen], only[chosen]
        order = np.argsort(stored["end_ms"][rows], kind="stable")
        return rows[order], only[order]

    def _published_ms(self, shards: Ints, sources: Ints) -> Ints:
        """Return, for each window, up to when the previous owner published results of its shard and source."""
        published_ms = np.full(len(shards), NEVER_MS)
        for shard in self._shards.repeating:
            of_shard = shards == shard
            by_source = np.array([self._shards.published_ms(shard, name) for name in self._tables.names.names])
            published_ms[of_shard] = by_source[sources[of_shard]]
        return published_ms


def is_incomplete(marks: Mapping[int, Mapping[int, tuple[int, int]]], windows: Columns, rows: Ints) -> Bools:
    """Return which windows overlap a span of event time in which retention deleted records.

    Parameters
    ----------
    marks
        These spans, ``(from, to)`` ms, by shard and by input partition.
    windows, rows
        The columns of windows, and the rows of those to check.
    """
    end_ms = windows["end_ms"][rows]
    start_ms, shard_of = end_ms - windows["width_ms"][rows], windows["shard"][rows]
    marked = np.zeros(len(rows), np.bool_)
    for shard, of_shard in marks.items():
        for since_ms, until_ms in of_shard.values():
            marked |= (end_ms > since_ms) & (start_ms < until_ms) & (shard_of == shard)
    return marked
