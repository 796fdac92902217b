"""Finding what is computed: the recipes in the modules that the setting `agents` names, and what they follow."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from tickertape.schemas.topics import CATALOGUE, Topic
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.define.recipes import DerivedRecipe, Recursion, Rolling, Signals, Slicing, Windowing
from tickertape.stream.errors import ConfigError
from tickertape.stream.extensions.loading import modules

Recipe: TypeAlias = Slicing | Windowing | Recursion | Rolling | Signals


class Agents(NamedTuple):
    """What is computed."""

    slicings: list[Slicing]
    windowings: list[Windowing]
    #: What follows the windows when they are final.
    recipes: list[DerivedRecipe]

    @property
    def declared(self) -> list[Topic]:
        """The topics that agents name where they use them."""
        return [one.topic for one in self.slicings] + [one.sink for one in (*self.windowings, *self.recipes)]

    @property
    def topics(self) -> tuple[Topic, ...]:
        """The catalogue's topics, and those that only agents declare."""
        return tuple({topic.name: topic for topic in (*CATALOGUE, *self.declared)}.values())


def discover(places: Sequence[str]) -> Agents:
    """Return what the agents' files in some places define, and the windows and slices that it is made from.

    Parameters
    ----------
    places
        See `modules`.

    Raises
    ------
    ConfigError
        A place can't be loaded, or no place has an agent; or two topics of one name differ.
    """
    values = [value for module in modules(places) for value in vars(module).values()]
    agents = agents_of(value for value in values if isinstance(value, Recipe))
    if not agents.slicings:
        raise ConfigError(f"no agent in {', '.join(places)}: see the setting `agents`")
    return agents


def configured(settings: Settings) -> Agents:
    """Return what settings say is computed: their agents, with windows of the resolutions that they name.

    Raises
    ------
    ConfigError
        As `discover`; or a resolution is none, or no slice fits into it.
    """
    return with_resolutions(discover(settings.agents), settings)


def with_resolutions(agents: Agents, settings: Settings) -> Agents:
    """Return agents whose windows have the resolutions that settings name."""
    changed: dict[int, Windowing] = {}
    for windowing in agents.windowings:
        names = settings.resolutions.get(windowing.output.name)
        if names is not None:
            widths = {name: width_ms(name, windowing.output.name, settings.slice_ms) for name in names or [""]}
            in_order = dict(sorted(widths.items(), key=lambda one: one[1]))
            changed[id(windowing)] = replace(windowing, resolutions=in_order)
    if not changed:
        return agents
    return Agents(
        agents.slicings,
        [changed.get(id(one), one) for one in agents.windowings],
        [one if isinstance(one, Signals) else _following(one, changed) for one in agents.recipes],
    )


def _following(recipe: Recursion | Rolling, changed: Mapping[int, Windowing]) -> Recursion | Rolling:
    return replace(recipe, of=changed.get(id(recipe.of), recipe.of))


_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def width_ms(name: str, output: str, slice_ms: int) -> int:
    """Return the width of a resolution by its name: ``4h``.

    Raises
    ------
    ConfigError
        It is none, or is not so many times a slice's width.
    """
    match = re.fullmatch(r"([1-9]\d{0,5})(ms|s|m|h|d)", name)
    width = int(match[1]) * _UNITS_MS[match[2]] if match else 0
    if not width or width % slice_ms:
        raise ConfigError(
            f"setting: resolutions.{output}: {name!r} is no width of whole slices of {slice_ms} ms; name it as 1s, "
            "15m, 4h or 1d"
        )
    return width


def agents_of(recipes: Iterable[Recipe]) -> Agents:
    """Return recipes with what they are made from.

    Raises
    ------
    ConfigError
        Two topics of one name differ; or two slicings read one topic.
    """
    found: dict[int, Recipe] = {}
    _add(found, recipes)
    agents = Agents(
        [value for value in found.values() if isinstance(value, Slicing)],
        [value for value in found.values() if isinstance(value, Windowing)],
        [value for value in found.values() if isinstance(value, Recursion | Rolling | Signals)],
    )
    _check(agents)
    return agents


def _add(found: dict[int, Recipe], some: Iterable[Recipe]) -> None:
    """Add recipes, each after what it is made from, wherever that is defined."""
    for recipe in some:
        if id(recipe) in found:
            continue
        if isinstance(recipe, Windowing):
            _add(found, [recipe.slicing])
        elif isinstance(recipe, Recursion | Rolling):
            _add(found, [recipe.of])
        found[id(recipe)] = recipe


def _check(agents: Agents) -> None:
    known: dict[str, Topic] = {topic.name: topic for topic in CATALOGUE}
    for topic in agents.declared:
        if known.setdefault(topic.name, topic) != topic:
            raise ConfigError(f"topic {topic.name}: it is declared twice, and not alike: give one another name")
    inputs = [one.topic.name for one in agents.slicings]
    if twice := {name for name in inputs if inputs.count(name) > 1}:
        raise ConfigError(f"topic {', '.join(sorted(twice))}: two slicings read it; one makes all slices of a topic")
