"""What is shown of a feed while it runs: one line, or one object of JSON."""

from typing import Literal

from msgspec import Struct

State = Literal["connecting", "connected", "failed", "stopped"]


class Status(Struct, frozen=True, kw_only=True):
    """The state of one source at a moment. As JSON, it is a line of ``--json``.

    Attributes
    ----------
    source
        The source's name in records.
    state
        ``failed`` while it waits for its next start.
    connections
        Connections that are open.
    symbols, heard
        How many symbols are asked for, and of how many something has come since the feed's last start.
    events
        Events sent, over all starts.
    rate
        Events a second, in the last ten seconds.
    newest_ms
        The newest event time that was sent, ms; 0 for none.
    gaps, missing
        Gaps in the ids, and how many events are missing in them, since the feed's last start.
    refilled
        Missing trades that were requested and came.
    refused, silent
        Streams that the source refuses, and that are silent against their own pace.
    failures
        How often the feed failed and was started again.
    why
        Why it failed the last time; empty if it runs.
    """

    source: str
    state: State
    connections: int
    symbols: int
    heard: int
    events: int
    rate: float
    newest_ms: int
    gaps: int
    missing: int
    refilled: int
    refused: int
    silent: int
    failures: int
    why: str

    def __str__(self) -> str:
        if self.state == "failed":
            return f"{self.source}: failed, {self.why}"
        parts = [f"{self.source}: {self.state}"]
        if self.symbols:
            parts.append(f"{self.heard} of {self.symbols} symbols")
        parts += [f"{self.events:,} events", f"{self.rate:,.0f}/s"]
        told = {"gaps": self.gaps, "missing": self.missing, "refilled": self.refilled}
        told |= {"refused": self.refused, "silent": self.silent, "failures": self.failures}
        parts += [f"{what} {count:,}" for what, count in told.items() if count]
        return "   ".join(parts)
