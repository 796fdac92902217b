"""The fast lane: provisional results of the finest windows, published by the slicing agent from its open slices.

They needn't pass through ``slices``, so they come sooner. See docs/guarantees.md for the conditions.
"""

from collections.abc import Iterable, Mapping, Sequence
from time import time
from typing import NamedTuple

import numpy as np
from faust.types import TP

from tickertape.schemas.frame import NEVER_MS, SHOWN_OF_ALL, SHOWN_OF_SOURCE
from tickertape.stream.compiled.texts import Coded
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.keyed_topics import KeyedTopics
from tickertape.stream.engine.core.names import ALL, Names, Translation
from tickertape.stream.engine.core.results import ResultWriter, SinkPartitions, WindowKeys, records_at
from tickertape.stream.engine.core.table import NO_ROW, Columns
from tickertape.stream.engine.define.recipes import Windowing
from tickertape.stream.engine.slices.slicer import Slicer
from tickertape.stream.engine.tables import source_totals
from tickertape.stream.engine.tables.merging import accumulate
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.telemetry.metrics import EVENT_TO_RESULT_SECONDS, RESULTS

_SHOWN = SHOWN_OF_SOURCE | SHOWN_OF_ALL
# The most names that are kept from call to call.
_MOST_NAMES = 1 << 17
_ALL_SOURCES = Names()
_ALL_SOURCES[ALL]


class _Windows(NamedTuple):
    """Windows of one slicer to publish: n of one source, and then m of all sources.

    Attributes
    ----------
    slicer
        The slicer.
    slices
        The rows of open slices, each of which is a window of its source; shape (k,). The first n are published. The
        others are only shares of windows of all sources.
    n
        See above.
    shares, whole
        The slices in each window of all sources, as places in ``slices``, in the canonical order, and the window's
        number from 0; shape (l,).
    """

    slicer: Slicer
    slices: Ints
    n: int
    shares: Ints
    whole: Ints

    @property
    def m(self) -> int:
        return int(self.whole[-1]) + 1 if len(self.whole) else 0


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
        self._partitions = SinkPartitions(sinks)
        self._keyed = keyed
        self._symbols, self._sources = Translation(_MOST_NAMES), Translation(_MOST_NAMES)
        self._writers = [
            (windowing, resolution, ResultWriter(windowing.output))
            for windowing in windowings
            if (resolution := windowing.fast_resolution(settings.slice_ms)) is not None
        ]

    @property
    def serves(self) -> bool:
        """Whether any of the recipes has windows for the fast lane."""
        return bool(self._writers)

    def publish(self, slicers: Sequence[Slicer]) -> list[bool]:
        """Publish what has changed, and return of each slicer whether that is all that has.

        Parameters
        ----------
        slicers
            Slicers of one topic that have read past their checkpoints: below, their slices lack what isn't read again
            yet. All of them are published together, because a window costs little, and a call much.
        """
        self._symbols.begin()
        self._sources.begin()
        for slicer in slicers:
            self._keyed.note(TP(slicer.slicing.topic.name, slicer.partition), keyed=slicer.is_keyed)
        changed = [slicer.open.changed() for slicer in slicers]
        found = [self._windows(slicer, rows) for slicer, rows in zip(slicers, changed, strict=True)]
        if any(len(windows.slices) for windows in found):
            together = _Together([windows for windows in found if len(windows.slices)])
            for windowing, resolution, writer in self._writers:
                self._send(together, windowing, resolution, writer)
            for windows in together.parts:
                shown = windows.slicer.open.columns["shown"]
                shown[windows.slices[: windows.n]] |= SHOWN_OF_SOURCE
                shown[windows.slices[windows.shares]] |= SHOWN_OF_ALL
        return [
            bool((slicer.open.columns["shown"][rows] == _SHOWN).all())
            for slicer, rows in zip(slicers, changed, strict=True)
        ]

    def _windows(self, slicer: Slicer, changed: Ints) -> _Windows:
        columns, lanes, promises = slicer.open.columns, slicer.lanes, slicer.promises
        rows = changed[columns["shown"][changed] == 0]
        if not len(rows):
            return _Windows(slicer, rows, 0, rows, rows)
        symbol, start_ms, source = columns["symbol"][rows], columns["slice_ms"][rows], columns["source"][rows]
        end_ms = start_ms + self._slice_ms
        newest_ms = max(lanes.watermark_ms.values(), default=NEVER_MS)
        # What may be past the fold frontier would have no final result.
        recent = end_ms > newest_ms - self._horizon_ms // 2
        of_source = np.zeros(len(rows), np.bool_)
        for code in set(source.tolist()):
            mine = (source == code).nonzero()[0]
            of_source[mine] = promises.keep(slicer.sources.names[code], symbol[mine], start_ms[mine])
        # A lane's closed slices are gone, so only windows that no lane has passed are whole.
        closed_ms = max([lanes.evicted_ms, *lanes.frontier_ms.values()])
        of_all = recent & (end_ms > closed_ms) & self._keyed.is_keyed(slicer.slicing.topic.name)
        for name in slicer.counting() if of_all.any() else ():
            of_all &= promises.keep(name, symbol, start_ms)
        own = rows[of_source & recent]
        shares, whole = self._shares(slicer, symbol[of_all], start_ms[of_all])
        place = np.full(len(columns["shown"]), NO_ROW)
        place[own] = np.arange(len(own))
        others = shares[place[shares] == NO_ROW]
        place[others] = np.arange(len(own), len(own) + len(others))
        return _Windows(slicer, np.concatenate([own, others]), len(own), place[shares], whole)

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

    def _send(self, together: "_Together", windowing: Windowing, resolution: str, writer: ResultWriter) -> None:
        k, m, part = together.k, together.m, together.part
        partials = {name: np.full(k + m, start, dtype) for name, (dtype, start) in windowing.aggregate.schema.items()}
        columns = together.columns(windowing.slicing.aggregate.schema)
        accumulate(windowing, columns, (together.rows, together.targets), partials, together.targets)
        metrics = windowing.aggregate.finish(partials)
        source_totals.add_up(together.tied(), np.arange(k + m), metrics, windowing.summed)
        # By start, so readers receive bars in time order.
        places = together.published
        start_ms = columns["slice_ms"][together.first[places]]
        order = start_ms.argsort(kind="stable")
        places, start_ms = places[order], start_ms[order]
        first = together.first[places]
        slicers = [windows.slicer for windows in together.parts]
        metrics = {name: column[places] for name, column in metrics.items()}
        metrics["revision"] = partials[windowing.revision][places]
        metrics["final"] = np.zeros(len(places), np.bool_)
        since_ms, until_ms = np.array([slicer.incomplete or (0, 0) for slicer in slicers]).T[:, part[first]]
        metrics["incomplete"] = (start_ms + self._slice_ms > since_ms) & (start_ms < until_ms)
        symbol, source = (columns[name][first] for name in ("symbol", "source"))
        # Each slicer has codes of its own.
        for at, slicer in enumerate(slicers):
            mine = part[first] == at
            symbol[mine] = self._symbols.of(slicer.symbols)[symbol[mine]]
            source[mine] = self._sources.of(slicer.sources)[source[mine]]
        source[places >= k] = self._sources.of(_ALL_SOURCES)[0]
        keys = WindowKeys(
            Coded(self._symbols.names, symbol),
            Coded(self._sources.names, source),
            Coded([resolution], np.zeros(len(places), np.int64)),
            start_ms,
        )
        sink = windowing.sink.name
        for block in writer.write(keys, metrics):
            records = block.write()
            for partition, where in self._partitions.split(sink, block.symbols):
                self._producer.send_many(sink, partition, records_at(records, where))
        RESULTS.labels(sink).inc(len(keys))
        for slicer in slicers:
            newest_ms = max(slicer.lanes.watermark_ms.values(), default=NEVER_MS)
            EVENT_TO_RESULT_SECONDS.labels(sink).observe(max(0.0, time() - newest_ms / 1000))


