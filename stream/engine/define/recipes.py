"""What the author of a metric makes: slices of a topic, windows of these, and what follows them when final."""

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
    """What a slicing agent does with a topic; an agent's file makes one.

    Attributes
    ----------
    topic
        What it reads.
    record
        The record's Struct: it has ``source``, ``id``, ``time_ms`` and ``received_ms``; without ``names`` a ``symbol``.
    columns
        Makes the columns that the aggregate lifts from records, shape (n,) each.
    aggregate
        What a slice holds.
    lateness_ms
        The default of the setting of that name.
    names
        Takes the settings, and returns a function that finds the symbols a record names: none or many, each once.
        None: a record has one symbol. A record that names several is in a slice of each, and yet one record: *counted*
        where any of these slices hasn't had it, *repeated* where all have, *unmatched*, late or not, where it names
        none.
    """

    topic: Topic
    record: type[msgspec.Struct]
    columns: Callable[[list[Any]], Columns]
    aggregate: Aggregate
    lateness_ms: int
    names: Callable[[Settings], Callable[[Any], Collection[str]]] | None = None

    def lateness(self, set_ms: Mapping[str, int]) -> int:
        """Return the lateness, ms: as set by topic, or else the default."""
        return set_ms.get(self.topic.name, self.lateness_ms)


@dataclass(frozen=True)
class Windowing:
    """What a window agent makes of slices; an agent's file makes one.

    Attributes
    ----------
    slicing
        Whose slices it takes.
    aggregate
        What a window holds; it merges what its ``lift`` makes of whole slices, in time order.
    resolutions
        Windows by name, each a width in ms that the slice's width divides.
    sink
        Where results go.
    result
        Their Struct: ``symbol``, ``source``, ``resolution``, ``start_ms``, ``final``, ``revision``, ``incomplete``, and
        metrics that ``finish`` makes.
    revision
        The column that counts a window's events.
    summed
        Metrics that, over all sources, are the sum of each source's own.
    provisional_seconds
        The least time, by the clock, between results that aren't final, for windows that are dear to compute; 0: what
        has changed is published with each flush.
    fill
        Where windows without events are published too: the metrics of theirs that are taken from the last window with
        events, and from which metric each; the others are 0.
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


@dataclass(frozen=True)
class Recursion:
    """What each final window of a series adds to what those before it left; an agent's file makes one.

    A series is a symbol's windows on one source, or on all, of one resolution, in time order. Windows without events
    are no steps, unless the setting ``fill`` makes them windows.

    Attributes
    ----------
    of
        Whose windows.
    takes
        Their metrics that it takes.
    state
        What it keeps of a series: columns, and what they start from.
    step
        Takes the state, which it changes in place, and the metrics of one window each of n series, shape (n,), with
        ``passed``: how many windows on it is from the one before it, 0 for the first. Returns metrics of its own. A
        window is published where one of these isn't NaN, which is none.
    sink
        Where results go.
    result
        Their Struct, tagged with its ``kind``: ``symbol``, ``source``, ``resolution``, ``start_ms``, ``final``,
        ``revision``, which counts the events so far, ``incomplete``, and any of what it takes and makes.
    memory
        How many windows on from a gap, where the past was lost, results don't show it any more; until then they are
        incomplete.
    resolutions
        Of which windows; the setting of that name may say otherwise.
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
class Rolling:
    """Windows of several widths that slide along the final windows of the finest resolution; an agent's file makes one.

    Each final window with events ends one of every width of the setting ``rolling_ms``: one record, of its symbol,
    source, resolution and start, has the metrics of all, as ``vwap_1m``.

    Attributes
    ----------
    of
        Whose windows.
    kind
        Tells them from others on the sink.
    takes
        What it takes of the windows it slides along: their partials, or metrics.
    aggregate
        What is made of that: ``lift``, ``merge`` in time order, and ``finish``.
    sink
        Where results go.
    metrics
        A Struct of what ``finish`` makes of one width.
    revision
        The column that counts events; a record's ``revision`` is that of its widest window.
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
    """Where the signals of the rules go that the setting ``signals`` names; an agent's file makes one.

    Attributes
    ----------
    sink
        The topic.
    result
        Their Struct, see `SignalSeries`.
    """

    sink: Topic
    result: type[msgspec.Struct]


#: What follows final windows.
DerivedRecipe: TypeAlias = Recursion | Rolling | Signals
