"""Signals: what the rules make of results that the setting `signals` names; see docs/signals.md."""

from msgspec import Struct

from tickertape.schemas.topics import SIGNALS
from tickertape.stream.engine.define.recipes import Signals


class Signal(Struct, frozen=True):
    """A rule that came true with one result; JSON on the topic ``signals``.

    Attributes
    ----------
    rule
        Its name, which ends the key.
    symbol, source, resolution, start_ms
        The result's.
    on, field
        Which results it looks at, and which field.
    value, level
        The field's, and what it passed; of a z-score, the baseline and so many of its deviations.
    final
        False while a correction of what it is made from could make it not so, and true once it stands.
    revision
        The number of events in all results of the series up to here.
    incomplete
        True where records are missing, and the rule may have seen it.
    """

    rule: str
    symbol: str
    source: str
    resolution: str
    start_ms: int
    on: str
    field: str
    value: float
    level: float
    final: bool
    revision: int
    incomplete: bool


RULES = Signals(sink=SIGNALS, result=Signal)
