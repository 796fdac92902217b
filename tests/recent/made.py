"""Records of sinks as blocks, written by hand."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.block import Block
from tickertape.stream.recent.columns import load
from tickertape.stream.recent.recent import Recent
from tickertape.stream.recent.rounds import Position
from tickertape.stream.recent.sinks import sinks_of

MINUTE_MS = 60_000
#: A full hour.
T0 = 1_700_002_800_000
COLUMNS = Path(__file__).parents[2] / "stream" / "console" / "columns.toml"


def bar(symbol: str, start_s: float, close: float, revision: int, **fields: Any) -> dict[str, Any]:
    """Return a bar of one second as it is on the topic, with the fields that matter here."""
    return {
        "symbol": symbol,
        "source": "all",
        "resolution": "1s",
        "start_ms": T0 + int(start_s * 1000),
        "close": close,
        "volume": 2.0,
        "count": revision,
        "trades": revision,
        "final": False,
        "revision": revision,
    } | fields


def block(
    *values: dict[str, Any] | bytes | None, topic: str = "bars", partition: int = 0, start: int = 0, at_ms: int = T0
) -> Block:
    """Return records of a partition, from an offset on; each is appended one ms after the one before."""
    texts = [msgspec.json.encode(value) if isinstance(value, dict) else value for value in values]
    offsets = np.arange(start, start + len(texts))
    return Block(topic, partition, start, start + len(texts), offsets, texts, at_ms + offsets)


class Told:
    """Recent results that are told by hand, and not read.

    Parameters
    ----------
    **changes
        Settings that differ from the defaults.
    """

    def __init__(self, **changes: Any) -> None:
        self.settings = msgspec.structs.replace(Settings(broker="127.0.0.1:1"), **changes)
        self.recent = Recent(self.settings, sinks_of(self.settings), load(COLUMNS))
        self._ends: dict[tuple[str, int], int] = {}

    async def round(self, *values: dict[str, Any] | bytes, topic: str = "bars", partition: int = 0) -> None:
        """Tell what one read brings of one partition."""
        start = self._ends.get((topic, partition), 0)
        self._ends[topic, partition] = start + len(values)
        await self.recent.take([block(*values, topic=topic, partition=partition, start=start)])

    def rounds(self, *rounds: Sequence[dict[str, Any]], topic: str = "bars") -> Recent:
        """Tell several rounds, outside of an event loop."""

        async def tell() -> None:
            for one in rounds:
                await self.round(*one, topic=topic)

        asyncio.run(tell())
        return self.recent

    def position(self, topic: str = "bars") -> Position:
        return self.recent.rounds[topic].position
