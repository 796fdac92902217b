"""What a window agent makes of slices: which windows, of what, and where they go."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from schemas.topics import Topic
from stream.engine.aggregate import Aggregate
from stream.engine.slices import Slicing


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
    fill: Mapping[str, str] = field(default_factory=dict)