class _Together:
    """The windows of several slicers: first the slices of all of them, then the windows of all sources.

    Attributes
    ----------
    parts
        The windows of each slicer.
    k, m
        How many slices and how many windows of all sources there are.
    part
        The part that each slice is of, shape (k,).
    rows, targets
        Slices, and the windows that they are merged into, by window and then in the canonical order; shape (k + l,).
        The first k windows are the slices' own.
    first
        The first slice of each window, shape (k + m,).
    published
        The windows to publish.
    """

    def __init__(self, parts: Sequence[_Windows]) -> None:
        self.parts = parts
        self.k, self.m = sum(len(windows.slices) for windows in parts), sum(windows.m for windows in parts)
        self.part = np.repeat(np.arange(len(parts)), [len(windows.slices) for windows in parts])
        shares, whole, published, first, number = [], [], [], 0, self.k
        for windows in parts:
            shares.append(windows.shares + first)
            whole.append(windows.whole + number)
            published.append(np.arange(first, first + windows.n))
            first += len(windows.slices)
            number += windows.m
        self._shares, self._whole = np.concatenate(shares), np.concatenate(whole)
        own, all_sources = np.arange(self.k), np.arange(self.k, self.k + self.m)
        self.rows, self.targets = np.concatenate([own, self._shares]), np.concatenate([own, self._whole])
        self.first = np.concatenate([own, self._shares[self._whole.searchsorted(all_sources)]])
        self.published = np.concatenate([*published, all_sources])

    def columns(self, names: Iterable[str]) -> Columns:
        """Return these columns of the slices, and those that identify a slice; shape (k,)."""
        names = [*names, "slice_ms", "symbol", "source"]
        parts = [(windows.slicer.open.columns, windows.slices) for windows in self.parts]
        if len(parts) == 1:
            columns, rows = parts[0]
            return {name: columns[name][rows] for name in names}
        return {name: np.concatenate([columns[name][rows] for columns, rows in parts]) for name in names}

    def tied(self) -> Columns:
        """Return the columns that `source_totals` needs: the window that each is a share of, and the source's code."""
        whole = np.full(self.k + self.m, NO_ROW)
        whole[self._shares] = self._whole
        return {"whole": whole, "source": (np.arange(self.k + self.m) < self.k).astype(np.int64)}
