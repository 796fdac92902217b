"""What stream/engine/fetch/transport.py leans on in aiokafka and Faust, beyond what they promise.

Each test says what moved, in which version, and where it is used: that is where to look after an upgrade.
"""

import ast
import asyncio
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import fields
from importlib.metadata import entry_points, version
from typing import Any

import faust
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.record import default_records
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.structs import ConsumerRecord
from faust.tables.recovery import Recovery
from faust.transport import consumer as base
from faust.transport.drivers import aiokafka as driver

from tests.engine.fetched import TP_READ, Batch, unpack
from tickertape.stream.engine.fetch import transport, unpacking
from tickertape.stream.engine.fetch.unpacking import Blocks

aiokafka_records: Any = unpacking._Records


def held(fact: object, package: str, moved: str, used: str) -> None:
    """Fail, unless it is so, with what moved and where it is used."""
    if not fact:
        pytest.fail(
            f"{package} {version(package)} has moved what the block transport leans on: {moved}. "
            f"stream/engine/fetch/transport.py, {used}, uses it; see that it still holds, then mend this test.",
            pytrace=False,
        )


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def calls(function: Any) -> Iterator[ast.Call]:
    """Yield the calls in a function's source, in the order of their lines."""
    found = [n for n in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))) if isinstance(n, ast.Call)]
    return iter(sorted(found, key=lambda call: call.lineno))


def lines_of(function: Any, name: str) -> list[int]:
    """Return the lines where it calls a function or method of this name."""
    return [
        call.lineno
        for call in calls(function)
        if name in (getattr(call.func, "id", None), getattr(call.func, "attr", None))
    ]


# aiokafka: what a fetch is unpacked with.

UNPACKING = [
    "tp",
    "records",
    "aborted_transactions",
    "fetch_offset",
    "key_deserializer",
    "value_deserializer",
    "check_crcs",
    "isolation_level",
]


def test_partition_records_are_made_from_the_same_arguments() -> None:
    held(
        parameters(aiokafka_records.__init__) == ["self", *UNPACKING],
        "aiokafka",
        f"fetcher.PartitionRecords now takes {parameters(aiokafka_records.__init__)}",
        "_partition_records",
    )
    assert parameters(unpacking._partition_records) == UNPACKING


def test_fetcher_makes_partition_records_by_their_global_name() -> None:
    tree = ast.parse(inspect.getsource(fetcher))
    made = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "PartitionRecords"]
    held(len(made) == 1, "aiokafka", f"fetcher.py makes PartitionRecords in {len(made)} places", "the replacement")
    held(
        len(made[0].args) == len(UNPACKING) and not made[0].keywords,
        "aiokafka",
        "fetcher.py passes PartitionRecords other arguments",
        "_partition_records",
    )
    passed = [getattr(argument, "attr", getattr(argument, "id", "")).lstrip("_") for argument in made[0].args]
    held(passed == UNPACKING, "aiokafka", f"PartitionRecords is passed {passed}", "_partition_records")


def test_fetcher_makes_ours_now() -> None:
    assert fetcher.PartitionRecords is unpacking._partition_records


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("_tp", "BlockRecords._record"),
        ("_records", "BlockRecords._batches"),
        ("_value_deserializer", "BlockRecords._unpack_records"),
        ("_check_crcs", "BlockRecords._batches"),
        ("_isolation_level", "BlockRecords._batches"),
        ("_aborted_producers", "BlockRecords._batches"),
        ("_consume_aborted_up_to", "BlockRecords._batches"),
        ("_contains_abort_marker", "BlockRecords._batches"),
        ("next_fetch_offset", "BlockRecords._unpack_records"),
    ],
)
def test_partition_records_have(name: str, used: str) -> None:
    records = unpack(aiokafka_records, [Batch(base=0, values={0: b""}, span=1)])
    held(hasattr(records, name), "aiokafka", f"fetcher.PartitionRecords has no {name}", used)


