"""Check a run: the bars contain every trade once, and the tallies account for every record that was read."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct, field

from tickertape.schemas.frame import Tallies
from tickertape.stream.kafka.admin.topics import PartitionState
from tickertape.stream.terminal.view import View


class Balance(Struct, frozen=True, kw_only=True):
    """The summary of a run.

    Attributes
    ----------
    ok
        True if every check passed.
    broken
        One line per check that failed.
    events
        The number of trades that the feed sent.
    seconds
        How long the feed sent.
    events_per_second
        The mean rate of trades over that time.
    bars
        The number of 1 s bars of the source.
    read
        The number of records read, including heartbeats.
    tallies
        The number of these records by outcome: counted, late, rejected and so on; see `Tallies`.
    lost
        Trades that are in no bar and in no tally of late, rejected, repeated or unmatched records; plus records that
        retention removed before they were read.
    doubled
        Trades that the bars count more often than they were sent.
    latency_p50_ms, latency_p99_ms
        The time from a bar's last trade until the provisional 1 s bar was read. Only bars read within their own second
        count; None without such bars.
    takeover_seconds
        The longest takeover of a killed worker's partitions. None without a kill.
    workers, partitions
        The numbers of workers, and of partitions of ``trades``, at the end.
    """

    ok: bool
    broken: list[str] = field(default_factory=list)
    events: int
    seconds: float
    events_per_second: float
    bars: int
    read: int
    tallies: dict[str, int]
    lost: int
    doubled: int
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    takeover_seconds: float | None
    workers: int
    partitions: int

    def __str__(self) -> str:
        lines = [
            f"{self.events:,} trades in {self.seconds:.1f} s ({self.events_per_second:,.0f}/s), "
            f"{self.bars:,} bars of 1 s; {self.workers} workers, {self.partitions} partitions"
        ]
        if self.latency_p50_ms is not None and self.latency_p99_ms is not None:
            lines.append(f"trade to bar: p50 {self.latency_p50_ms:.0f} ms, p99 {self.latency_p99_ms:.0f} ms")
        if self.takeover_seconds is not None:
            lines.append(f"takeover of a killed worker: {self.takeover_seconds:.1f} s")
        lines.append(f"read {self.read:,} = {Tallies(**self.tallies)}")
        lines.append(f"lost {self.lost:,}, doubled {self.doubled:,}")
        lines += [f"BROKEN: {law}" for law in self.broken]
        return "\n".join(lines)

    def write(self, path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")


def sent_by_symbol(ledger: Path) -> dict[str, int]:
    """Return how many trades of each symbol the feed sent, as read from its ledger."""
    return dict(msgspec.json.decode(ledger.read_bytes())["by_symbol"])


def balance(
    view: View,
    sent: Mapping[str, int],
    *,
    before: Sequence[PartitionState],
    after: Sequence[PartitionState],
    seconds: float,
    takeovers: Sequence[float],
    workers: int,
) -> Balance:
    """Compare the trades sent with the bars, and the records read with the tallies.

    Parameters
    ----------
    view
        The view, after it has read all bars.
    sent
        The number of trades sent, by symbol.
    before, after
        The partitions of ``trades`` before the feed started, and after the workers ended.
    seconds
        How long the feed sent.
    takeovers
        The length of each takeover in seconds.
    workers
        The number of workers.
    """
    earlier = {state.partition: state for state in before}
    read = sum(
        _upto(state) - (_upto(earlier[state.partition]) if state.partition in earlier else state.start)
        for state in after
    )
    tallies = {
        name: sum(_tally(state, name) - _tally(earlier.get(state.partition), name) for state in after)
        for name in Tallies.__struct_fields__
    }
    counted = {symbol: state.trades for symbol, state in view.symbols.items()}
    short = sum(max(0, count - counted.get(symbol, 0)) for symbol, count in sent.items())
    not_counted = sum(tallies[name] for name in ("late", "rejected", "repeated", "unmatched"))
    lost = max(0, short - not_counted) + tallies["lost"]
    doubled = sum(max(0, count - sent.get(symbol, 0)) for symbol, count in counted.items())
    offsets = Tallies(**tallies).offsets
    unread = sum(state.end - _upto(state) for state in after)
    laws = {
        f"{unread:,} records were not read": unread == 0,
        f"read {read:,}, but the tallies add up to {offsets:,}": read == offsets,
        f"{lost:,} trades are lost": lost == 0,
        f"{doubled:,} trades were counted twice": doubled == 0,
    }
    broken = [law for law, holds in laws.items() if not holds]
    p50, p99 = np.percentile(view.latencies_ms, (50, 99)).tolist() if view.latencies_ms else (None, None)
    events = sum(sent.values())
    return Balance(
        ok=not broken,
        broken=broken,
        events=events,
        seconds=round(seconds, 3),
        events_per_second=round(events / seconds, 1),
        bars=view.bars,
        read=read,
        tallies=tallies,
        lost=lost,
        doubled=doubled,
        latency_p50_ms=p50 and round(p50, 2),
        latency_p99_ms=p99 and round(p99, 2),
        takeover_seconds=round(max(takeovers), 3) if takeovers else None,
        workers=workers,
        partitions=len(after),
    )


def _upto(state: PartitionState) -> int:
    """Return the offset up to which a partition has been read: its log's start if nothing is committed."""
    return state.start if state.upto is None else state.upto


def _tally(state: PartitionState | None, name: str) -> int:
    return 0 if state is None or state.tallies is None else state.tallies[name]
