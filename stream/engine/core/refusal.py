"""Reports of records that are not counted, for the topics ``late`` and ``dead-letters``.

A report is of bounded size, whatever the size of the record.
"""

from hashlib import sha256

from tickertape.schemas.refused import DeadLetter, Late
from tickertape.stream.engine.core.block import Block

#: The most bytes of a record's value that a report contains.
HEAD_BYTES = 64 << 10


def dead_letter(block: Block, at: int, reason: str) -> DeadLetter:
    """Return the report of a rejected record; ``at`` is its index in the block."""
    value = block.values[at] or b""
    return DeadLetter(
        topic=block.topic,
        partition=block.partition,
        offset=int(block.offsets[at]),
        reason=reason,
        value=value[:HEAD_BYTES],
        size_bytes=len(value),
        sha256=sha256(value).hexdigest() if len(value) > HEAD_BYTES else "",
        index=block.index_of(at),
    )


def late_record(
    block: Block, at: int, *, source: str, symbol: str, time_ms: int, end_ms: int, frontier_ms: int
) -> Late:
    """Return the report of a late record: its slice ends at ``end_ms``, and its lane's frontier has passed that."""
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
        index=block.index_of(at),
    )
