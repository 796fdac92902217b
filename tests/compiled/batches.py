"""Record batches changed at random, with a CRC that fits, and what is made of them with the library and without."""

import struct
from contextlib import nullcontext
from random import Random
from typing import Any, NamedTuple
from unittest.mock import patch

from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.util import decode_varint_py
from crc32c import crc32c

from tests.compiled.both import without_library
from tests.compiled.comparing import smallest
from tests.engine.fetched import TP_READ, Batch, NoText
from tickertape.stream.engine.fetch import unpacking
from tickertape.stream.engine.fetch.splitting import Lenient
from tickertape.stream.engine.fetch.unpacking import Blocks, FetchedBytes

HEAD = 61
_LENGTH_AT, _CRC_AT, _ATTRIBUTES_AT = 8, 17, 21
_ENCODE = (bytes, gzip_encode, snappy_encode, lz4_encode, zstd_encode)
LIMIT = Blocks(frozenset({TP_READ.topic}), 7, 300)
# Where fields of the head are, how they are packed, and odd values.
_FIELDS = [(0, ">q"), (21, ">h"), (23, ">i"), (27, ">q"), (35, ">q"), (43, ">q"), (57, ">i")]
_ODD = [-(2**63), -(2**31), -2, -1, 0, 1, 2, 3, 7, 8, 9, 15, 16, 40, 2**31 - 1, 2**62, 2**63 - 1]
_VARINTS = [
    *(b"\x00", b"\x01", b"\x02", b"\x03", b"\x04", b"\x0e", b"\x7f", b"\x80", b"\xff", b"\x80\x00", b"\x81\x00"),
    *(b"\x80\x01", b"\xfe\x01", b"\x80" * 4 + b"\x01", b"\xff" * 8 + b"\x7f", b"\xff" * 8 + b"\x01"),
    *(
        b"\x80" * 8 + b"\x01",
        b"\xff" * 9 + b"\x01",
        b"\xfe" + b"\xff" * 8 + b"\x01",
        b"\x80" * 9 + b"\x01",
        b"\xff" * 11,
    ),
]


class Case(NamedTuple):
    """A batch in parts: its head, its records, how they are compressed, and which byte of the outcome is changed."""

    head: bytes
    records: bytes
    codec: int
    changed: tuple[int, int] | None = None

    def encoded(self) -> bytes:
        data = bytearray(self.head + _ENCODE[self.codec](self.records))
        data[_ATTRIBUTES_AT + 1] = data[_ATTRIBUTES_AT + 1] & ~7 | self.codec
        if self.changed is not None and len(data) > HEAD:
            at, byte = self.changed
            data[HEAD + at % (len(data) - HEAD)] = byte
        struct.pack_into(">i", data, _LENGTH_AT, len(data) - _LENGTH_AT - 4)
        struct.pack_into(">I", data, _CRC_AT, crc32c(memoryview(data)[_ATTRIBUTES_AT:]))
        return bytes(data)


def _whole(random: Random) -> bytes:
    n = random.randint(1, 8)
    values: dict[int, bytes | None] = {}
    some_values = [b"v", b"v" * random.randint(1, 90), b'{"a":1}']
    # Batches that are whole, and have no null, are read in another way.
    whole = random.random() < 0.5
    for delta in range(n):
        if whole or random.random() < 0.9:
            values[delta] = random.choice(some_values if whole else [None, b"", *some_values])
    some: list[tuple[str, bytes | None]] = [
        ("beat", b"1"),
        (NoText("beat"), b"2"),
        ("", b""),
        ("é", b"\xff"),
        ("n", None),
        ("bundle", b'{"version":1,"events":3}'),
    ]
    headers = tuple(random.sample(some, random.randint(0, 3)))
    if not any(isinstance(key, NoText) for key, _ in headers):
        # aiokafka's builder in C takes no null.
        headers = tuple((key, value) for key, value in headers if value is not None)
    base, append_time = random.choice((0, 7, 2**40)), random.random() < 0.5
    return Batch(base=base, values=values, span=n, headers=headers, append_time=append_time).encoded()