def test_partition_records_iterate_over_what_is_unpacked() -> None:
    held(
        lines_of(aiokafka_records.__init__, "_unpack_records") and parameters(aiokafka_records._unpack_records),
        "aiokafka",
        "fetcher.PartitionRecords no longer iterates over self._unpack_records()",
        "BlockRecords",
    )


def test_position_is_the_next_fetch_offset() -> None:
    source = inspect.getsource(fetcher.FetchResult)
    held(
        "consumed_to(self._partition_records.next_fetch_offset)" in source
        and "position != self._partition_records.next_fetch_offset" in source,
        "aiokafka",
        "FetchResult no longer takes the position from PartitionRecords.next_fetch_offset",
        "BlockRecords._unpack_records",
    )


def test_fetcher_makes_memory_records_by_their_global_name_of_bytes() -> None:
    tree = ast.parse(inspect.getsource(fetcher))
    made = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "MemoryRecords"]
    held(
        len(made) == 1 and len(made[0].args) == 1 and not made[0].keywords,
        "aiokafka",
        f"fetcher.py makes MemoryRecords by {[ast.unparse(call) for call in made]}",
        "the replacement",
    )
    assert fetcher.MemoryRecords is unpacking.FetchedBytes


BATCH = (
    "CODEC_NONE",
    "base_offset",
    "compression_type",
    "crc",
    "is_control_batch",
    "is_transactional",
    "max_timestamp",
    "next_offset",
    "producer_id",
    "timestamp_type",
)


@pytest.mark.parametrize("name", BATCH)
def test_batches_have(name: str) -> None:
    batch = DefaultRecordBatch(Batch(base=3, values={0: b""}, span=1).encoded())
    held(hasattr(batch, name), "aiokafka", f"a record batch has no {name}", "BlockRecords")


def test_batches_say_the_same() -> None:
    batch: Any = DefaultRecordBatch(
        memoryview(Batch(base=3, values={0: b"v", 1: None}, span=4, codec=1, append_time=True).encoded())
    )
    facts = (batch.base_offset, batch.next_offset, batch.compression_type, batch.timestamp_type, batch.is_transactional)
    held(facts == (3, 7, 1, unpacking._APPEND_TIME, False), "aiokafka", f"a batch says {facts}", "BlockRecords._block")
    held(batch.compression_type != batch.CODEC_NONE, "aiokafka", "CODEC_NONE is another", "BlockRecords")
    found = [(r.offset, r.value, r.timestamp, r.headers) for r in batch]
    held(
        [record[:2] for record in found] == [(3, b"v"), (4, None)]
        and found[0][2] == batch.max_timestamp
        and found[1][3] == [("beat", b"1")],
        "aiokafka",
        f"a batch's records are {found}",
        "BlockRecords._block",
    )
    batch = DefaultRecordBatch(Batch(base=7, values={0: b"v"}, span=1, producer=5).encoded())
    held((batch.producer_id, batch.is_transactional) == (5, True), "aiokafka", "transactions", "BlockRecords._batches")


def test_consumer_records_have_the_same_fields() -> None:
    names = [field.name for field in fields(ConsumerRecord)]
    expected = [
        *("topic", "partition", "offset", "timestamp", "timestamp_type", "key", "value", "checksum"),
        *("serialized_key_size", "serialized_value_size", "headers"),
    ]
    held(names == expected, "aiokafka", f"ConsumerRecord's fields are {names}", "BlockRecords._record")


# aiokafka: the consumer.


def test_aiokafka_reads_batches_in_python_too() -> None:
    batch = getattr(default_records, "_DefaultRecordBatchPy", None)
    held(
        batch is not None and {"_maybe_uncompress", "_read_msg"} <= vars(batch).keys(),
        "aiokafka",
        "it has no _DefaultRecordBatchPy that uncompresses and then reads",
        "by way of stream/engine/fetch/unpacking.py, _records",
    )


