"""The fast lane: provisional results of the finest windows, published by the slicing agent from its open slices.

They needn't pass through ``slices``, so they come sooner. See docs/guarantees.md for the conditions.
"""

from collections.abc import Mapping, Sequence
from time import time
from typing import NamedTuple

import numpy as np
from faust.types import TP

from tickertape.schemas.frame import NEVER_MS, SHOWN_OF_ALL, SHOWN_OF_SOURCE
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.keyed_topics import KeyedTopics
from tickertape.stream.engine.core.names import ALL
from tickertape.stream.engine.core.results import ResultWriter, WindowKey, by_partition, records_at
from tickertape.stream.engine.core.table import NO_ROW, Columns
from tickertape.stream.engine.define.recipes import Windowing
from tickertape.stream.engine.slices.slicer import Slicer
from tickertape.stream.engine.tables import source_totals
from tickertape.stream.engine.tables.merging import accumulate
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.telemetry.metrics import EVENT_TO_RESULT_SECONDS, RESULTS

_SHOWN = SHOWN_OF_SOURCE | SHOWN_OF_ALL


class _Windows(NamedTuple):
    """Windows to publish: n of one source, and then m of all sources.

    Attributes
    ----------
    slices
        The rows of open slices, each of which is a window of its source; shape (k,). The first n are published. The
        others are only shares of windows of all sources.
    n
        See above.
    shares, whole
        The rows of the slices in each window of all sources, in the canonical order, and the window's number from 0;
        shape (l,).
    """

    slices: Ints
    n: int
    shares: Ints
    whole: Ints


