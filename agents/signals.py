"""Signals: published when a result meets a rule in the file that the setting `signals` names; see docs/signals.md."""

from msgspec import Struct

from tickertape.schemas.topics import SIGNALS
from tickertape.stream.engine.define.recipes import Signals


class Signal(Struct, frozen=True):
    """A result with which a rule became true, as JSON on the topic ``signals``.

    Attributes
    ----------
    rule
        The name of the rule, with which the key ends.
    symbol, source, resolution
        The result's series.
    start_ms
        The start of the result's window: event time since 1970 UTC.
    on
        The output that the rule applies to.
    field
        The field that the rule applies to.
    value
        The value of the field.
    level
        The level that the value passed; for a z-score, the baseline plus the rule's number of standard deviations.
    final
        False while a correction of earlier results could still undo the signal.
    revision
        The number of events in all results of the series up to this one.
    incomplete
        True if records are missing that may have affected the rule.
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