def test_consumer_passes_on_what_is_set_before_it_starts() -> None:
    (made,) = [call for call in calls(AIOKafkaConsumer.start) if getattr(call.func, "id", "") == "Fetcher"]
    passed = {keyword.arg: ast.unparse(keyword.value) for keyword in made.keywords}
    for name in ("value_deserializer", "isolation_level", "fetch_max_wait_ms"):
        held(
            passed.get(name) == f"self._{name}",
            "aiokafka",
            f"AIOKafkaConsumer.start passes its fetcher {name}={passed.get(name)}",
            "ConsumerThread._create_worker_consumer",
        )


@pytest.mark.parametrize(
    ("function", "takes", "used"),
    [
        (AIOKafkaConsumer.beginning_offsets, ["self", "partitions"], "ConsumerThread.positions"),
        (AIOKafkaConsumer.partitions_for_topic, ["self", "topic"], "ConsumerThread.positions"),
        (GroupCoordinator.fetch_committed_offsets, ["self", "partitions"], "ConsumerThread.positions"),
        (GroupCoordinator._do_commit_offsets, ["self", "assignment", "offsets"], "ConsumerThread.commit_while"),
        (GroupCoordinator.ensure_coordinator_known, ["self"], "ConsumerThread.commit_while"),
        (GroupCoordinator.reset_generation, ["self"], "ConsumerThread.join_anew"),
        (AIOKafkaConsumer.last_stable_offset, ["self", "partition"], "Consumer.log_end"),
        (AIOKafkaConsumer.last_poll_timestamp, ["self", "partition"], "Consumer.log_end"),
        (AIOKafkaConsumer.assignment, ["self"], "Consumer.log_end"),
    ],
)
def test_consumer_takes(function: Any, takes: list[str], used: str) -> None:
    held(parameters(function) == takes, "aiokafka", f"{function.__qualname__} now takes {parameters(function)}", used)


# Faust: the driver.


@pytest.mark.parametrize(
    ("function", "takes", "used"),
    [
        (driver.Consumer._new_consumer_thread, ["self"], "Consumer._new_consumer_thread"),
        (driver.Consumer.force_commit, ["self", "topics", "start_new_transaction"], "Consumer.force_commit"),
        (driver.Consumer.on_task_error, ["self", "exc"], "Consumer.on_task_error"),
        (driver.Consumer.perform_seek, ["self"], "Consumer.perform_seek"),
        (driver.Consumer.commit_and_end_transactions, ["self"], "Consumer.commit_and_end_transactions"),
        (driver.Consumer.maybe_wait_for_commit_to_finish, ["self"], "Consumer.commit_and_end_transactions"),
        (driver.Consumer.on_partitions_revoked, ["self", "revoked"], "Consumer.on_partitions_revoked"),
        (
            driver.Consumer.on_partitions_assigned,
            ["self", "assigned", "generation_id"],
            "Consumer.on_partitions_assigned",
        ),
        (driver.AIOKafkaConsumerThread.seek, ["self", "partition", "offset"], "ConsumerThread.seek_all"),
        (driver.Consumer.assignment, ["self"], "Consumer._commit_blocks"),
        (driver.AIOKafkaConsumerThread._create_worker_consumer, ["self", "transport"], "ConsumerThread"),
        (driver.AIOKafkaConsumerThread._ensure_consumer, ["self"], "ConsumerThread.positions"),
        (
            driver.AIOKafkaConsumerThread._fetch_records,
            ["self", "consumer", "active_partitions", "timeout", "max_records"],
            "ConsumerThread._fetch_records",
        ),
        (driver.AIOKafkaConsumerThread.call_thread, ["self", "fun", "args", "kwargs"], "Consumer._commit_blocks"),
    ],
)
def test_driver_takes(function: Any, takes: list[str], used: str) -> None:
    found = parameters(function)
    held(found == takes, "faust-streaming", f"{function.__qualname__} now takes {found}", used)


