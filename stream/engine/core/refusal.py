"""Records that are not counted, as they are reported: bounded, whatever they were."""

from hashlib import sha256

from tickertape.schemas.refused import DeadLetter, Late
from tickertape.stream.engine.core.block import Block

#: The most that is kept of a record's bytes.
HEAD_BYTES = 64 << 10


def dead_letter(block: Block, at: int, reason: str) -> DeadLetter:
    """Return what is reported of a block's record that was rejected."""
    value = block.values[at] or b""
    return DeadLetter(
        topic=block.topic,
        partition=block.partition,
        offset=int(block.offsets[at]),
        reason=reason,
        value=value[:HEAD_BYTES],
        size_bytes=len(value),
        sha256=sha256(value).hexdigest() if len(value) > HEAD_BYTES else "",
    )


def late_record(
    block: Block, at: int, *, source: str, symbol: str, time_ms: int, end_ms: int, frontier_ms: int
) -> Late:
    """Return what is reported of a block's record whose slice, which ends at a time, its lane's frontier has passed."""
    value = block.values[at] or b""
    return Late(
        topic=block.topic,
        partition=block.partition,
        offset=int(block.offsets[at]),
        source=source,
        symbol=symbol,
        time_ms=time_ms,
        frontier_ms=frontier_ms,
        late_by_ms=frontier_ms - end_ms,
        value=value[:HEAD_BYTES].decode(errors="replace"),
        size_bytes=len(value),
    )
