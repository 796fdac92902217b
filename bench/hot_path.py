"""The hot path in one process, without Kafka: records of trades become slices, frames, windows and results.

Run: python -m bench.hot_path slices|bars BLOCKS

It does the same work whatever the machine, so instructions can be counted: see `bench.smoke`.
"""

import sys
from random import Random

import msgspec
import numpy as np

from tickertape.agents.market.bars import TRADE_BARS
from tickertape.agents.market.trades import TRADE_SLICES
from tickertape.schemas.checkpoint import Views
from tickertape.schemas.frame import Frame
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.slices.slicer import Slicer
from tickertape.stream.engine.slices.slicer_settings import settings_of
from tickertape.stream.engine.windows.windows import windows_of

SYMBOLS = 200
BLOCK_RECORDS = 2000
EVENTS_PER_MS = 20
START_MS = 1_700_000_000_000
#: All input is made in any case, so that the cost of a block is the difference between two runs.
MOST_BLOCKS = 60


def blocks() -> list[Block]:
    """Return made-up trades of one source, as Kafka has them."""
    random, found = Random(1), []
    for first in range(0, MOST_BLOCKS * BLOCK_RECORDS, BLOCK_RECORDS):
        offsets = np.arange(first, first + BLOCK_RECORDS)
        times_ms = START_MS + offsets // EVENTS_PER_MS
        values: list[bytes | None] = [
            b'{"symbol":"S%03d-USD","source":"sim","id":%d,"time_ms":%d,"price":%.2f,"quantity":%.4f,"side":"%s",'
            b'"received_ms":%d}'
            % (
                random.randrange(SYMBOLS),
                number,
                time_ms,
                100 + random.random(),
                random.random() + 0.01,
                random.choice((b"buy", b"sell")),
                time_ms + 1,
            )
            for number, time_ms in zip(offsets.tolist(), times_ms.tolist(), strict=True)
        ]
        end = first + BLOCK_RECORDS
        found.append(Block("trades", 0, first, end, offsets, values, times_ms + 2))
    return found


def run(stage: str, count: int) -> None:
    """Pass the first blocks through the stages; a flush follows each block, as in a backlog."""
    settings = Settings()
    begin = {"checkpoint": None, "committed": None, "begin": 0}
    slicer = Slicer(TRADE_SLICES, 0, 1, **settings_of(TRADE_SLICES, settings), **begin)  # type: ignore[arg-type]  # a dict of several types
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
