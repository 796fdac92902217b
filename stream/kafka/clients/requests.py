"""Sends a producer's batches from the memory that they were built in. aiokafka copies a large request five times.

Importing this module changes aiokafka for the whole process: each connection sends large batches so. What it relies on
in aiokafka is checked by tests/kafka/clients/test_requests.py.
"""

from typing import Any

from aiokafka import conn
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.types import Int16, Int32, String

# A smaller batch is copied and sent with what is around it, because each write may be a call to the system.
_LARGE_BYTES = 64 << 10
# The requests that are laid out as `parts` has it.
_VERSIONS = range(3, 8)
_Connection: Any = conn.AIOKafkaConnection
_send_copied = _Connection.send


def parts(header: Any, request: Any) -> list[bytes | memoryview]:
    """Return the parts of a request that sends batches. One after the other, they are its size and its bytes.

    Parameters
    ----------
    header, request
        Structs of aiokafka; the request is of version 3 to 7.
    """
    large: list[bytes | memoryview] = []
    small = bytearray(header.encode())
    small += String("utf-8").encode(request.transactional_id) + Int16.encode(request.required_acks)
    small += Int32.encode(request.timeout) + Int32.encode(len(request.topics))
    for topic, partitions in request.topics:
        small += String("utf-8").encode(topic) + Int32.encode(len(partitions))
        for partition, batch in partitions:
            small += Int32.encode(partition) + Int32.encode(len(batch))
            if len(batch) < _LARGE_BYTES:
                small += batch
            else:
                large += [bytes(small), memoryview(batch)]
                small = bytearray()
    first, *others = *large, bytes(small)
    return [Int32.encode(len(first) + sum(map(len, others))) + first, *others]


def _send(connection: Any, request: Any, expect_response: bool = True) -> Any:
    if connection._writer is None or not isinstance(request, ProduceRequest) or not expect_response:
        return _send_copied(connection, request, expect_response)
    struct = request.prepare(connection._versions)
    if struct.API_VERSION not in _VERSIONS:
        return _send_copied(connection, request, expect_response)
    number = connection._next_correlation_id()
    header = struct.build_request_header(correlation_id=number, client_id=connection._client_id)
    try:
        for part in parts(header, struct):
            connection._writer.write(part)
    except OSError as error:
        connection.close(reason=conn.CloseReason.CONNECTION_BROKEN)
        raise conn.Errors.KafkaConnectionError(
            f"Connection at {connection._host}:{connection._port} broken: {error}"
        ) from error
    answer = connection._loop.create_future()
    connection._requests.append((number, struct, answer))
    return conn.wait_for(answer, connection._request_timeout)


_Connection.send = _send
