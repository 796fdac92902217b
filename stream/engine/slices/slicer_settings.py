"""The settings that slicers use. Workers, replays and tests take them from here."""

from collections.abc import Callable, Collection
from typing import Any, TypedDict

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.define.recipes import Slicing


class SlicerSettings(TypedDict):
    """The arguments of a `Slicer` that follow from the settings."""

    slice_ms: int
    skew_ms: int
    lateness_ms: int
    epoch: str
    most_sources: int
    silence_ms: int
    names: Callable[[Any], Collection[str]] | None


def settings_of(slicing: Slicing, settings: Settings) -> SlicerSettings:
    """Return the arguments for the slicers of a recipe."""
    return SlicerSettings(
        slice_ms=settings.slice_ms,
        skew_ms=settings.skew_ms,
        lateness_ms=slicing.lateness(settings.lateness_ms),
        epoch=settings.epoch,
        most_sources=settings.most_sources,
        silence_ms=settings.horizon_ms,
        names=slicing.names(settings) if slicing.names else None,
    )