@pytest.mark.parametrize(
    ("function", "called", "used"),
    [
        (base.ThreadDelegateConsumer.__init__, "_new_consumer_thread", "Consumer._new_consumer_thread"),
        (driver.AIOKafkaConsumerThread._create_consumer, "_create_worker_consumer", "ConsumerThread"),
        (base.ThreadDelegateConsumer.threadsafe_partitions_revoked, "call", "Consumer.on_partitions_revoked"),
        (base.ThreadDelegateConsumer.threadsafe_partitions_assigned, "call", "Consumer.on_partitions_assigned"),
        (faust.App._on_agent_error, "on_task_error", "Consumer.on_task_error"),
        (base.Consumer.commit, "force_commit", "Consumer.force_commit"),
        (base.Consumer._commit_handler.fun, "commit", "Consumer.force_commit"),
        (base.Consumer.on_stop, "commit_and_end_transactions", "Consumer.commit_and_end_transactions"),
        (base.Consumer.commit_and_end_transactions, "commit", "Consumer.force_commit"),
    ],
)
def test_faust_calls_what_is_overridden(function: Any, called: str, used: str) -> None:
    held(lines_of(function, called), "faust-streaming", f"{function.__qualname__} no longer calls {called}", used)


def test_faust_fetches_what_is_active() -> None:
    (made,) = [call for call in calls(driver.AIOKafkaConsumerThread.getmany) if "call_thread" in ast.unparse(call.func)]
    held(
        ast.unparse(made).startswith("self.call_thread(self._fetch_records, _consumer, active_partitions, timeout="),
        "faust-streaming",
        f"a fetch is asked for by {ast.unparse(made)}",
        "ConsumerThread._fetch_records, where partitions that are held are left out",
    )


def test_faust_seeks_before_records_flow_again() -> None:
    for function in (Recovery._resume_streams, Recovery.on_recovery_completed):
        seeks, resumes = lines_of(function, "perform_seek"), lines_of(function, "resume_flow")
        held(
            seeks and resumes and max(seeks) < min(resumes),
            "faust-streaming",
            f"{function.__qualname__} calls perform_seek in lines {seeks} and resume_flow in lines {resumes}",
            "Consumer.perform_seek, where state is restored",
        )


def test_faust_hands_over_each_message_by_waiting_for_the_first_of_two() -> None:
    (made,) = [
        call
        for call in calls(base.Consumer._drain_messages)
        if ast.unparse(call).startswith("self.wait_first(") and "callback" in ast.unparse(call)
    ]
    held(
        ast.unparse(made) == "self.wait_first(callback(message), self.suspend_flow.wait())",
        "faust-streaming",
        f"Consumer._drain_messages calls {ast.unparse(made)}",
        "Consumer.wait_first",
    )


def test_message_carries_what_the_record_does() -> None:
    made = next(
        call for call in calls(driver.Consumer._to_message) if getattr(call.func, "id", "") == "ConsumerMessage"
    )
    passed = [ast.unparse(argument) for argument in made.args]
    held(
        passed[0] == "record.topic" and passed[2] == "record.offset" and passed[7] == "record.value",
        "faust-streaming",
        f"a message is made of {passed}",
        "BlockRecords._record",
    )


class _Keeper:
    blocks = Blocks(frozenset({TP_READ.topic}), 1, 1)


@pytest.fixture
def app() -> faust.App:
    app = faust.App(
        "contract",
        broker="blocks://127.0.0.1:9",
        consumer_group_instance_id="slot-1",
        consumer_metadata_max_age_ms=2000,
        store="memory://",
    )
    app.coordinator = _Keeper()
    return app


def test_scheme_of_the_address_chooses_the_transport(app: faust.App) -> None:
    (found,) = (entry for entry in entry_points(group="faust.transports") if entry.name == "blocks")
    assert found.load() is transport.Transport
    held(type(app.transport) is transport.Transport, "faust-streaming", "blocks:// is not found", "pyproject.toml")


