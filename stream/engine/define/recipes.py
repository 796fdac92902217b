"""The recipes that the author of a metric writes: for slices, for windows, and for what is made from final windows."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import msgspec

from tickertape.schemas.topics import Topic
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.results import Output, output_of
from tickertape.stream.engine.core.table import Columns, Schema
from tickertape.stream.engine.define.aggregate import Aggregate


@dataclass(frozen=True)
class Slicing:
    """How a slicing agent makes slices from a topic's records. An agent's file defines one.

    Attributes
    ----------
    topic
        The input topic.
    record
        The Struct of a record. It has ``source``, ``id``, ``time_ms`` and ``received_ms``, and a ``symbol`` unless
        ``names`` is given.
    columns
        Takes n records, as `tickertape.Records`, and returns the columns that the aggregate lifts, each of shape (n,).
    aggregate
        What a slice holds.
    lateness_ms
        The lateness, ms, unless the setting of this name has another one for the topic.
    names
        Takes the settings, and returns a function that returns the symbols that a record names: any number, each once.
        None: each record has one symbol. A record is in the slice of each symbol it names, but counts as one record:

        - *counted* if any of these slices doesn't have it yet;
        - *repeated* if all of them have it;
        - *unmatched* if it names no symbol, late or not.
    """

    topic: Topic
    record: type[msgspec.Struct]
    columns: Callable[[Any], Columns]
    aggregate: Aggregate
    lateness_ms: int
    names: Callable[[Settings], Callable[[Any], Collection[str]]] | None = None

    def lateness(self, set_ms: Mapping[str, int]) -> int:
        """Return the lateness, ms: what is set for the topic, or else the default."""
        return set_ms.get(self.topic.name, self.lateness_ms)


@dataclass(frozen=True)
class Windowing:
    """How a window agent makes windows from slices. An agent's file defines one.

    Attributes
    ----------
    slicing
        The slicing whose slices it takes.
    aggregate
        What a window holds. Its ``lift`` takes whole slices, and the partials are merged in time order.
    resolutions
        Window widths, ms, by name; each is a multiple of the slice's width.
    sink
        The topic that results are published to.
    result
        The Struct of a result: ``symbol``, ``source``, ``resolution``, ``start_ms``, ``final``, ``revision``,
        ``incomplete``, and metrics that ``finish`` returns.
    revision
        The column that counts a window's events.
    summed
        Metrics that, for all sources together, are the sum over the sources.
    provisional_seconds
        The least time, by the clock, between provisional results of windows that are expensive to compute. 0: changes
        are published with each flush.
    fill
        For windows without events, if the setting ``fill`` publishes these. Maps a metric to the metric of the last
        window with events that it is copied from; metrics not named here are 0.
    """

    slicing: Slicing
    aggregate: Aggregate
    resolutions: Mapping[str, int]
    sink: Topic
    result: type[msgspec.Struct]
    revision: str = "count"
    summed: tuple[str, ...] = ()
    provisional_seconds: float = 0.0
    fill: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def output(self) -> Output:
        return output_of(self.sink.name, self.result)

    def fast_resolution(self, slice_ms: int) -> str | None:
        """Return the resolution whose provisional results the fast lane may publish, or None.

        Its windows are single slices, of records that a topic keeps together by symbol, and cheap to compute.
        """
        finest = min(self.resolutions, key=self.resolutions.__getitem__)
        by_symbol = self.slicing.names is None and self.slicing.topic.key == "symbol"
        cheap = not self.provisional_seconds
        return finest if by_symbol and cheap and self.resolutions[finest] == slice_ms else None


@dataclass(frozen=True)
class Recursion:
    """A state that each final window of a series changes, and a result for each. An agent's file defines one.

    A series is the windows of one symbol, one source (or all together) and one resolution, in time order. Windows
    without events are skipped, unless the setting ``fill`` publishes them.

    Attributes
    ----------
    of
        The windowing whose final windows it takes.
    takes
        The metrics that it takes of these windows.
    state
        The state of a series: columns, and their initial values.
    step
        Takes the state of n series and the metrics of one window of each, all of shape (n,). One more metric is
        ``passed``: how many windows after the previous one this is, 0 for the first. It changes the state in place and
        returns new metrics. A result is published if any of these isn't NaN; NaN becomes null.
    sink
        The topic that results are published to.
    result
        The Struct of a result, tagged with its ``kind``: ``symbol``, ``source``, ``resolution``, ``start_ms``,
        ``final``, ``revision`` (the number of events so far), ``incomplete``, and any metrics that it takes or returns.
    memory
        For how many windows results still depend on a gap, where the past was lost. For so long they are incomplete.
    resolutions
        The resolutions whose windows it takes, unless the setting of this name has others.
    """

    of: Windowing
    takes: tuple[str, ...]
    state: Schema
    step: Callable[[Columns, Columns], Columns]
    sink: Topic
    result: type[msgspec.Struct]
    memory: int
    resolutions: tuple[str, ...] = ("1m", "5m", "15m", "1h")

    @cached_property
    def output(self) -> Output:
        return output_of(self.sink.name, self.result)


@dataclass(frozen=True)
class Recursions:
    """Recursions over the same final windows, which are kept once for all of them: see the setting ``indicators``.

    A result of each member is published for each window, even if all of its values are null.

    Attributes
    ----------
    of, resolution
        The windows.
    members
        The recursions, each of another kind. They take the same metrics. Their own ``resolutions`` don't matter.
    """

    of: Windowing
    resolution: str
    members: tuple[Recursion, ...]

    @property
    def sinks(self) -> tuple[Topic, ...]:
        return tuple(member.sink for member in self.members)


@dataclass(frozen=True)
class Rolling:
    """Windows that slide along the final windows of the finest resolution. An agent's file defines one.

    They have the widths of the setting ``rolling_ms``. A window of each width ends with each final window that has
    events. One record, with the symbol, source, resolution and start of the final window, has the metrics of all
    widths, named like ``vwap_1m``.

    Attributes
    ----------
    of
        The windowing whose final windows it takes.
    kind
        Separates its results from others on the sink.
    takes
        The columns that it takes of the final windows: partials or metrics.
    aggregate
        The aggregate of these columns: ``lift``, ``merge`` in time order, and ``finish``.
    sink
        The topic that results are published to.
    metrics
        A Struct of the metrics that ``finish`` returns for one width.
    revision
        The column that counts events. A record's ``revision`` is the count of its widest window.
    """

    of: Windowing
    kind: str
    takes: tuple[str, ...]
    aggregate: Aggregate
    sink: Topic
    metrics: type[msgspec.Struct]
    revision: str = "count"


@dataclass(frozen=True)
class Signals:
    """The output of the rules that the setting ``signals`` names. An agent's file defines one.

    Attributes
    ----------
    sink
        The topic that signals are published to.
    result
        The Struct of a signal, see `SignalSeries`.
    """

    sink: Topic
    result: type[msgspec.Struct]


#: A recipe that takes final windows.
DerivedRecipe: TypeAlias = Recursion | Recursions | Rolling | Signals
