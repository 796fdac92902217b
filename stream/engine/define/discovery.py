"""Finds the recipes in the modules that the setting `agents` names, and the recipes that these depend on."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from tickertape.schemas.topics import CATALOGUE, Topic
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.define.chosen import chosen
from tickertape.stream.engine.define.indicator import Indicator
from tickertape.stream.engine.define.recipes import (
    DerivedRecipe,
    Recursion,
    Recursions,
    Rolling,
    Signals,
    Slicing,
    Windowing,
)
from tickertape.stream.errors import ConfigError
from tickertape.stream.extensions.loading import modules

Recipe: TypeAlias = Slicing | Windowing | Recursion | Rolling | Signals | Indicator


class Agents(NamedTuple):
    """The recipes of everything that is computed."""

    slicings: list[Slicing]
    windowings: list[Windowing]
    #: Those that take final windows.
    recipes: list[DerivedRecipe]
    #: Those that the setting `indicators` may turn on.
    indicators: list[Indicator]

    @property
    def declared(self) -> list[Topic]:
        """The topics that the recipes read and publish to."""
        found = [one.topic for one in self.slicings]
        for one in (*self.windowings, *self.recipes, *self.indicators):
            found += one.sinks if isinstance(one, Recursions) else [one.sink]
        return found

    @property
    def topics(self) -> tuple[Topic, ...]:
        """The catalogue's topics, and those that only the recipes declare."""
        return tuple({topic.name: topic for topic in (*CATALOGUE, *self.declared)}.values())


def discover(places: Sequence[str]) -> Agents:
    """Return the recipes that the agents' files in some places define, and the recipes that these depend on.

    Parameters
    ----------
    places
        See `modules`.

    Raises
    ------
    ConfigError
        A place can't be loaded; or no place has an agent; or as `agents_of`.
    """
    values = [value for module in modules(places) for value in vars(module).values()]
    agents = agents_of(value for value in values if isinstance(value, Recipe))
    if not agents.slicings:
        raise ConfigError(f"no agent in {', '.join(places)}: see the setting `agents`")
    return agents


def configured(settings: Settings) -> Agents:
    """Return the recipes of the agents that settings name, with the resolutions and indicators that settings name.

    Raises
    ------
    ConfigError
        As `discover`, `width_ms` and `chosen`.
    """
    return adapted(discover(settings.agents), settings)


def adapted(agents: Agents, settings: Settings) -> Agents:
    """Return agents with the resolutions that settings name for their windows, and the indicators that they turn on.

    Raises
    ------
    ConfigError
        As `width_ms` and `chosen`.
    """
    agents = with_resolutions(agents, settings)
    added = chosen(settings.indicators, agents.indicators, agents.windowings)
    return agents._replace(recipes=[*agents.recipes, *added])


def with_resolutions(agents: Agents, settings: Settings) -> Agents:
    """Return agents with the resolutions that settings name for their windows."""
    changed: dict[int, Windowing] = {}
    for windowing in agents.windowings:
        names = settings.resolutions.get(windowing.output.name)
        if names is not None:
            widths = {name: width_ms(name, windowing.output.name, settings.slice_ms) for name in names or [""]}
            in_order = dict(sorted(widths.items(), key=lambda one: one[1]))
            changed[id(windowing)] = replace(windowing, resolutions=in_order)
    if not changed:
        return agents
    return agents._replace(
        windowings=[changed.get(id(one), one) for one in agents.windowings],
        recipes=[one if isinstance(one, Signals) else _following(one, changed) for one in agents.recipes],
    )


def _following(
    recipe: Recursion | Recursions | Rolling, changed: Mapping[int, Windowing]
) -> Recursion | Recursions | Rolling:
    return replace(recipe, of=changed.get(id(recipe.of), recipe.of))


_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def width_ms(name: str, output: str, slice_ms: int) -> int:
    """Return the width, ms, of a resolution such as ``4h``.

    Raises
    ------
    ConfigError
        The name is no width, or the width is no multiple of a slice's.
    """
    match = re.fullmatch(r"([1-9]\d{0,5})(ms|s|m|h|d)", name)
    width = int(match[1]) * _UNITS_MS[match[2]] if match else 0
    if not width or width % slice_ms:
        raise ConfigError(
            f"setting: resolutions.{output}: {name!r} is not a width of whole slices of {slice_ms} ms: write 1s, 15m, "
            "4h or 1d"
        )
    return width


def agents_of(recipes: Iterable[Recipe]) -> Agents:
    """Return recipes together with the recipes that they depend on.

    Raises
    ------
    ConfigError
        Two topics with the same name differ; or two slicings read the same topic.
    """
    found: dict[int, Recipe] = {}
    _add(found, recipes)
    agents = Agents(
        [value for value in found.values() if isinstance(value, Slicing)],
        [value for value in found.values() if isinstance(value, Windowing)],
        [value for value in found.values() if isinstance(value, Recursion | Rolling | Signals)],
        [value for value in found.values() if isinstance(value, Indicator)],
    )
    _check(agents)
    return agents


def _add(found: dict[int, Recipe], some: Iterable[Recipe]) -> None:
    """Add recipes, each after the recipe that it depends on, whatever file defines that."""
    for recipe in some:
        if id(recipe) in found:
            continue
        if isinstance(recipe, Windowing):
            _add(found, [recipe.slicing])
        elif isinstance(recipe, Recursion | Rolling | Indicator):
            _add(found, [recipe.of])
        found[id(recipe)] = recipe


def _check(agents: Agents) -> None:
    known: dict[str, Topic] = {topic.name: topic for topic in CATALOGUE}
    for topic in agents.declared:
        if known.setdefault(topic.name, topic) != topic:
            raise ConfigError(f"topic {topic.name}: two declarations of it differ: make them the same, or rename one")
    inputs = [one.topic.name for one in agents.slicings]
    if twice := {name for name in inputs if inputs.count(name) > 1}:
        raise ConfigError(f"topic {', '.join(sorted(twice))}: two slicings read it: keep one, a topic can't have more")