def test_consumer_is_made_for_blocks_and_as_a_static_member(app: faust.App) -> None:
    async def made() -> tuple[Any, Any]:
        thread = app.consumer._thread
        held(hasattr(app.consumer, "_read_offset"), "faust-streaming", "Consumer has no _read_offset", "perform_seek")
        return thread, thread._create_worker_consumer(app.transport)

    thread, consumer = asyncio.run(made())
    held(type(thread) is transport.ConsumerThread, "faust-streaming", "Consumer._thread is another", "Consumer")
    for name in ("_consumer", "tp_last_committed_at"):
        held(hasattr(thread, name), "faust-streaming", f"AIOKafkaConsumerThread has no {name}", "Consumer")
    found = (consumer._group_instance_id, consumer._client._metadata_max_age_ms)
    held(found == ("slot-1", 2000), "faust-streaming", f"the settings have come to {found}", "for the pipeline")
    assert "_metadata_update" in vars(consumer._client), "it doesn't pause while no broker answers"
    assert consumer._value_deserializer is _Keeper.blocks
    assert consumer._isolation_level == "read_committed"
    assert (consumer._fetch_max_wait_ms, consumer._fetch_max_bytes) == (transport.FETCH_WAIT_MS, transport.FETCH_BYTES)


def test_a_commit_is_made_before_anything_is_waited_for() -> None:
    waits = [
        n.lineno
        for n in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(GroupCoordinator._do_commit_offsets))))
        if isinstance(n, ast.Await)
    ]
    made = lines_of(GroupCoordinator._do_commit_offsets, "OffsetCommitRequest")
    held(
        made and max(made) < min(waits),
        "aiokafka",
        f"_do_commit_offsets waits in lines {waits} and makes its request in lines {made}",
        "ConsumerThread.commit_while, which looks who the member is just before",
    )


def test_fetcher_sends_each_request_by_one_method() -> None:
    found = parameters(fetcher.Fetcher._proc_fetch_request)
    takes = ["self", "assignment", "node_id", "request"]
    held(found == takes, "aiokafka", f"Fetcher._proc_fetch_request now takes {found}", "gather")
    called = lines_of(fetcher.Fetcher._fetch_requests_routine, "_proc_fetch_request")
    held(called, "aiokafka", "Fetcher no longer sends requests by _proc_fetch_request", "gather")


def test_any_member_can_have_the_group_share_out_anew() -> None:
    held(
        hasattr(GroupCoordinator, "request_rejoin"),
        "aiokafka",
        "GroupCoordinator has no request_rejoin",
        "ConsumerThread, whose watch_unowned asks for it",
    )


def test_topic_without_acks_is_never_committed_by_faust(app: faust.App) -> None:
    async def acks() -> dict[str, bool]:
        for name, wanted in (("blocks", False), ("plain", True)):
            app.topics.add(app.topic(name, acks=wanted))
        await app.topics._update_indices()
        return {name: app.topics.acks_enabled_for(name) for name in ("blocks", "plain")}

    found = asyncio.run(acks())
    held(
        found == {"blocks": False, "plain": True},
        "faust-streaming",
        f"app.topic(acks=False) gives acks_enabled_for {found}",
        "Consumer, which commits in Faust's place",
    )


# The contract itself.


def test_what_moves_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def moved(self: Any, records: Any, tp: Any) -> None: ...

    monkeypatch.setattr(aiokafka_records, "__init__", moved)
    with pytest.raises(pytest.fail.Exception) as told:
        test_partition_records_are_made_from_the_same_arguments()
    said = str(told.value)
    assert said.startswith(f"aiokafka {version('aiokafka')} has moved what the block transport leans on: fetcher.Part")
    assert "now takes ['self', 'records', 'tp']" in said
    assert "stream/engine/fetch/transport.py, _partition_records, uses it" in said
