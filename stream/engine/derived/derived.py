"""Runs the derived recipes of one windowing: each flush passes its final windows to them."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.results import NOTHING, Output
from tickertape.stream.engine.define.recipes import DerivedRecipe, Recursion, Recursions, Rolling, Signals, Windowing
from tickertape.stream.engine.derived import rules
from tickertape.stream.engine.derived.correctable_series import CorrectableSeries
from tickertape.stream.engine.derived.post_processor import Flush, PostProcessor, Times
from tickertape.stream.engine.derived.recursion import RecursionSeries
from tickertape.stream.engine.derived.recursions import RecursionsSeries
from tickertape.stream.engine.derived.rolling import RollingSeries
from tickertape.stream.engine.derived.signals import SignalSeries
from tickertape.stream.engine.recovery.state import State
from tickertape.stream.errors import ConfigError


class Derived(PostProcessor):
    """All results that are derived from the windows of one recipe, for all shards of a worker.

    Parameters
    ----------
    windowing
        The recipe of the windows.
    recipes
        Derived recipes. Those of other windows are ignored.
    settings
        See `Settings`.

    Raises
    ------
    ConfigError
        The settings name a resolution that the windows don't have, or an impossible width.
    """

    def __init__(self, windowing: Windowing, recipes: Sequence[DerivedRecipe], settings: Settings) -> None:
        self._windowing, self._windows = windowing, windowing.output.name
        #: Each follower, with the name of the output that it follows.
        self._followers: list[tuple[str, CorrectableSeries[Any]]] = []
        for recipe in recipes:
            if not isinstance(recipe, Signals) and recipe.of is windowing:
                self._followers.append((self._windows, _follower(recipe, settings)))
        known: dict[str, Mapping[str, int]] = {self._windows: windowing.resolutions}
        for _, one in self._followers:
            known |= {output.name: {**known.get(output.name, {}), **one.widths} for output in one.outputs}
        for recipe in recipes:
            if isinstance(recipe, Signals):
                mine = [rule for rule in rules.load(settings.signals) if rule.on in known]
                self._followers += [
                    (rule.on, SignalSeries(rule, recipe.sink.name, recipe.result, known[rule.on])) for rule in mine
                ]
        takes = {name for of, one in self._followers if of == self._windows for name in one.takes}
        self.takes = sorted(takes | {"revision", "incomplete", "width_ms"})
        self._waiting = NOTHING

    needs_all_finals = True

    def __bool__(self) -> bool:
        return bool(self._followers)

    @property
    def known(self) -> dict[str, tuple[Output, Sequence[str]]]:
        """By name: the outputs of the windows and of everything derived from them, with their resolutions."""
        known: dict[str, tuple[Output, Sequence[str]]] = {}
        known[self._windows] = self._windowing.output, list(self._windowing.resolutions)
        for _, one in self._followers:
            for output in one.outputs:
                _, names = known.get(output.name, (output, ()))
                known[output.name] = output, [*names, *one.widths]
        return known

    @property
    def outputs(self) -> list[Output]:
        outputs = (output for _, follower in self._followers for output in follower.outputs)
        return list({output.name: output for output in outputs}.values())

    def assign(self, shard: int, state: State | None, *, fresh: bool) -> list[str]:
        lost: list[str] = []
        for _, follower in self._followers:
            kept = state.derived if state else {}
            mine = kept.get(follower.form) or kept.get(follower.earlier_form)
            lost += follower.assign(shard, mine, anew=mine is None and (state is not None or not fresh))
        return lost

    def with_state(self, state: State, shard: int, times: Times) -> State:
        return replace(state, derived={one.form: one.snapshot(shard, times) for _, one in self._followers})

    def process(self, flush: Flush, times: Times) -> None:
        finals = self._waiting.and_(flush.finals.only(self.takes))
        # Final windows are followed in time order, so all of them wait while earlier ones aren't filled yet.
        self._waiting = NOTHING if flush.complete else finals
        if not flush.complete:
            return
        made = {self._windows: finals}
        for of, follower in self._followers:
            results, records = follower.follow(made.get(of, NOTHING), times)
            for name, some in follower.by_output(results).items() if results.keys else ():
                made[name] = made[name].and_(some) if name in made else some
            flush.results += records


def _follower(recipe: Recursion | Recursions | Rolling, settings: Settings) -> CorrectableSeries[Any]:
    if isinstance(recipe, Recursions):
        return RecursionsSeries(recipe)
    if isinstance(recipe, Recursion):
        return RecursionSeries(recipe, tuple(settings.resolutions.get(recipe.output.kind, recipe.resolutions)))
    return RollingSeries(recipe, settings.rolling_ms)


def outputs_of(windowings: Sequence[Windowing], recipes: Sequence[DerivedRecipe], settings: Settings) -> list[Output]:
    """Return the outputs of all windows and of everything derived from them.

    Raises
    ------
    ConfigError
        The settings name an output, a field or a resolution that doesn't exist, or an impossible width.
    """
    sinks = {recipe.sink.name for recipe in recipes if isinstance(recipe, Signals)}
    kinds = sorted({recipe.output.kind for recipe in recipes if isinstance(recipe, Recursion)})
    kinds += sorted(windowing.output.name for windowing in windowings)
    for kind in settings.resolutions:
        if kind not in kinds:
            raise ConfigError(f"setting: resolutions.{kind}: unknown name; the names are {', '.join(kinds)}")
    known: dict[str, tuple[Output, Sequence[str]]] = {}
    for windowing in windowings:
        known |= Derived(windowing, recipes, settings).known
    rules.check(settings.signals, {name: one for name, one in known.items() if one[0].sink not in sinks})
    return [output for output, _ in known.values()]
