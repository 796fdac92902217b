"""The summary of a run, as a table and as JSON."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct
from rich.table import Table

from tickertape.stream.chaos.watch import Recovery

SHOWN = 20


class FaultSummary(Struct, frozen=True, kw_only=True):
    """The faults of one kind, with times in seconds.

    Attributes
    ----------
    fault
        The name of the kind.
    count
        How often it struck.
    lasted_p50
        How long the fault itself lasted.
    recovered_p50, recovered_max
        From the fault's beginning until bars of every series had trades later than that.
    settled_p50, settled_max
        From the fault's end until bars of every series had trades later than that.
    """

    fault: str
    count: int
    lasted_p50: float
    recovered_p50: float
    recovered_max: float
    settled_p50: float
    settled_max: float


class Summary(Struct, frozen=True, kw_only=True):
    """The outcome of a run.

    Attributes
    ----------
    ok
        True if there are no differences.
    seed, minutes, workers
        The parameters that repeat the run: its faults come in the same order, though their timing differs.
    faults
        The faults by kind.
    events
        The number of trades that count.
    bars
        The number of bars of all resolutions, including those over all sources.
    agree
        The number of results that a replay of the retained topics reproduces bit by bit, by output.
    tallies
        The records of all partitions by what became of them.
    read_again, slices_read_again
        The least number of trades, and of records of ``slices``, that were read again after takeovers.
    refused
        Commits that Kafka refused.
    given_up
        Commits that workers didn't send because they had learned before that they had lost the partitions.
    zombie_frames
        Frames that workers published after they had been replaced.
    restarts
        How often a worker was restarted.
    differences
        A line for each deviation from what the run must have produced.
    """

    ok: bool
    seed: int
    minutes: float
    workers: int
    faults: list[FaultSummary]
    events: int
    bars: int
    agree: dict[str, int]
    tallies: dict[str, int]
    read_again: int
    slices_read_again: int
    refused: int
    given_up: int
    zombie_frames: int
    restarts: int
    differences: list[str]

    def write(self, path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")

    def table(self) -> Table:
        """Return a table of the faults and the times to recover from them."""
        table = Table(title=f"seed {self.seed}: {self.minutes:g} min, {self.workers} workers; times in s")
        table.add_column("fault")
        for name in ("n", "lasted p50", "recovered p50", "max", "after its end p50", "max"):
            table.add_column(name, justify="right")
        for row in self.faults:
            name, count, *times = msgspec.structs.astuple(row)
            table.add_row(name, str(count), *(f"{seconds:.1f}" for seconds in times))
        return table

    def __str__(self) -> str:
        lines = [
            f"{self.events:,} trades in {self.bars:,} bars; "
            + ", ".join(f"{name} {count:,}" for name, count in self.tallies.items()),
            f"read again {self.read_again:,} trades and {self.slices_read_again:,} records of `slices`; "
            f"commits refused {self.refused:,}, given up {self.given_up:,}; frames of zombies {self.zombie_frames:,}; "
            f"workers restarted {self.restarts:,}",
            "same in the replay: " + ", ".join(f"{count:,} {sink}" for sink, count in self.agree.items()),
            *self.differences[:SHOWN],
        ]
        if len(self.differences) > SHOWN:
            lines.append(f"… and {len(self.differences) - SHOWN:,} more")
        lines.append(f"differences {len(self.differences):,}")
        return "\n".join(lines)


def by_fault(recoveries: Sequence[Recovery]) -> list[FaultSummary]:
    """Sum up recoveries by kind of fault, in order of first occurrence."""
    kinds: dict[str, list[Recovery]] = {}
    for recovery in recoveries:
        kinds.setdefault(recovery.fault, []).append(recovery)
    return [
        FaultSummary(
            fault=fault,
            count=len(found),
            lasted_p50=_median([r.lasted_seconds for r in found if r.lasted_seconds is not None]),
            recovered_p50=_median(recovered := [r.recovered_seconds for r in found if r.recovered_seconds is not None]),
            recovered_max=round(max(recovered, default=0.0), 3),
            settled_p50=_median(settled := [r.settled_seconds for r in found if r.settled_seconds is not None]),
            settled_max=round(max(settled, default=0.0), 3),
        )
        for fault, found in kinds.items()
    ]


def _median(seconds: list[float]) -> float:
    return round(median(seconds), 3) if seconds else 0.0