class FastLane:
    """Publishes changed slices as windows, if all events of their symbols are in the slicer's partition.

    Parameters
    ----------
    windowings
        The recipes of windows of one topic.
    producer
        Sends the results.
    sinks
        The number of partitions of each sink, by name.
    keyed
        The topics whose sources all promise where their keys lie.
    """

    def __init__(
        self,
        windowings: Sequence[Windowing],
        settings: Settings,
        producer: Producer,
        sinks: Mapping[str, int],
        keyed: KeyedTopics,
    ) -> None:
        self._slice_ms = settings.slice_ms
        self._horizon_ms = settings.horizon_ms
        self._producer = producer
        self._sinks = sinks
        self._keyed = keyed
        self._writers = [
            (windowing, resolution, ResultWriter(windowing.output))
            for windowing in windowings
            if (resolution := windowing.fast_resolution(settings.slice_ms)) is not None
        ]

    @property
    def serves(self) -> bool:
        """Whether any of the recipes has windows for the fast lane."""
        return bool(self._writers)

    def publish(self, slicer: Slicer) -> bool:
        """Publish what has changed, and return whether that is all that has.

        Parameters
        ----------
        slicer
            A slicer that has read past its checkpoint: below, its slices lack what isn't read again yet.
        """
        self._keyed.note(TP(slicer.slicing.topic.name, slicer.partition), keyed=slicer.is_keyed)
        columns = slicer.open.columns
        changed = np.flatnonzero(columns["dirty"])
        rows = changed[columns["shown"][changed] == 0]
        if len(rows):
            windows = self._windows(slicer, rows)
            if len(windows.slices):
                for windowing, resolution, writer in self._writers:
                    self._send(slicer, windows, windowing, resolution, writer)
                columns["shown"][windows.slices[: windows.n]] |= SHOWN_OF_SOURCE
                columns["shown"][windows.shares] |= SHOWN_OF_ALL
        return bool((columns["shown"][changed] == _SHOWN).all())

    def _windows(self, slicer: Slicer, rows: Ints) -> _Windows:
        columns, lanes, promises = slicer.open.columns, slicer.lanes, slicer.promises
        symbol, start_ms, source = columns["symbol"][rows], columns["slice_ms"][rows], columns["source"][rows]
        end_ms = start_ms + self._slice_ms
        newest_ms = max(lanes.watermark_ms.values(), default=NEVER_MS)
        # What may be past the fold frontier would have no final result.
        recent = end_ms > newest_ms - self._horizon_ms // 2
        of_source = np.zeros(len(rows), np.bool_)
        for code in np.unique(source).tolist():
            mine = np.flatnonzero(source == code)
            of_source[mine] = promises.keep(slicer.sources.names[code], symbol[mine], start_ms[mine])
        # A lane's closed slices are gone, so only windows that no lane has passed are whole.
        closed_ms = max([lanes.evicted_ms, *lanes.frontier_ms.values()])
        of_all = recent & (end_ms > closed_ms) & self._keyed.is_keyed(slicer.slicing.topic.name)
        for name in slicer.counting() if of_all.any() else ():
            of_all &= promises.keep(name, symbol, start_ms)
        own = rows[of_source & recent]
        shares, whole = self._shares(slicer, symbol[of_all], start_ms[of_all])
        others = np.setdiff1d(shares, own)
        return _Windows(np.concatenate([own, others]), len(own), shares, whole)

    def _shares(self, slicer: Slicer, symbol: Ints, start_ms: Ints) -> tuple[Ints, Ints]:
        """Return the open slices of all sources, by window and then by the source's name, and their windows."""
        if not len(symbol):
            return symbol, symbol
        _, first = np.unique((start_ms - start_ms.min()) * len(slicer.symbols.names) + symbol, return_index=True)
        symbol, start_ms = symbol[first], start_ms[first]
        codes = [slicer.sources.code[name] for name in sorted(slicer.lanes.watermark_ms) if name in slicer.sources.code]
        found = np.array([slicer.open.find(code, symbol, start_ms) for code in codes], np.int64).reshape(-1, len(first))
        whole, _ = np.nonzero(found.T != NO_ROW)
        return found.T[found.T != NO_ROW], whole

    def _send(
        self, slicer: Slicer, windows: _Windows, windowing: Windowing, resolution: str, writer: ResultWriter
    ) -> None:
        columns, k = slicer.open.columns, len(windows.slices)
        m = int(windows.whole[-1]) + 1 if len(windows.whole) else 0
        schema = windowing.aggregate.schema
        partials = {name: np.full(k + m, start, dtype) for name, (dtype, start) in schema.items()}
        targets = np.concatenate([np.arange(k), k + windows.whole])
        pairs = np.concatenate([windows.slices, windows.shares]), targets
        accumulate(windowing, columns, pairs, partials, targets)
        metrics = windowing.aggregate.finish(partials)
        source_totals.add_up(_tied(windows, k, m), np.arange(k + m), metrics, windowing.summed)
        # By start, so readers receive bars in time order.
        of = np.concatenate([windows.slices, windows.shares[np.searchsorted(windows.whole, np.arange(m))]])
        start_ms, symbol, source = (columns[name][of] for name in ("slice_ms", "symbol", "source"))
        places = np.concatenate([np.arange(windows.n), k + np.arange(m)])
        places = places[np.argsort(start_ms[places], kind="stable")]
        metrics = {name: column[places] for name, column in metrics.items()}
        since_ms, until_ms = slicer.incomplete or (0, 0)
        metrics["revision"] = partials[windowing.revision][places]
        metrics["final"] = np.zeros(len(places), np.bool_)
        metrics["incomplete"] = (start_ms + self._slice_ms > since_ms)[places] & (start_ms < until_ms)[places]
        names = [ALL if at >= k else slicer.sources.names[source[at]] for at in places.tolist()]
        symbols = [slicer.symbols.names[code] for code in symbol[places].tolist()]
        keys: list[WindowKey] = [
            (name, of_source, resolution, at)
            for name, of_source, at in zip(symbols, names, start_ms[places].tolist(), strict=True)
        ]
        sink = windowing.sink.name
        for block in writer.write(keys, metrics):
            records = block.write()
            for partition, at in by_partition(block.symbols, self._sinks[sink]):
                self._producer.send_many(sink, partition, records_at(records, at))
        RESULTS.labels(sink).inc(len(keys))
        newest_ms = max(slicer.lanes.watermark_ms.values(), default=NEVER_MS)
        EVENT_TO_RESULT_SECONDS.labels(sink).observe(max(0.0, time() - newest_ms / 1000))


def _tied(windows: _Windows, k: int, m: int) -> Columns:
    """Return the columns that `source_totals` needs: the window that each is a share of, and the source's code."""
    whole, order = np.full(k + m, NO_ROW), np.argsort(windows.slices)
    whole[order[np.searchsorted(windows.slices, windows.shares, sorter=order)]] = k + windows.whole
    return {"whole": whole, "source": np.concatenate([np.ones(k, np.int64), np.zeros(m, np.int64)])}
