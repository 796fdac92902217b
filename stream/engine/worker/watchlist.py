"""The newest results of a few symbols as gauges: ``tickertape_<topic>_<field>``."""

from collections.abc import Iterable, Iterator
from typing import Any, get_args

import msgspec
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tickertape.stream.engine.core.results import Result
from tickertape.stream.telemetry.metrics import PREFIX

#: What a result is, not what it says.
IDENTITY = ("symbol", "source", "resolution", "kind", "rule")
_BOOKKEEPING = ("revision",)


class Watchlist(Collector):
    """Keeps the newest result of each symbol on the watch list; what it says is read when somebody asks for it.

    Parameters
    ----------
    symbols
        The watch list. Where it is empty, nothing is kept and nothing costs anything.
    """

    def __init__(self, symbols: Iterable[str]) -> None:
        self._symbols = frozenset(symbols)
        #: By topic and identity: the start, and the record's value.
        self._newest: dict[tuple[str, bytes], tuple[int, bytes]] = {}

    def note(self, results: list[Result]) -> None:
        """Keep the newest of what is published."""
        if not self._symbols:
            return
        for output, symbol, key, value in results:
            if symbol in self._symbols:
                # A correction of an older window changes nothing here.
                name, source, resolution, start_ms, *kind = key.split(b"|")
                series = output.sink, b"|".join((name, source, resolution, *kind))
                if int(start_ms) >= self._newest.get(series, (0, b""))[0]:
                    self._newest[series] = int(start_ms), value

    def clear(self) -> None:
        """Hear that other workers may have these symbols now."""
        self._newest = {}

    def describe(self) -> list[Any]:
        """Return nothing: what there is is known when there is a result."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        families: dict[str, GaugeMetricFamily] = {}
        # A scrape has a thread of its own.
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
    """Return whether a field of a type is a gauge."""
    return field not in _BOOKKEEPING and not {int, float}.isdisjoint(get_args(sort) or (sort,))


def gauge_name(topic: str, field: str) -> tuple[str, float]:
    """Return the name of a field's gauge, and what a value is multiplied with to be in base units."""
    name, unit = (field.removesuffix("_ms") + "_seconds", 0.001) if field.endswith("_ms") else (field, 1.0)
    return f"{PREFIX}{topic.replace('-', '_')}_{name}", unit


def help_of(topic: str, field: str) -> str:
    return f"`{field}` of the newest result on the topic {topic}, of symbols on the watch list."
