"""Store snapshots of shards in pieces on a compacted topic, and read them back from its end or from all of it."""

import logging
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping
from secrets import token_hex
from typing import Any, TypeAlias

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError
from msgspec.structs import replace

from tickertape.schemas.snapshot import Fitting, Piece, Snapshot
from tickertape.schemas.topics import WINDOW_STATE
from tickertape.stream.kafka.access.rights import refused
from tickertape.stream.kafka.access.security import for_aiokafka
from tickertape.stream.kafka.clients.producer import Producer

log = logging.getLogger(__name__)

# A record may have a megabyte, a producer's batch half of one.
PIECE_BYTES = 480 << 10
# The limit of one fetch from a partition; small, because the event loop has other work too.
_FETCH_BYTES = 1 << 20

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Piece).decode

#: By partition: the first offset, and the one after the last.
Spans: TypeAlias = dict[TopicPartition, tuple[int, int]]


class KafkaSnapshots:
    """Stores snapshots on `WINDOW_STATE`; see `Snapshots`.

    Parameters
    ----------
    producer
        The producer that writes the snapshots.
    partitions
        The topic's number of partitions. With as many partitions as shards, each shard has its own.
    group
        The consumer group of the snapshots, because several pipelines may share the topic.
    fingerprint
        What decides the layout of the state; snapshots are written with it.
    earlier
        The fingerprints of earlier versions' snapshots that can be loaded too. Those with any other are ignored.
    topic
        The topic's name.
    """

    def __init__(
        self,
        producer: Producer,
        partitions: int,
        *,
        group: str,
        fingerprint: str,
        earlier: Iterable[str] = (),
        topic: str = WINDOW_STATE.name,
    ) -> None:
        self._producer = producer
        self._partitions = partitions
        self._group = group
        self._fingerprint = fingerprint
        self._readable = {fingerprint, *earlier}
        self._topic = topic
        #: By shard: the slot of its next snapshot.
        self._slots: dict[int, int] = {}

    def save(self, shard: int, snapshot: Snapshot) -> None:
        state = memoryview(snapshot.state)
        cuts = range(0, len(state), PIECE_BYTES)
        writer, checksum = token_hex(4), zlib.crc32(state)
        # Two sets of keys in turn. With one, compaction would delete pieces of the last whole snapshot when the next
        # is broken off.
        slot = self._slots.get(shard, 0)
        self._slots[shard] = 1 - slot
        for number, at in enumerate(cuts):
            piece = Piece(
                self._group,
                shard,
                snapshot.log,
                snapshot.upto,
                writer,
                self._fingerprint,
                checksum,
                number,
                len(cuts),
                bytes(state[at : at + PIECE_BYTES]),
                slot,
            )
            key = f"{self._group}|{shard}|{slot}|{number}".encode()
            self._producer.send(self._topic, shard % self._partitions, key, _encode(piece))

    async def load(self, fitting: Mapping[int, Fitting]) -> AsyncIterator[tuple[int, Snapshot]]:
        consumer = AIOKafkaConsumer(
            **for_aiokafka(self._producer.connection),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
        try:
            await consumer.start()
            shards: dict[TopicPartition, list[int]] = {}
            for shard in fitting:
                shards.setdefault(TopicPartition(self._topic, shard % self._partitions), []).append(shard)
            begins, ends = await consumer.beginning_offsets(shards), await consumer.end_offsets(shards)
            whole: Spans = {tp: (begins[tp], ends[tp]) for tp in shards if begins[tp] < ends[tp]}
            # The last record says how many pieces the last snapshot has. If that snapshot doesn't fit, read all.
            last: Spans = {}
            async for tp, records in _read(consumer, {tp: (end - 1, end) for tp, (_, end) in whole.items()}):
                for piece in self._pieces(records or ()):
                    last[tp] = max(whole[tp][0], whole[tp][1] - piece.count), whole[tp][1]
            for spans in (last, whole):
                newest = {shard: _Newest(which) for shard, which in fitting.items()}
                async for tp, records in _read(consumer, {tp: span for tp, span in spans.items() if shards[tp]}):
                    if records is not None:
                        for piece in self._pieces(records):
                            if piece.shard in newest:
                                newest[piece.shard].add(piece)
                        continue
                    for shard in list(shards[tp]):
                        if (found := newest[shard].found) is not None:
                            self._slots[shard] = 1 - newest[shard].slot
                            shards[tp].remove(shard)
                            yield shard, found
        except TopicAuthorizationFailedError as error:
            raise refused(self._producer.connection, error, f"Read on topic {self._topic}") from error
        finally:
            await consumer.stop()

    def _pieces(self, records: Iterable[Any]) -> list[Piece]:
        """Return the pieces of our group that can be restored."""
        pieces = []
        for record in records:
            try:
                piece = _decode(record.value or b"")
            except msgspec.MsgspecError as error:
                where = f"{record.topic}, partition {record.partition}, offset {record.offset}"
                log.info("%s: not a piece of a snapshot: %s", where, error)
                continue
            if piece.group == self._group and piece.fingerprint in self._readable:
                pieces.append(piece)
        return pieces


async def _read(consumer: AIOKafkaConsumer, spans: Spans) -> AsyncIterator[tuple[TopicPartition, list[Any] | None]]:
    """Yield the records of each partition as they are fetched, and None after the last of a partition."""
    consumer.assign(list(spans))
    for tp, (start, _) in spans.items():
        consumer.seek(tp, start)
    open_ = set(spans)
    while open_:
        for tp, records in (await consumer.getmany(*open_, timeout_ms=100)).items():
            yield tp, records
        for tp in list(open_):
            # Compare the position, not the last record's offset: compaction and markers leave gaps.
            if await consumer.position(tp) >= spans[tp][1]:
                consumer.pause(tp)
                open_.remove(tp)
                yield tp, None


class _Newest:
    """Joins the pieces of one shard's snapshots, and keeps the newest complete snapshot.

    Parameters
    ----------
    fitting
        The condition for usable snapshots.
    """

    def __init__(self, fitting: Fitting) -> None:
        self.found: Snapshot | None = None
        self.slot = 0
        self._fitting = fitting
        self._parts: dict[tuple[int, str], dict[int, Piece]] = {}

    def add(self, piece: Piece) -> None:
        if piece not in self._fitting:
            return
        parts = self._parts.setdefault((piece.upto, piece.writer), {})
        parts[piece.number] = piece
        if parts.keys() != set(range(piece.count)):
            return
        state = b"".join([parts[number].data for number in range(piece.count)])
        if zlib.crc32(state) == piece.checksum:
            self.found, self.slot = Snapshot(piece.log, piece.upto, state), piece.slot
            # Drop older pieces: they are no longer needed, and there may be many.
            self._fitting = replace(self._fitting, oldest=piece.upto)
            self._parts = {key: some for key, some in self._parts.items() if key[0] > piece.upto}
