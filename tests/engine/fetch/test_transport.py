"""Blocks from a real Kafka: through a plain consumer, and through a Faust worker."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import wraps
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from tickertape.schemas.heartbeat import Heartbeat, from_headers, to_headers
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.fetch.unpacking import Blocks

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

Record = tuple[bytes | None, list[tuple[str, bytes]]]
Make = Callable[..., str]

# Records with times of long ago would be past retention, and gone in the middle of a test.
STAMP_MS = int(time.time() * 1000)
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


@pytest.fixture
def make(kafka: str, topic: Callable[..., str]) -> Make:
    """A function that creates a topic of one partition, or more, and returns its name."""

    def create(partitions: int = 1, **configs: str) -> str:
        name = topic("blocks")
        configs = {key.replace("_", "."): value for key, value in configs.items()}
        with KafkaAdminClient(bootstrap_servers=kafka) as admin:
            admin.create_topics([NewTopic(name, partitions, 1, topic_configs=configs)])
            admin.wait_for_topics([name])
        return name

    return create


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures))

    return run


def values(*of: str | None) -> list[Record]:
    return [(None if value is None else value.encode(), []) for value in of]


async def send(producer: AIOKafkaProducer, topic: str, batches: Sequence[Sequence[Record]], partition: int = 0) -> None:
    """Send each batch as one."""
    for batch in batches:
        builder = producer.create_batch()
        for at, (value, headers) in enumerate(batch):
            assert builder.append(timestamp=STAMP_MS + at, key=b"key", value=value, headers=headers)
        await (await producer.send_batch(builder, topic, partition=partition))


async def produce(kafka: str, topic: str, *batches: Sequence[Record], codec: str = "none") -> None:
    async with AIOKafkaProducer(
        bootstrap_servers=kafka, compression_type=None if codec == "none" else codec, max_batch_size=1 << 24
    ) as producer:
        await send(producer, topic, batches)


@asynccontextmanager
async def consuming(kafka: str, limit: Blocks | None) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka, isolation_level="read_committed", enable_auto_commit=False, fetch_max_wait_ms=100
    )
    # So the transport asks for blocks, before the start.
    consumer._value_deserializer = limit
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def drain(
    consumer: AIOKafkaConsumer, *topics: str, start: int = 0, end: int | None = None
) -> list[ConsumerRecord]:
    """Read partition 0 of these topics from an offset to their ends, or to this one."""
    tps = [TopicPartition(topic, 0) for topic in topics]
    consumer.assign(tps)
    for tp in tps:
        consumer.seek(tp, start)
    ends = await consumer.end_offsets(tps) if end is None else dict.fromkeys(tps, end)
    found: list[ConsumerRecord] = []
    while any([await consumer.position(tp) < ends[tp] for tp in tps]):
        for records in (await consumer.getmany(timeout_ms=200)).values():
            found += records
    return found


async def read_both_ways(
    kafka: str, topic: str, *, records: int = 1000, size_bytes: int = 1 << 22, start: int = 0, end: int | None = None
) -> list[Block]:
    """Read partition 0 in blocks; they hold exactly what an ordinary consumer reads, and leave no offset out."""
    async with consuming(kafka, Blocks(frozenset({topic}), records, size_bytes)) as consumer:
        blocks: list[Block] = [record.value for record in await drain(consumer, topic, start=start, end=end)]
        position = await consumer.position(TopicPartition(topic, 0))
    async with consuming(kafka, None) as consumer:
        ordinary = await drain(consumer, topic, start=start, end=end)
    found = [
        (offset, value, stamp, block.headers.get(at, ()))
        for block in blocks
        for at, (offset, value, stamp) in enumerate(zip(block.offsets, block.values, block.appended_ms, strict=True))
    ]
    assert found == [(r.offset, r.value, r.timestamp, r.headers if r.value is None else ()) for r in ordinary]
    assert (blocks[0].start, blocks[-1].end) == (start, position)
    assert all(before.end == after.start for before, after in pairwise(blocks))
    assert all(len(block) <= records for block in blocks)
    return blocks


@pytest.mark.parametrize("codec", CODECS)
@on_a_loop
async def test_batches_of_every_compression(kafka: str, make: Make, codec: str) -> None:
    name = make()
    sizes = (10, 3, 1, 25, 60)
    await produce(kafka, name, *(values(*(f"{size}-{at}" for at in range(size))) for size in sizes), codec=codec)
    blocks = await read_both_ways(kafka, name, records=7)
    assert sum(map(len, blocks)) == sum(sizes) == blocks[-1].end


@pytest.mark.parametrize("codec", ["none", "zstd"])
@on_a_loop
async def test_bound_in_bytes(kafka: str, make: Make, codec: str) -> None:
    name = make(max_message_bytes=str(1 << 24))
    small, large = "s" * 300, "l" * 5_000_000
    await produce(kafka, name, values(*[small] * 10), values(small, large, small), values(small), codec=codec)
    blocks = await read_both_ways(kafka, name, size_bytes=1000)
    assert all(len(block) <= 3 for block in blocks)
    assert [block.values for block in blocks if large.encode() in block.values] == [[large.encode()]]


@on_a_loop
async def test_nulls_keep_their_headers(kafka: str, make: Make) -> None:
    name = make()
    beats = [Heartbeat("binance", at) for at in range(5)]
    await produce(
        kafka,
        name,
        [*values("a"), (None, to_headers(beats[0])), *values("b"), (b"c", [("unused", b"1")])],
        [(None, to_headers(beat)) for beat in beats[1:]],
        values(None, "d"),
    )
    blocks = await read_both_ways(kafka, name, records=4)
    assert [list(block.headers) for block in blocks] == [[1], [0, 1, 2, 3], [0]]
    heard = [from_headers(headers) for block in blocks for headers in block.headers.values()]
    assert heard == [*beats, None]


@on_a_loop
async def test_what_a_transaction_aborted_is_read_as_empty_offsets(kafka: str, make: Make) -> None:
    name = make()
    async with AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=name) as producer:
        for word, kept in (("first", True), ("second", False), ("third", True), ("fourth", False)):
            await producer.begin_transaction()
            await send(producer, name, [values(word, word)])
            await (producer.commit_transaction() if kept else producer.abort_transaction())
    # The last marker is written a moment after the producer has heard that it will be.
    blocks = await read_both_ways(kafka, name, end=12)
    assert [value for block in blocks for value in block.values] == [b"first"] * 2 + [b"third"] * 2
    # Four records that were aborted, four markers.
    assert sum(block.empty for block in blocks) == 8
    aborted_alone = await read_both_ways(kafka, name, start=9, end=12)
    assert [(block.start, block.end, len(block)) for block in aborted_alone] == [(9, 12, 0)]


@on_a_loop
async def test_open_transaction_is_not_read_before_its_end(kafka: str, make: Make) -> None:
    name = make()
    await produce(kafka, name, values("before"))
    async with AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=name) as producer:
        await producer.begin_transaction()
        await send(producer, name, [values("inside")])
        (block,) = await read_both_ways(kafka, name)
        assert (block.values, block.end) == ([b"before"], 1)
        await producer.commit_transaction()
    blocks = await read_both_ways(kafka, name, end=3)
    assert [value for block in blocks for value in block.values] == [b"before", b"inside"]


@pytest.mark.parametrize("codec", ["none", "lz4"])
@on_a_loop
async def test_from_the_middle_of_a_batch(kafka: str, make: Make, codec: str) -> None:
    name = make()
    await produce(kafka, name, values(*map(str, range(10))), values("10", "11"), codec=codec)
    (block,) = await read_both_ways(kafka, name, start=6)
    assert block.values == [b"6", b"7", b"8", b"9", b"10", b"11"]


@on_a_loop
async def test_times_are_the_brokers_or_the_producers(kafka: str, make: Make) -> None:
    appended, created = make(message_timestamp_type="LogAppendTime"), make(message_timestamp_type="CreateTime")
    began_ms = int(time.time() * 1000)
    for name in (appended, created):
        await produce(kafka, name, values("a", "b", "c"))
    (by_broker,) = await read_both_ways(kafka, appended)
    (by_producer,) = await read_both_ways(kafka, created)
    assert began_ms <= by_broker.appended_ms.min() <= by_broker.appended_ms.max() <= time.time() * 1000
    assert by_producer.appended_ms.tolist() == [STAMP_MS, STAMP_MS + 1, STAMP_MS + 2]


@on_a_loop
async def test_plain_topics_and_other_consumers_are_left_alone(kafka: str, make: Make) -> None:
    in_blocks, plain = make(), make()
    for name in (in_blocks, plain):
        await produce(kafka, name, values("a", "b"))
    async with (
        consuming(kafka, Blocks(frozenset({in_blocks}), 100, 1000)) as ours,
        consuming(kafka, None) as other,
    ):
        records = await drain(ours, in_blocks, plain)
        (block,) = (record.value for record in records if record.topic == in_blocks)
        assert block.values == [b"a", b"b"]
        assert [(r.key, r.value) for r in records if r.topic == plain] == [(b"key", b"a"), (b"key", b"b")]
        assert [r.value for r in await drain(other, in_blocks)] == [b"a", b"b"]


class Worker:
    """A worker of ``two_topics.py`` in a process of its own, and what it has said so far."""

    def __init__(self, kafka: str, folder: Path, group: str, *topics: str, name: str = "one") -> None:
        script = Path(__file__).parents[1] / "two_topics.py"
        self.process = subprocess.Popen(
            [sys.executable, script, kafka, folder, group, name, *topics],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.said: list[dict[str, Any]] = []
        self._reader = Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.said.extend(json.loads(line) for line in self.process.stdout)

    def of(self, kind: str) -> list[Any]:
        return [line[kind] for line in self.said if kind in line]

    def restored(self) -> Any:
        """Return what it had been restored to when its first block came."""
        first = next(at for at, line in enumerate(self.said) if "block" in line)
        return [line["restored"] for line in self.said[:first] if "restored" in line][-1]

    def wait(self, what: Callable[["Worker"], bool], seconds: float = 30.0) -> None:
        until = time.monotonic() + seconds
        while not what(self):
            assert self.process.poll() is None, self._complaint()
            assert time.monotonic() < until, f"it has said {self.said}"
            time.sleep(0.05)

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(20) == 0, self._complaint()
        self._reader.join()

    def _complaint(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()


@pytest.fixture
def start(kafka: str, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """A function that starts a worker, which ends with the test."""
    workers: list[Worker] = []

    def started(*args: str, **options: str) -> Worker:
        workers.append(Worker(kafka, tmp_path, *args, **options))
        return workers[-1]

    yield started
    for worker in workers:
        worker.process.kill()
        worker.process.wait()


def committed(kafka: str, group: str) -> dict[tuple[str, int], tuple[int, str]]:
    with KafkaAdminClient(bootstrap_servers=kafka) as admin:
        offsets = admin.list_group_offsets([group])[group]
    return {(tp.topic, tp.partition): (offset.offset, offset.metadata) for tp, offset in offsets.items()}


def test_block_topic_and_plain_topic_in_one_worker(
    kafka: str, make: Make, topic: Callable[..., str], start: Callable[..., Worker]
) -> None:
    in_blocks, plain, group = make(partitions=2), make(), topic("group")
    hundred = values(*map(str, range(100)))
    asyncio.run(produce(kafka, in_blocks, hundred, codec="lz4"))
    asyncio.run(produce(kafka, plain, values(*map(str, range(10)))))
    worker = start(group, in_blocks, plain)
    worker.wait(lambda w: len(w.of("plain")) == 10 and {"0": 50, "1": 0} in w.of("committed"))
    # Its state is restored before a block comes, for each partition that comes in blocks.
    assert worker.restored() == {"0": [0, None, "", 2], "1": [0, None, "", 2]}
    assert worker.of("block") == [[0, 0, 40, 40], [0, 40, 80, 40], [0, 80, 100, 20]]
    assert worker.of("plain") == [str(at) for at in range(10)]
    worker.stop()
    # The coordinator's word alone is committed for the one, Faust's for the other.
    assert committed(kafka, group) == {
        (in_blocks, 0): (50, "half of 100"),
        (in_blocks, 1): (0, "half of 0"),
        (plain, 0): (10, ""),
    }

    asyncio.run(produce(kafka, plain, values("10")))
    again = start(group, in_blocks, plain)
    again.wait(lambda w: w.of("plain") == ["10"] and w.of("block") == [[0, 50, 90, 40], [0, 90, 100, 10]])
    assert again.restored() == {"0": [0, 50, "half of 100", 2], "1": [0, 0, "half of 0", 2]}
    again.stop()


def test_a_partition_that_is_held_waits_and_goes_on(
    kafka: str, make: Make, topic: Callable[..., str], start: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_blocks = make(partitions=2)

    async def produce_both() -> None:
        async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
            for partition in range(2):
                await send(producer, in_blocks, [values(*map(str, range(100)))], partition)

    asyncio.run(produce_both())
    monkeypatch.setenv("HOLD", "100")
    worker = start(topic("group"), in_blocks)
    worker.wait(lambda w: sum(size for *_, size in w.of("block")) == 200)
    # All of partition 1 comes before any of partition 0.
    assert worker.of("block") == [
        *([1, 0, 40, 40], [1, 40, 80, 40], [1, 80, 100, 20]),
        *([0, 0, 40, 40], [0, 40, 80, 40], [0, 80, 100, 20]),
    ]
    worker.stop()


def test_partitions_move_to_a_second_worker_and_back(
    kafka: str, make: Make, topic: Callable[..., str], start: Callable[..., Worker]
) -> None:
    in_blocks, group = make(), topic("group")
    asyncio.run(produce(kafka, in_blocks, values("a", "b")))
    # Partitions are dealt out in the order of names, so of one alone "two" has it until "one" comes.
    two = start(group, in_blocks, name="two")
    two.wait(lambda w: w.of("block") == [[0, 0, 2, 2]] and {"0": 1} in w.of("committed"))
    one = start(group, in_blocks, name="one")
    one.wait(lambda w: w.of("block") == [[0, 1, 2, 1]])
    assert one.restored() == {"0": [0, 1, "half of 2", 1]}
    # Nobody may go on speaking for what it has lost.
    two.wait(lambda w: w.of("restored")[-1] == {})
    one.process.kill()
    two.wait(lambda w: "0" in w.of("restored")[-1] and w.of("block")[1:] == [[0, 1, 2, 1]])
    two.wait(lambda w: "committed" in w.said[-1])
    two.stop()


def test_owner_whose_place_is_taken_is_told_and_lives_on(
    kafka: str, make: Make, topic: Callable[..., str], start: Callable[..., Worker]
) -> None:
    in_blocks, group = make(), topic("group")
    asyncio.run(produce(kafka, in_blocks, values("a", "b")))
    first = start(group, in_blocks, name="slot")
    first.wait(lambda w: {"0": 1} in w.of("committed"))
    second = start(group, in_blocks, name="slot")
    first.wait(lambda w: bool(w.of("refused")))
    second.process.kill()
    first.wait(lambda w: w.of("restored")[-1] == {"0": [0, 1, "half of 2", 1]} and "committed" in w.said[-1])
    first.stop()


def restored_amid(
    how: str, kafka: str, make: Make, topic: Callable[..., str], start: Callable[..., Worker], mp: pytest.MonkeyPatch
) -> tuple[Worker, str]:
    """Return a worker whose state is restored in the midst of the commit "half of 100", and its group."""
    in_blocks, group = make(), topic("group")
    asyncio.run(produce(kafka, in_blocks, values(*map(str, range(100)))))
    mp.setenv("AMID", how)
    return start(group, in_blocks), group


def test_positions_are_read_once_the_commit_in_flight_is_answered(
    kafka: str, make: Make, topic: Callable[..., str], start: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, _ = restored_amid("sent", kafka, make, topic, start, monkeypatch)
    worker.wait(lambda w: "sent" in str(w.said) and "restored" in str(w.said[w.said.index({"sent": True}) :]))
    # It had been sent at 50, so a state that begins before would commit less than is committed.
    assert worker.of("restored")[-1] == {"0": [0, 50, "half of 100", 1]}
    worker.wait(lambda w: "committed" in w.said[-1])
    worker.stop()


def test_what_was_checkpointed_before_a_restore_is_not_committed_after_it(
    kafka: str, make: Make, topic: Callable[..., str], start: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, _ = restored_amid("checkpoint", kafka, make, topic, start, monkeypatch)
    worker.wait(lambda w: len(w.of("restored")) > 2 and w.of("committed")[-1:] == [{"0": 50}])
    # Where it begins anew it has committed nothing yet, or what its own state says.
    said = worker.said.copy()
    restored = [at for at, line in enumerate(said) if "restored" in line][-1]
    begun = said[restored]["restored"]["0"][1] or 0
    blocks = [at for at, line in enumerate(said) if at > restored and "block" in line]
    assert [line["committed"] for line in said[restored : blocks[0]] if "committed" in line] in ([], [{"0": begun}])
    worker.stop()


def test_a_commit_that_is_never_answered_holds_nothing_up(
    kafka: str, make: Make, topic: Callable[..., str], start: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, group = restored_amid("lost", kafka, make, topic, start, monkeypatch)
    # It joins as a new member, which is restored, and commits.
    worker.wait(lambda w: bool(w.of("sent")) and {} in w.of("restored") and w.of("committed")[-1:] == [{"0": 50}])
    worker.stop()
    assert list(committed(kafka, group).values()) == [(50, "half of 100")]
