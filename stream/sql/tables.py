"""The tables that a query may read: one for each topic of results."""

from collections.abc import Collection

import pyarrow as pa

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.define.discovery import configured
from tickertape.stream.engine.define.recipes import Signals
from tickertape.stream.engine.derived.derived import outputs_of
from tickertape.stream.results.read import as_table, read
from tickertape.stream.results.stream import Since, kinds_of


def topics_by_table(settings: Settings) -> dict[str, str]:
    """Return the topics of results by the names of their tables: ``quote_bars`` has those of ``quote-bars``."""
    agents = configured(settings)
    sinks = {output.sink for output in outputs_of(agents.windowings, agents.recipes, settings)}
    sinks |= {recipe.sink.name for recipe in agents.recipes if isinstance(recipe, Signals)}
    return {sink.replace("-", "_"): sink for sink in sorted(sinks)}


def tables(settings: Settings, wanted: Collection[str], since: Since | None, *, finals: bool) -> dict[str, pa.Table]:
    """Return the tables of all topics. Those that aren't wanted have no rows.

    Parameters
    ----------
    settings
        The pipeline's settings.
    wanted
        The names of the tables to fill.
    since
        Only results whose windows begin at this event time or later. None: all.
    finals
        True for final results only.
    """
    return {
        name: read(topic, settings=settings, finals=finals, since=since)
        if name in wanted
        else as_table(kinds_of(topic, settings)[0], ())
        for name, topic in topics_by_table(settings).items()
    }
