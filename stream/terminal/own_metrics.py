"""Show the results of the user's own metrics in the demo: one line per metric, with the newest of a few symbols."""

from collections.abc import Sequence
from typing import Any

import msgspec
from aiokafka.structs import ConsumerRecord

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.define.discovery import discover, with_resolutions
from tickertape.stream.engine.derived.derived import outputs_of

SHIPPED = "tickertape.agents"
# The fields that identify or qualify a result; the others are its values.
_QUALIFIERS = {
    "symbol",
    "source",
    "resolution",
    "start_ms",
    "final",
    "revision",
    "incomplete",
    "kind",
    "rule",
    "on",
    "field",
}
SYMBOLS = 2


class OwnMetrics:
    """The newest results of the user's own metrics.

    Parameters
    ----------
    settings
        The settings, whose `agents` name the user's packages.

    Attributes
    ----------
    topics
        The topics of their results.
    """

    def __init__(self, settings: Settings) -> None:
        shipped = {output.name for output in _outputs([SHIPPED], settings)}
        self._names = {
            (output.sink, output.kind): output.name
            for output in _outputs(settings.agents, settings)
            if output.name not in shipped
        }
        self.topics = sorted({sink for sink, _ in self._names})
        # The start and the record of the newest result, by metric and symbol.
        self._newest: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}

    def note(self, record: ConsumerRecord) -> None:
        """Store a record of one of the topics if it is the newest of its metric and symbol."""
        symbol, source, _, start, *kind = record.key.decode().split("|")
        name = self._names.get((record.topic, kind[0] if kind else ""))
        if name is None or source != "all":
            return
        start_ms, _ = self._newest.get((name, symbol), (0, {}))
        if int(start) >= start_ms:
            self._newest[name, symbol] = int(start), msgspec.json.decode(record.value)

    def lines(self, symbols: Sequence[str]) -> list[str]:
        """Return one line per metric, with its newest results for the first of these symbols that have any."""
        lines = []
        for name in sorted(set(self._names.values())):
            with_results = [symbol for symbol in symbols if (name, symbol) in self._newest][:SYMBOLS]
            newest = "   ".join(f"{symbol} {_values_of(self._newest[name, symbol][1])}" for symbol in with_results)
            lines.append(f"{name}: {newest or 'nothing yet'}")
        return lines


def _outputs(places: list[str], settings: Settings) -> list[Any]:
    agents = with_resolutions(discover(places), settings)
    return outputs_of(agents.windowings, agents.recipes, settings)


def _values_of(result: dict[str, Any]) -> str:
    values = [
        f"{field} {value:,.6g}"
        for field, value in result.items()
        if field not in _QUALIFIERS and type(value) in (int, float)
    ]
    return f"{result['resolution']} {', '.join(values)}"
