"""The hot path in one process, without Kafka: fetched trades become blocks, slices, frames, windows and results.

Run: python -m bench.hot_path slices|bars|bundles BLOCKS

With ``bundles``, trades come in bundles and become slices. The work is the same on every machine, so its instructions
can be counted: see `bench.smoke`.
"""

import secrets
import sys
from typing import NamedTuple

import msgspec
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition

from bench import load
from tickertape.agents.market.bars import TRADE_BARS
from tickertape.agents.market.trades import TRADE_SLICES
from tickertape.schemas.bundle import to_headers
from tickertape.schemas.checkpoint import Views
from tickertape.schemas.frame import Frame
from tickertape.stream.bundles.packing import pack
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.fetch.unpacking import Blocks, FetchedBytes
from tickertape.stream.engine.slices.slicer import Slicer
from tickertape.stream.engine.slices.slicer_settings import settings_of
from tickertape.stream.engine.windows.windows import windows_of

BLOCK_RECORDS = 2000
BLOCKS = Blocks(frozenset({"trades"}), BLOCK_RECORDS, 1 << 24)


class Input(NamedTuple):
    """How many events a record has, how many a block, and how many blocks there are.

    All blocks are made in any case, so that the cost of a block is the difference between two runs.
    """

    bundle: int
    block: int
    blocks: int


#: By stage.
INPUTS = {
    "slices": Input(1, BLOCK_RECORDS, 30),
    "bars": Input(1, BLOCK_RECORDS, 30),
    "bundles": Input(1000, 2 * BLOCK_RECORDS, 15),
}


def batches(bundle: int, block: int, blocks: int) -> list[bytes]:
    """Return the load as record batches of one partition, a block each."""
    events = list(load.trades(blocks * block))
    found = []
    for first in range(0, len(events), block):
        builder = DefaultRecordBatchBuilder(
            magic=2,
            compression_type=0,
            is_transactional=0,
            producer_id=-1,
            producer_epoch=-1,
            base_sequence=-1,
            batch_size=1 << 24,
        )
        for delta, at in enumerate(range(first, first + block, bundle)):
            some = events[at : at + bundle]
            key, value = some[0].symbol.encode(), msgspec.json.encode(some[0]) if bundle == 1 else pack(some)
            headers = [] if bundle == 1 else to_headers(bundle)
            builder.append(delta, some[-1].received_ms + 1, key, value, headers)
        # The broker sets a batch's offset, which its CRC doesn't cover.
        found.append((first // bundle).to_bytes(8, "big") + bytes(builder.build())[8:])
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
    bundle, block, blocks = INPUTS[stage]
    for number, batch in enumerate(batches(bundle, block, blocks)[:count]):
        if slicer.fold(unpacked(batch, number * block // bundle)):
            raise SystemExit("records were refused")
        sent = [encode(frame) for _, frame in slicer.flush(lambda _: 0, 1, everyone=True)]
        if stage == "bars":
            for value in sent:
                windows.apply_frame(0, number, decode(value))
            windows.flush(provisional=0)
    if slicer.tallies.counted != count * block:
        raise SystemExit(f"{slicer.tallies.counted} of {count * block} events were counted")


if __name__ == "__main__":
    # What keeps strangers from choosing names that collide would make each run collide differently.
    secrets.randbits = lambda k: 1  # noqa: ARG005 - as there
    run(sys.argv[1], int(sys.argv[2]))
