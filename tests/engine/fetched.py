"""What a broker answers to a fetch, built batch by batch: holes, aborted transactions and the like at will."""

import struct
from collections.abc import Sequence
from typing import Any

from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.record.default_records import DefaultRecordBatchBuilder, _DefaultRecordBatchBuilderPy
from aiokafka.structs import TopicPartition
from hypothesis import strategies as st
from msgspec import Struct

from tickertape.stream.engine.core.block import Headers
from tickertape.stream.engine.fetch.unpacking import FetchedBytes

TP_READ = TopicPartition("read", 0)
APPENDED_MS = 1_700_000_000_000


class NoText(str):
    """The key of a header as some clients send it; aiokafka's builder in Python takes it, the one in C doesn't."""

    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        return b"\xff\xfe"


class Batch(Struct, frozen=True, kw_only=True):
    """A record batch.

    Attributes
    ----------
    base
        The offset that its first record had.
    values
        By how far its offset is past `base`; what is missing between, compaction has removed.
    span
        How many offsets it takes up.
    codec
        0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
    producer
        -1: no transaction.
    marker
        ``commit`` or ``abort`` where it is the end of a transaction.
    append_time
        True where the broker's clock stamped it.
    """

    base: int
    values: dict[int, bytes | None]
    span: int
    headers: Headers = (("beat", b"1"),)
    codec: int = 0
    producer: int = -1
    marker: str = ""
    append_time: bool = False

    @property
    def end(self) -> int:
        return self.base + self.span

    def encoded(self) -> bytes:
        transactional = self.producer >= 0
        # Brokers write markers, and batches that compaction has emptied, uncompressed.
        codec = self.codec if self.values else 0
        no_text = any(isinstance(key, NoText) for key, _ in self.headers)
        make: Any = _DefaultRecordBatchBuilderPy if no_text else DefaultRecordBatchBuilder
        builder = make(2, codec, transactional, self.producer, 0, 0, 1 << 20)
        if self.marker:
            builder.append(0, APPENDED_MS, struct.pack(">hh", 0, self.marker == "commit"), b"", [])
        for delta, value in self.values.items():
            builder.append(delta, APPENDED_MS + delta, b"key", value, list(self.headers))
        data = bytearray(builder.build())
        (attributes,) = struct.unpack_from(">h", data, 21)
        struct.pack_into(">h", data, 21, attributes | bool(self.marker) << 5 | self.append_time << 3)
        struct.pack_into(">q", data, 0, self.base)
        struct.pack_into(">i", data, 23, self.span - 1)
        return bytes(data)


@st.composite
def logs(draw: st.DrawFn) -> list[Batch]:
    """Batches of several producers, some in transactions, compressed or not, with holes where compaction was."""
    values = st.none() | st.binary(max_size=3) | st.integers(10, 60).map(lambda size: b"v" * size)
    batches, offset = [], draw(st.integers(0, 3))
    for _ in range(draw(st.integers(1, 8))):
        producer = draw(st.sampled_from((-1, -1, 1, 2)))
        marker = draw(st.sampled_from(("", "commit", "abort"))) if producer >= 0 else ""
        span = 1 if marker else draw(st.integers(1, 12))
        kept = [] if marker else draw(st.lists(st.integers(0, span - 1), unique=True, max_size=span))
        batches.append(
            Batch(
                base=offset,
                values={delta: draw(values) for delta in sorted(kept)},
                span=span,
                codec=draw(st.integers(0, 4)),
                producer=producer,
                marker=marker,
                append_time=draw(st.booleans()),
            )
        )
        # Compaction may have taken whole batches too.
        offset += span + draw(st.sampled_from((0, 0, 0, 4)))
    return batches


def unpack(
    make: Any, batches: Sequence[Batch], deserializer: Any = None, *, start: int = 0, check_crcs: bool = False
) -> Any:
    """Unpack a fetch by aiokafka's PartitionRecords or ours; it begins with the batch that holds ``start``."""
    encoded = b"".join(batch.encoded() for batch in batches if batch.end > start)
    aborted = [transaction for transaction in _aborted(batches) if transaction[2] >= start]
    return make(
        TP_READ,
        FetchedBytes(encoded),
        [(producer, first) for producer, first, _ in aborted],
        start,
        None,
        deserializer,
        check_crcs,
        READ_COMMITTED,
    )


def _aborted(batches: Sequence[Batch]) -> list[tuple[int, int, int]]:
    """Return (producer, first offset, offset of its marker) of each aborted transaction."""
    found, first = [], {}
    for batch in batches:
        if batch.marker == "abort" and batch.producer in first:
            found.append((batch.producer, first[batch.producer], batch.base))
        if batch.marker:
            first.pop(batch.producer, None)
        elif batch.producer >= 0:
            first.setdefault(batch.producer, batch.base)
    return found
