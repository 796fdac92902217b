"""What a broker answers arrives whole, however the network cuts it, and only a fetch's records are views."""

import ast
import asyncio
import inspect
import io
import random
import struct
from collections import deque
from typing import Any

import pytest
from aiokafka import conn
from aiokafka.protocol.fetch import FetchRequest_v11
from aiokafka.protocol.metadata import MetadataRequest_v1

from tickertape.stream.kafka.clients.answers import AnswerProtocol, AnswerView


class Connection:
    """As much of aiokafka's as answers need."""

    def __init__(self, *requests: Any) -> None:
        self._requests = deque((number, request, None) for number, request in enumerate(requests))
        self.answers: list[Any] = []

    def _handle_frame(self, answer: Any) -> None:
        self._requests.popleft()
        self.answers.append(answer)


def protocol(connection: Connection) -> AnswerProtocol:
    loop = asyncio.new_event_loop()
    made = AnswerProtocol(None, asyncio.StreamReader(loop=loop), loop=loop)
    made.connection = lambda: connection
    loop.close()
    return made


def receive(made: AnswerProtocol, data: bytes, sizes: list[int]) -> None:
    """Give it bytes as a socket does: as many as there are, at most as many as it has room for."""
    at = 0
    while at < len(data):
        buffer = made.get_buffer(-1)
        assert len(buffer) > 0
        size = min(len(buffer), len(data) - at, sizes.pop(0) if sizes else len(data))
        buffer[:size] = data[at : at + size]
        made.buffer_updated(size)
        at += size


FETCH: Any = FetchRequest_v11
OTHER: Any = MetadataRequest_v1


def request(kind: Any) -> Any:
    return kind.__new__(kind)


@pytest.mark.parametrize("seed", range(20))
def test_answers_are_whole_however_they_are_cut(seed: int) -> None:
    rng = random.Random(seed)
    sizes = [rng.choice([0, 1, 5, 4000, 70_000, 200_000]) for _ in range(12)]
    answers = [rng.randbytes(size) for size in sizes]
    connection = Connection(*[request(rng.choice([FETCH, OTHER])) for _ in answers])
    cuts = [rng.choice([1, 2, 3, 4, 5, 100, 65_536, 100_000]) for _ in range(500)]
    receive(protocol(connection), b"".join(struct.pack(">i", len(one)) + one for one in answers), cuts)
    assert [bytes(one) for one in connection.answers] == answers


def test_only_an_answer_to_a_fetch_is_a_view() -> None:
    connection = Connection(request(FETCH), request(OTHER))
    receive(protocol(connection), (struct.pack(">i", 3) + b"abc") * 2, [])
    assert [type(one) for one in connection.answers] == [memoryview, bytes]


def test_an_answer_outlives_the_next_ones() -> None:
    connection = Connection(request(FETCH), request(FETCH))
    made = protocol(connection)
    receive(made, struct.pack(">i", 3) + b"abc", [])
    receive(made, struct.pack(">i", 3) + b"xyz", [])
    assert [bytes(one) for one in connection.answers] == [b"abc", b"xyz"]


def test_a_negative_size_breaks_the_connection() -> None:
    with pytest.raises(ConnectionError, match="an answer of -1 bytes"):
        receive(protocol(Connection(request(FETCH))), struct.pack(">i", -1), [])


def test_what_comes_after_the_end_is_dropped() -> None:
    receive(protocol(Connection()), struct.pack(">i", 3) + b"abc", [])


def test_a_view_reads_as_bytesio_does() -> None:
    data = bytes(range(256)) * 40
    view, copy = AnswerView(memoryview(data)), io.BytesIO(data)
    for size in (3, 0, 5000, None, 7):
        assert (view.read(size), view.tell()) == (copy.read(size), copy.tell())
    for at, whence in ((5, 0), (4, 1), (-9, 2)):
        assert view.seek(at, whence) == copy.seek(at, whence)
        assert view.read(3) == copy.read(3)
    assert view.seek(0) == 0
    assert (type(view.read(4095)), type(view.read(4096))) == (bytes, memoryview)


# What aiokafka has to have. When a test fails, read answers.py again.


def test_aiokafka_makes_its_protocol_and_its_reader_task_by_these_names() -> None:
    tree = ast.parse(inspect.getsource(conn))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert "AIOKafkaProtocol" in called
    source = inspect.getsource(conn.AIOKafkaConnection.connect)
    assert source.index("self._protocol = reader, writer, protocol") < source.index("self._create_reader_task()")
    assert "io.BytesIO(resp)" in inspect.getsource(conn.AIOKafkaConnection._handle_frame)
    assert "self._requests[0]" in inspect.getsource(conn.AIOKafkaConnection._handle_frame)
    # Of io it uses nothing else.
    uses = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "io"
    }
    assert uses == {"BytesIO"}
