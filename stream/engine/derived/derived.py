"""What follows the final windows of one topic: made of its agents' recipes, and fed with each flush."""

from collections.abc import Mapping, Sequence

import numpy as np

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.block import Ints
from tickertape.stream.engine.core.results import NOTHING, Finals, Output, Result, WindowKey
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.recipes import DerivedRecipe, Recursion, Rolling, Signals, Windowing
from tickertape.stream.engine.derived import rules
from tickertape.stream.engine.derived.correctable_series import CorrectableSeries, Times
from tickertape.stream.engine.derived.recursion import RecursionSeries
from tickertape.stream.engine.derived.rolling import RollingSeries
from tickertape.stream.engine.derived.signals import SignalSeries
from tickertape.stream.engine.recovery.state import Kept
from tickertape.stream.errors import ConfigError


class Derived:
    """All that follows the windows of one recipe, for all shards of a worker.

    Parameters
    ----------
    windowing
        Whose windows.
    recipes
        What follows windows; those of others are passed over.
    settings
        See `Settings`.

    Raises
    ------
    ConfigError
        The settings name what isn't there.
    """

    def __init__(self, windowing: Windowing, recipes: Sequence[DerivedRecipe], settings: Settings) -> None:
        self._windowing, self._windows = windowing, windowing.output.name
        #: What each follows, by the name of its results.
        self._followers: list[tuple[str, CorrectableSeries]] = []
        for recipe in recipes:
            if not isinstance(recipe, Signals) and recipe.of is windowing:
                self._followers.append((self._windows, _follower(recipe, settings)))
        known = {self._windows: windowing.resolutions} | {one.output.name: one.widths for _, one in self._followers}
        for recipe in recipes:
            if isinstance(recipe, Signals):
                mine = [rule for rule in rules.load(settings.signals) if rule.on in known]
                self._followers += [
                    (rule.on, SignalSeries(rule, recipe.sink.name, recipe.result, known[rule.on])) for rule in mine
                ]
        takes = {name for of, one in self._followers if of == self._windows for name in one.takes}
        self._takes = takes | {"revision", "incomplete", "width_ms"}
        self._waiting = NOTHING

    def __bool__(self) -> bool:
        return bool(self._followers)

    @property
    def known(self) -> dict[str, tuple[Output, Sequence[str]]]:
        """The windows' results, and those of what follows them, by name; with their resolutions."""
        known: dict[str, tuple[Output, Sequence[str]]] = {}
        known[self._windows] = self._windowing.output, list(self._windowing.resolutions)
        return known | {one.output.name: (one.output, list(one.widths)) for _, one in self._followers}

    @property
    def outputs(self) -> list[Output]:
        return [follower.output for _, follower in self._followers]

    def own(self, shard: int, kept: Mapping[str, Kept] | None, *, anew: bool) -> list[str]:
        """Begin with a shard.

        Parameters
        ----------
        shard
            Which.
        kept
            What a snapshot has, by form; None without one.
        anew
            Without one: whether there was something before.

        Returns
        -------
        list[str]
            The outputs that begin in the midst, for what was before is lost.
        """
        lost = []
        for _, follower in self._followers:
            mine = kept.get(follower.form) if kept is not None else None
            begins_anew = mine is None and (anew or kept is not None)
            follower.own(shard, mine, anew=begins_anew)
            if begins_anew:
                lost.append(follower.output.name)
        return lost

    def take(self, shard: int, times: Times) -> dict[str, Kept]:
        """Return what a snapshot is to have of a shard, by form."""
        return {follower.form: follower.take(shard, times) for _, follower in self._followers}

    def chosen(self, keys: list[WindowKey], shards: Ints, metrics: Columns) -> Finals:
        """Return those windows that are final, with what is taken of them."""
        final = np.flatnonzero(metrics["final"])
        if not len(final):
            return NOTHING
        return Finals(
            [keys[i] for i in final.tolist()], shards[final], {name: metrics[name][final] for name in self._takes}
        )

    def follow(self, finals: Finals, times: Times, *, wait: bool) -> list[Result]:
        """Return what comes of windows that are final now, or were corrected.

        Parameters
        ----------
        finals
            Which.
        times
            How far windows are.
        wait
            True where some before them are yet to come.
        """
        finals = self._waiting.and_(finals)
        self._waiting = finals if wait else NOTHING
        if wait:
            return []
        results: list[Result] = []
        made = {self._windows: finals}
        for of, follower in self._followers:
            made[follower.output.name], records = follower.follow(made[of], times)
            results += records
        return results


def _follower(recipe: Recursion | Rolling, settings: Settings) -> CorrectableSeries:
    if isinstance(recipe, Recursion):
        return RecursionSeries(recipe, tuple(settings.resolutions.get(recipe.output.kind, recipe.resolutions)))
    return RollingSeries(recipe, settings.rolling_ms)


def outputs_of(windowings: Sequence[Windowing], recipes: Sequence[DerivedRecipe], settings: Settings) -> list[Output]:
    """Return all that comes of windows, and of what follows them.

    Raises
    ------
    ConfigError
        The settings name what isn't there.
    """
    sinks = {recipe.sink.name for recipe in recipes if isinstance(recipe, Signals)}
    kinds = sorted({recipe.output.kind for recipe in recipes if isinstance(recipe, Recursion)})
    for kind in settings.resolutions:
        if kind not in kinds:
            raise ConfigError(f"setting: resolutions.{kind}: nothing is called so; there are {', '.join(kinds)}")
    known: dict[str, tuple[Output, Sequence[str]]] = {}
    for windowing in windowings:
        known |= Derived(windowing, recipes, settings).known
    rules.check(settings.signals, {name: one for name, one in known.items() if one[0].sink not in sinks})
    return [output for output, _ in known.values()]
