"""The newest results of the symbols on the watch list as gauges: ``tickertape_<topic>_<field>``."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, get_args

import msgspec
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tickertape.stream.engine.core.results import Output, Records
from tickertape.stream.telemetry.registries import PREFIX

#: Fields that identify a series of results. They become labels.
IDENTITY = ("symbol", "source", "resolution", "kind", "rule")
_BOOKKEEPING = ("revision",)


class Watchlist(Collector):
    """Keeps the newest results of each symbol on the watch list. They are only decoded for a scrape.

    Parameters
    ----------
    symbols
        The watch list. If it is empty, nothing is kept, at no cost.
    """

    def __init__(self, symbols: Iterable[str]) -> None:
        self._symbols = frozenset(symbols)
        #: By topic and series: the window's start, ms, and the record's value.
        self._newest: dict[tuple[str, bytes], tuple[int, bytes]] = {}

    def note(self, output: Output, symbols: Sequence[str], records: Records) -> None:
        """Keep the newest of the published results: the symbol and the record of each."""
        if not self._symbols:
            return
        for at, symbol in enumerate(symbols):
            if symbol in self._symbols:
                self._note(output.sink, *records[at])

    def _note(self, sink: str, key: bytes, value: bytes) -> None:
        name, source, resolution, start_ms, *kind = key.split(b"|")
        series = sink, b"|".join((name, source, resolution, *kind))
        # A correction of an older window changes nothing here.
        if int(start_ms) >= self._newest.get(series, (0, b""))[0]:
            self._newest[series] = int(start_ms), value

    def clear(self) -> None:
        """Forget all results: other workers may have these symbols now."""
        self._newest = {}

    def describe(self) -> list[Any]:
        """Return nothing: the gauges are only known once there are results."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        families: dict[str, GaugeMetricFamily] = {}
        # A scrape runs in a thread of its own, so it needs a copy.
        for (topic, _), (_, value) in list(self._newest.items()):
            result = msgspec.json.decode(value)
            labels = [name for name in IDENTITY if name in result]
            for field, number in result.items():
                if not shown(field, type(number)):
                    continue
                name, unit = gauge_name(topic, field)
                family = families.get(name)
                if family is None:
                    family = families[name] = GaugeMetricFamily(name, help_of(topic, field), labels=labels)
                family.add_metric([result[label] for label in labels], number * unit)
        yield from families.values()


def shown(field: str, sort: Any) -> bool:
    """Return whether a field of this type is shown as a gauge."""
    return field not in _BOOKKEEPING and not {int, float}.isdisjoint(get_args(sort) or (sort,))


def gauge_name(topic: str, field: str) -> tuple[str, float]:
    """Return the name of a field's gauge, and the factor from the field's unit to the base unit."""
    name, unit = (field.removesuffix("_ms") + "_seconds", 0.001) if field.endswith("_ms") else (field, 1.0)
    return f"{PREFIX}{topic.replace('-', '_')}_{name}", unit


def help_of(topic: str, field: str) -> str:
    return f"`{field}` of the newest result on the topic {topic}, for symbols on the watch list."
