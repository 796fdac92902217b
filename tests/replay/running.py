"""A replay of files, run as the command runs it, in processes of its own."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pyarrow.parquet as pq

from tickertape.agents.market.bars import Bar
from tickertape.agents.market.quote_bars import QuoteBar
from tickertape.schemas.trade import Trade
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.progress.shown import NOWHERE
from tickertape.stream.replay import run
from tickertape.stream.replay.run import Files, Outcome

T = TypeVar("T", Bar, QuoteBar)


def replay(
    out: Path,
    paths: Sequence[Path],
    kind: str,
    *,
    processes: int = 1,
    partitions: int = 4,
    by_event_time: bool = False,
    **changes: object,
) -> Outcome:
    """Replay files into a folder; ``changes`` are settings."""
    folder = out / "between"
    folder.mkdir(parents=True)
    settings = msgspec.structs.replace(Settings(), **changes)
    files = Files(tuple(paths), kind, partitions, by_event_time)
    outcome = asyncio.run(run.of_files(settings, files, processes, folder, NOWHERE))
    run.write(outcome, folder, out)
    return outcome


def bars(out: Path) -> dict[tuple[str, str, str, int], Bar]:
    return _keyed(out / "bars.parquet", Bar)


def quote_bars(out: Path) -> dict[tuple[str, str, str, int], QuoteBar]:
    return _keyed(out / "quote-bars.parquet", QuoteBar)


def rows(path: Path) -> dict[tuple[str, str, str, int], dict[str, Any]]:
    """Return the rows of a file of results, by symbol, source, resolution and start."""
    found = pq.read_table(path).to_pylist()
    return {(row["symbol"], row["source"], row["resolution"], row["start_ms"]): row for row in found}


def _keyed(path: Path, kind: Callable[..., T]) -> dict[tuple[str, str, str, int], T]:
    found = [kind(**row) for row in pq.read_table(path).to_pylist()]
    keyed = {(one.symbol, one.source, one.resolution, one.start_ms): one for one in found}
    assert list(keyed) == sorted(keyed)
    assert len(keyed) == len(found)
    return keyed


def lines(trades: Sequence[Trade]) -> bytes:
    return b"".join(msgspec.json.encode(trade) + b"\n" for trade in trades)
