"""The metrics of a live source by symbol: gaps, silence, and when something came last."""

from collections import Counter
from collections.abc import Iterable, Mapping

from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.define.stream import Stream
from tickertape.stream.feeds.live.ids import Ids
from tickertape.stream.telemetry import feed_metrics as metrics


class SymbolMetrics:
    """The metrics of one source's symbols, present from the start.

    Parameters
    ----------
    source
        The source.
    """

    def __init__(self, source: Source) -> None:
        self._label = metrics.label_of(source.symbols)
        labels = dict.fromkeys(map(self._label, source.symbols)) or {metrics.OTHERS: None}
        gauges = (metrics.FEED_GAPS, metrics.FEED_MISSING, metrics.FEED_SILENT)
        self._gaps, self._missing, self._silent = (
            {label: gauge.labels(source.name, label) for label in labels} for gauge in gauges
        )
        self._source = source.name

    def look(self, ids: Iterable[Ids], silent: Iterable[Stream], heard: Mapping[str, int]) -> None:
        """Update the metrics; call it about once per second.

        Parameters
        ----------
        ids
            The ids of each kind of event.
        silent
            The streams that are silent.
        heard
            By symbol: when its newest event was received, ns.
        """
        gaps, missing, latest = Counter[str](), Counter[str](), dict[str, int]()
        for one in ids:
            for symbol, (count, events) in one.holes.items():
                gaps[self._label(str(symbol))] += count
                missing[self._label(str(symbol))] += events
        for symbol, at_ns in heard.items():
            label = self._label(symbol)
            latest[label] = max(latest.get(label, 0), at_ns)
        by_symbol = Counter(self._label(stream.symbol) for stream in silent)
        for gauges, counts in ((self._gaps, gaps), (self._missing, missing), (self._silent, by_symbol)):
            for label, gauge in gauges.items():
                gauge.set(counts[label])
        for label, at_ns in latest.items():
            metrics.FEED_RECEIVED.labels(self._source, label).set(at_ns / 1e9)