def mutated(random: Random) -> Case:
    """Return a batch of which some bytes are changed."""
    whole = _whole(random)
    head, records = bytearray(whole[:HEAD]), whole[HEAD:]
    if random.random() < 0.25:
        at, form = random.choice(_FIELDS)
        size = struct.calcsize(form)
        # The offsets after the first one fit 64 bits, too.
        odd = random.choice(_ODD) >> (at == 0)
        head[at : at + size] = (odd & (1 << 8 * size) - 1).to_bytes(size, "big")
    for _ in range(random.choice((0, 1, 1, 1, 2, 3))):
        at = random.randrange(len(records) + 1)
        match random.randrange(7):
            case 0 | 1:
                records = records[:at] + bytes([random.randrange(256)]) + records[at + 1 :]
            case 2:
                more = random.choice((-2, -1, 1, 2))
                records = records[:at] + bytes(byte + more & 255 for byte in records[at : at + 1]) + records[at + 1 :]
            case 3:
                records = records[:at] + random.choice(_VARINTS) + records[at + random.randint(0, 1) :]
            case 4:
                records = records[:at] + records[at + random.randint(1, 3) :]
            case 5:
                records = records[:at] + records[random.randrange(len(records) + 1) :]
            case _:
                records = records[:at]
    codec = random.choice((0, 0, 0, 0, 1, 2, 3, 4))
    changed = (random.randrange(1 << 16), random.randrange(256)) if codec and random.random() < 0.2 else None
    return Case(bytes(head), records, codec, changed)


class Careful(_DefaultRecordBatchPy):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's reader of batches in Python, and keys that aren't UTF-8 are read as unpacking reads them.

    Its reader in C reads past the end of a damaged batch: it makes of it another thing each time, or crashes.
    """

    _buffer: Any

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = Lenient(self._buffer)

    def _read_msg(self) -> Any:
        return super()._read_msg(decode_varint_py)


def made(fetched: bytes, *, with_library: bool) -> tuple[list[Any], str, int]:
    """Return what is made of fetched bytes: the blocks, the error that ends them, and how many are packed."""
    blocks: list[Any] = []
    packed = 0
    with nullcontext() if with_library else without_library(), patch.object(unpacking, "DefaultRecordBatch", Careful):
        try:
            unpacked = unpacking._partition_records(
                TP_READ, FetchedBytes(fetched), None, 0, None, LIMIT, True, READ_COMMITTED
            )
            for record in unpacked:
                block = record.value
                packed += not isinstance(block.values, list)
                blocks.append(
                    (
                        (record.offset, record.timestamp, block.start, block.end, len(block)),
                        (
                            block.offsets.tolist(),
                            list(block.values),
                            block.appended_ms.tolist(),
                            block.headers,
                            block.bundles,
                        ),
                    )
                )
        except Exception as error:
            return blocks, f"{type(error).__name__}: {error}", packed
    return blocks, "", packed


def differ(case: Case) -> str | None:
    """Return how what is made of a batch differs with the library, or None."""
    fetched = case.encoded()
    *mine, _ = made(fetched, with_library=True)
    *theirs, _ = made(fetched, with_library=False)
    return None if mine == theirs else f"{mine} instead of {theirs}"


def was_split(case: Case) -> bool:
    return made(case.encoded(), with_library=True)[2] > 0


def told(case: Case) -> str:
    """Return the smallest batch found that still makes a difference, and which."""

    def still(records: list[int]) -> bool:
        return differ(case._replace(records=bytes(records))) is not None

    least = case._replace(records=bytes(smallest(list(case.records), still)))
    if least.codec and differ(least._replace(codec=0, changed=None)):
        least = least._replace(codec=0, changed=None)
    return f"a record batch: {differ(least)}\n{least!r}\n{least.encoded()!r}"
