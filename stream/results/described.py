"""What results there are, and what their fields mean."""

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.results import Output
from tickertape.stream.engine.define.discovery import Agents
from tickertape.stream.engine.define.recipes import Signals
from tickertape.stream.engine.derived.derived import outputs_of

#: The meanings of fields that every result has, for results whose docstring doesn't describe them.
SHARED_MEANINGS = {
    "symbol": "The symbol.",
    "source": "The source, or `all`.",
    "resolution": "The width of the windows that the result is made from.",
    "start_ms": "The start of the newest window in the result: event time since 1970 UTC.",
    "final": "False while events on time may still change the result.",
    "revision": "The number of events. Of the records with one key, that with the highest (final, revision) is valid.",
    "incomplete": "True if retention removed records before they were read.",
}


def described_outputs(agents: Agents, settings: Settings) -> list[Output]:
    """Return the outputs, with a single one for all rules of a sink, whose records have one shape."""
    rules = {recipe.sink.name: recipe.result for recipe in agents.recipes if isinstance(recipe, Signals)}
    found = [one for one in outputs_of(agents.windowings, agents.recipes, settings) if one.sink not in rules]
    return [*found, *(Output(sink, "", result) for sink, result in rules.items())]
