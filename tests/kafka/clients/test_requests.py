"""A request with batches is sent as aiokafka would send it, and large batches aren't copied on the way."""

import inspect
from typing import Any

import pytest
from aiokafka import conn
from aiokafka.protocol import produce

from tickertape.stream.kafka.clients import requests
from tickertape.stream.kafka.clients.requests import parts

TOPICS = [
    ("bars", [(0, bytearray(b"a" * 70_000)), (3, bytearray(b"b" * 10)), (4, bytearray(b"c" * 65_536))]),
    ("räte", [(1, bytearray())]),
    ("none", []),
    ("last", [(2, bytearray(b"d" * 65_535)), (5, bytearray(b"e" * 200_000))]),
]


def request(version: int, topics: Any, transaction: str | None = None) -> Any:
    return getattr(produce, f"ProduceRequest_v{version}")(transaction, -1, 30_000, topics)


@pytest.mark.parametrize("version", [3, 4, 5, 6, 7])
@pytest.mark.parametrize("topics", [TOPICS, TOPICS[1:3], TOPICS[3:], []], ids=["mixed", "small", "large", "none"])
@pytest.mark.parametrize("transaction", [None, "t-1"])
def test_the_parts_are_what_aiokafka_sends(version: int, topics: Any, transaction: str | None) -> None:
    struct = request(version, topics, transaction)
    header = struct.build_request_header(correlation_id=77, client_id="tester")
    message = header.encode() + struct.encode()
    assert b"".join(parts(header, struct)) == len(message).to_bytes(4, "big") + message


def test_a_large_batch_is_not_copied_and_small_ones_go_together() -> None:
    struct = request(7, TOPICS)
    header = struct.build_request_header(correlation_id=1, client_id="tester")
    sent = parts(header, struct)
    views = [part.obj for part in sent if isinstance(part, memoryview)]
    large = [batch for _, partitions in TOPICS for _, batch in partitions if len(batch) >= 65_536]
    assert [id(view) for view in views] == [id(batch) for batch in large]
    assert len(sent) == 7
    small = request(7, TOPICS[1:3])
    assert [type(part) for part in parts(header, small)] == [bytes]


# What aiokafka has to have. When a test fails, read requests.py again.


def test_all_versions_that_aiokafka_sends_are_laid_out_so() -> None:
    versions = {one.API_VERSION: one.SCHEMA for one in produce.ProduceRequest._CLASSES}
    assert max(versions) == 7
    names = ("transactional_id", "required_acks", "timeout", "topics")
    assert [version for version, schema in versions.items() if schema.names == names] == [3, 4, 5, 6, 7]


def test_aiokafka_sends_as_it_is_done_here() -> None:
    source = inspect.getsource(requests._send_copied)
    for said in (
        "if self._writer is None:",
        "request_struct = request.prepare(self._versions)",
        "correlation_id = self._next_correlation_id()",
        'size = struct.pack(">i", len(message))',
        "self._writer.write(size + message)",
        "self.close(reason=CloseReason.CONNECTION_BROKEN)",
        "(correlation_id, request_struct, fut),",
        "return wait_for(fut, self._request_timeout)",
    ):
        assert said in source, said
    assert "def send(self, request, expect_response=True):" in source
    assert conn.AIOKafkaConnection.send is requests._send
