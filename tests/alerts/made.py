"""Alerts for tests."""

from typing import Any

from msgspec.structs import replace

from tickertape.schemas.alert import Alert

# 2023-11-14 22:13:20 UTC.
START_MS = 1_700_000_000_000
_ALERT = Alert(
    rule="breakout",
    symbol="BTC-USD",
    source="all",
    resolution="1s",
    start_ms=START_MS,
    end_ms=START_MS + 1000,
    on="bars",
    field="close",
    value=103.0,
    level=102.0,
    final=True,
    revision=2,
    incomplete=False,
    severity="critical",
)


def alert(**changes: Any) -> Alert:
    return replace(_ALERT, **changes)
