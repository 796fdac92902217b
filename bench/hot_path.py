"""The hot path in one process, without Kafka: fetched trades become blocks, slices, frames, windows and results.

Run: python -m bench.hot_path slices|bars BLOCKS

The work is the same on every machine, so its instructions can be counted: see `bench.smoke`.
"""

import secrets
import sys

import msgspec
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition

from bench import load
from tickertape.agents.market.bars import TRADE_BARS
from tickertape.agents.market.trades import TRADE_SLICES
from tickertape.schemas.checkpoint import Views
from tickertape.schemas.frame import Frame
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.fetch.unpacking import Blocks, FetchedBytes
from tickertape.stream.engine.slices.slicer import Slicer
from tickertape.stream.engine.slices.slicer_settings import settings_of
from tickertape.stream.engine.windows.windows import windows_of

BLOCK_RECORDS = 2000
#: All input is made in any case, so that the cost of a block is the difference between two runs.
MOST_BLOCKS = 30
BLOCKS = Blocks(frozenset({"trades"}), BLOCK_RECORDS, 1 << 24)


def batches() -> list[bytes]:
    """Return the load as record batches of one partition, a block each."""
    events = list(load.trades(MOST_BLOCKS * BLOCK_RECORDS))
    found = []
    for first in range(0, len(events), BLOCK_RECORDS):
        builder = DefaultRecordBatchBuilder(
            magic=2,
            compression_type=0,
            is_transactional=0,
            producer_id=-1,
            producer_epoch=-1,
            base_sequence=-1,
            batch_size=1 << 24,
        )
        for delta, trade in enumerate(events[first : first + BLOCK_RECORDS]):
            builder.append(delta, trade.received_ms + 1, trade.symbol.encode(), msgspec.json.encode(trade), [])
        # The broker sets a batch's offset, which its CRC doesn't cover.
        found.append(first.to_bytes(8, "big") + bytes(builder.build())[8:])
    return found


def unpacked(batch: bytes, first: int) -> Block:
    """Return the block of a batch that begins at an offset, as a fetch brings it."""
    records = fetcher.PartitionRecords(
        TopicPartition("trades", 0), FetchedBytes(batch), [], first, None, BLOCKS, True, fetcher.READ_COMMITTED
    )
    (record,) = records
    block: Block = record.value
    return block


def run(stage: str, count: int) -> None:
    """Pass the first blocks through the stages; a flush follows each block, as in a backlog."""
    settings = Settings()
    slicer = Slicer(TRADE_SLICES, 0, 1, **settings_of(TRADE_SLICES, settings), checkpoint=None, committed=None, begin=0)
    (windows,) = windows_of([TRADE_BARS], [], settings)
    windows.assign(0, Views())
    windows.start_publishing(0)
    encode, decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(Frame).decode
    for number, batch in enumerate(batches()[:count]):
        if slicer.fold(unpacked(batch, number * BLOCK_RECORDS)):
            raise SystemExit("records were refused")
        sent = [encode(frame) for _, frame in slicer.flush(lambda _: 0, 1, everyone=True)]
        if stage == "bars":
            for value in sent:
                windows.apply_frame(0, number, decode(value))
            windows.flush(provisional=0)
    if slicer.tallies.counted != count * BLOCK_RECORDS:
        raise SystemExit(f"{slicer.tallies.counted} of {count * BLOCK_RECORDS} records were counted")


if __name__ == "__main__":
    # What keeps strangers from choosing names that collide would make each run collide differently.
    secrets.randbits = lambda _: 1
    run(sys.argv[1], int(sys.argv[2]))
