"""The hot path in one process, without Kafka: records of trades become slices, frames, windows and results.

Run: python -m bench.hot_path slices|bars BLOCKS

The work is the same on every machine, so its instructions can be counted: see `bench.smoke`.
"""

import sys

import msgspec
import numpy as np

from bench import load
from tickertape.agents.market.bars import TRADE_BARS
from tickertape.agents.market.trades import TRADE_SLICES
from tickertape.schemas.checkpoint import Views
from tickertape.schemas.frame import Frame
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.slices.slicer import Slicer
from tickertape.stream.engine.slices.slicer_settings import settings_of
from tickertape.stream.engine.windows.windows import windows_of

BLOCK_RECORDS = 2000
#: All input is made in any case, so that the cost of a block is the difference between two runs.
MOST_BLOCKS = 60


def blocks() -> list[Block]:
    """Return the load as blocks of one partition."""
    events = list(load.trades(MOST_BLOCKS * BLOCK_RECORDS))
    found = []
    for first in range(0, len(events), BLOCK_RECORDS):
        some, end = events[first : first + BLOCK_RECORDS], first + BLOCK_RECORDS
        appended_ms = np.array([trade.received_ms + 1 for trade in some])
        values: list[bytes | None] = [msgspec.json.encode(trade) for trade in some]
        found.append(Block("trades", 0, first, end, np.arange(first, end), values, appended_ms))
    return found


def run(stage: str, count: int) -> None:
    """Pass the first blocks through the stages; a flush follows each block, as in a backlog."""
    settings = Settings()
    slicer = Slicer(TRADE_SLICES, 0, 1, **settings_of(TRADE_SLICES, settings), checkpoint=None, committed=None, begin=0)
    (windows,) = windows_of([TRADE_BARS], [], settings)
    windows.assign(0, Views())
    windows.start_publishing(0)
    encode, decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(Frame).decode
    for number, block in enumerate(blocks()[:count]):
        if slicer.fold(block):
            raise SystemExit("records were refused")
        sent = [encode(frame) for _, frame in slicer.flush(lambda _: 0, 1, everyone=True)]
        if stage == "bars":
            for value in sent:
                windows.apply_frame(0, number, decode(value))
            windows.flush(provisional=0)
    if slicer.tallies.counted != count * BLOCK_RECORDS:
        raise SystemExit(f"{slicer.tallies.counted} of {count * BLOCK_RECORDS} records were counted")


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]))
