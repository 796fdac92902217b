"""Receives a broker's answers once, into the memory that they are then read from. aiokafka copies them three times.

What it relies on in aiokafka is checked by tests/kafka/clients/test_answers.py.
"""

import asyncio
import io
import struct
import weakref
from typing import Any

import numpy as np
from aiokafka import conn
from aiokafka.protocol.fetch import FetchRequestStruct

_SIZE = struct.Struct(">i")
# Small answers are read together, and copied out of this many bytes.
_SMALL_BYTES = 1 << 16
# In an answer to a fetch, what is smaller is copied: it would keep the whole answer in memory.
_LARGE_BYTES = 4096
_Protocol: Any = conn.AIOKafkaProtocol
_Connection: Any = conn.AIOKafkaConnection
_create_reader_task = _Connection._create_reader_task


class AnswerView:
    """Reads an answer as BytesIO does, but what is large isn't copied."""

    def __init__(self, answer: memoryview) -> None:
        self._answer = answer
        self._at = 0

    def read(self, size: int | None = -1) -> bytes | memoryview:
        first, end = self._at, len(self._answer)
        last = end if size is None or size < 0 else min(first + size, end)
        self._at = last
        part = self._answer[first:last]
        return part if len(part) >= _LARGE_BYTES else bytes(part)

    def tell(self) -> int:
        return self._at

    def seek(self, at: int, whence: int = io.SEEK_SET) -> int:
        self._at = at + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._answer)}[whence]
        return self._at


class AnswerProtocol(_Protocol, asyncio.BufferedProtocol):  # type: ignore[misc]  # aiokafka has no types
    """One connection's side that receives."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        #: Returns the connection, or None if it is gone.
        self.connection: Any = lambda: None
        self._small, self._n_small = memoryview(bytearray(_SMALL_BYTES)), 0
        # The answer that is being received, if it is larger than what was read of it with others.
        self._large: memoryview | None = None
        self._n_large = 0

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the answer's own size is known
        return self._small[self._n_small :] if self._large is None else self._large[self._n_large :]

    def buffer_updated(self, nbytes: int) -> None:
        if self._large is not None:
            self._n_large += nbytes
            if self._n_large == len(self._large):
                answer, self._large = self._large, None
                self._deliver(answer)
            return
        first, last = 0, self._n_small + nbytes
        while last - first >= _SIZE.size:
            (size,) = _SIZE.unpack_from(self._small, first)
            if size < 0:
                raise ConnectionError(f"an answer of {size} bytes: this isn't Kafka, or the connection is broken")
            first += _SIZE.size
            here = self._small[first : min(last, first + size)]
            first += len(here)
            answer = np.empty(size, np.uint8).data
            answer[: len(here)] = here
            if len(here) == size:
                self._deliver(answer)
            else:
                self._large, self._n_large = answer, len(here)
        self._n_small = last - first
        self._small[: self._n_small] = bytes(self._small[first:last])

    def _deliver(self, answer: memoryview) -> None:
        connection = self.connection()
        # Once it is closed, nobody waits for answers.
        if connection is None or not connection._requests:
            return
        _, request, _ = connection._requests[0]
        connection._handle_frame(answer if isinstance(request, FetchRequestStruct) else bytes(answer))


class _Io:
    """Stands for the module ``io`` in aiokafka's."""

    @staticmethod
    def BytesIO(answer: Any) -> Any:  # noqa: N802 - as there
        return AnswerView(answer) if isinstance(answer, memoryview) else io.BytesIO(answer)


def _create_task(connection: Any) -> Any:
    connection._protocol.connection = weakref.ref(connection)
    return _create_reader_task(connection)


async def _read(connection_of: Any) -> None:
    """Wait until the connection ends: answers come by the protocol."""
    connection = connection_of()
    if connection is None:
        return
    reader = connection._reader
    del connection
    await reader.readexactly(1)


def install() -> None:
    """Change aiokafka for the whole process: each connection that is made later receives so.

    The records of a fetch are views from then on, which aiokafka's own MemoryRecords doesn't take.
    """
    _Connection._create_reader_task = _create_task
    _Connection._read = staticmethod(_read)
    conn.AIOKafkaProtocol = AnswerProtocol
    conn.io = _Io
