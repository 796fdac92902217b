"""Read and write the topic ``control``: schedules, numbers of workers, and positions of feeds."""

from collections.abc import Mapping
from itertools import count, pairwise
from types import TracebackType
from typing import Protocol, Self, TypeVar

import msgspec
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from aiokafka.structs import TopicPartition

from tickertape.schemas.control import (
    Complete,
    Past,
    Position,
    Schedule,
    Step,
    Workers,
    complete_key,
    past_key,
    position_key,
    schedule_key,
    workers_key,
)
from tickertape.schemas.topics import CONTROL
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.errors import BrokerError
from tickertape.stream.kafka.access.rights import no_topic, refused, unseen
from tickertape.stream.kafka.clients.consumer import connected_consumer

# Short, because other requests on the same connection wait until a fetch is answered.
_WAIT_MS = 100
_PART = TopicPartition(CONTROL.name, 0)

T = TypeVar("T", Schedule, Workers, Position, Complete, Past)

# The symbols of a record; each takes less than 120 bytes.
_SYMBOLS_A_RECORD = 4096


class Records(Protocol):
    """Sends records; `tickertape.stream.kafka.clients.producer.Producer` is one."""

    def send(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None: ...


class Control:
    """Reads the topic ``control``, and returns the values that are valid now.

    Parameters
    ----------
    connection
        The connection settings.

    Examples
    --------
    >>> async with Control(Connection("localhost:9092")) as control:  # doctest: +SKIP
    ...     steps = control.steps("trades")
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._values: dict[bytes, bytes] = {}

    async def __aenter__(self) -> Self:
        self._consumer = await connected_consumer(self._connection, fetch_max_wait_ms=_WAIT_MS)
        try:
            if CONTROL.name not in await self._consumer.topics():
                hidden = await unseen(self._connection, self._consumer._client, CONTROL.name)
                raise hidden or no_topic(self._connection, CONTROL.name)
            self._consumer.assign([_PART])
            await self._consumer.seek_to_beginning(_PART)
            await self.sync()
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    async def sync(self) -> None:
        """Read up to the topic's current end.

        Raises
        ------
        BrokerError
            Kafka went away, or refuses.
        """
        try:
            end = (await self._consumer.end_offsets([_PART]))[_PART]
            while await self._consumer.position(_PART) < end:
                await self._read()
        except KafkaError as error:
            raise refused(self._connection, error) from error

    async def change(self) -> set[bytes]:
        """Wait for the next records, and return their keys."""
        while True:
            if keys := await self._read():
                return keys

    async def _read(self) -> set[bytes]:
        try:
            found = await self._consumer.getmany(_PART, timeout_ms=_WAIT_MS)
        except TopicAuthorizationFailedError as error:
            raise refused(self._connection, error, f"Read on topic {CONTROL.name}") from error
        records = found.get(_PART, [])
        self._values |= {record.key or b"": record.value for record in records}
        return {record.key or b"" for record in records}

    def steps(self, topic: str) -> tuple[Step, ...]:
        """Return the schedule of a topic; empty if there is none.

        Raises
        ------
        BrokerError
            The record isn't a valid schedule.
        """
        schedule = self._last(schedule_key(topic), Schedule)
        steps = () if schedule is None else schedule.steps
        if any(a.from_ms >= b.from_ms or a.partitions >= b.partitions for a, b in pairwise(steps)):
            raise BrokerError(f"topic {CONTROL.name}: the schedule of {topic} doesn't rise: {steps}")
        return steps

    def workers(self, group: str) -> int | None:
        """Return the number of workers that each ``tickertape up`` of a group must run now; None if it isn't set.

        Raises
        ------
        BrokerError
            The record isn't valid.
        """
        found = self.asked(group)
        return None if found is None else 0 if found.paused else found.workers

    def asked(self, group: str) -> Workers | None:
        """Return the last record about a group's workers; None if there is none.

        Raises
        ------
        BrokerError
            The record isn't valid.
        """
        return self._last(workers_key(group), Workers)

    def position(self, source: str) -> int:
        """Return the position from which a source resumes; 0 if none is stored.

        Raises
        ------
        BrokerError
            The record isn't valid.
        """
        found = self._last(position_key(source), Position)
        return 0 if found is None else found.at

    def complete(self, source: str) -> dict[str, tuple[int, int]]:
        """Return, by symbol, the number and the event time of the last trade before which none is missing.

        Raises
        ------
        BrokerError
            A record isn't valid.
        """
        found: dict[str, tuple[int, int]] = {}
        for part in count():
            record = self._last(complete_key(source, part), Complete)
            if record is None:
                return found
            for symbol, seen in record.symbols.items():
                found[symbol] = max(seen, found.get(symbol, seen))
        raise AssertionError("the parts end")

    def past(self, source: str) -> Past | None:
        """Return how far a source's past trades were sent; None if none were.

        Raises
        ------
        BrokerError
            The record isn't valid.
        """
        return self._last(past_key(source), Past)

    def _last(self, key: bytes, kind: type[T]) -> T | None:
        value = self._values.get(key)
        if value is None:
            return None
        try:
            return msgspec.json.decode(value, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BrokerError(f"topic {CONTROL.name}, key {key.decode()}: not a valid record: {error}") from None


def write_schedule(records: Records, topic: str, steps: tuple[Step, ...]) -> None:
    """Replace a topic's schedule."""
    records.send(CONTROL.name, 0, schedule_key(topic), msgspec.json.encode(Schedule(steps)))


def write_workers(records: Records, group: str, workers: int, *, paused: bool = False) -> None:
    """Set the number of workers that each ``tickertape up`` of a group runs; `paused` stops them for a while."""
    records.send(CONTROL.name, 0, workers_key(group), msgspec.json.encode(Workers(workers, paused)))


def write_position(records: Records, source: str, at: int) -> None:
    """Store the position from which a source resumes. All of its events before it must have been acknowledged."""
    records.send(CONTROL.name, 0, position_key(source), msgspec.json.encode(Position(at)))


def write_past(records: Records, source: str, past: Past) -> None:
    """Store how far a source's past trades were sent. All of ``past.complete`` must have been acknowledged."""
    records.send(CONTROL.name, 0, past_key(source), msgspec.json.encode(past))


def write_complete(records: Records, source: str, symbols: Mapping[str, tuple[int, int]]) -> None:
    """Store up to where a source's trades are complete. All of its events up to there must have been acknowledged."""
    names = sorted(symbols)
    for part, first in enumerate(range(0, len(names), _SYMBOLS_A_RECORD)):
        some = {name: symbols[name] for name in names[first : first + _SYMBOLS_A_RECORD]}
        records.send(CONTROL.name, 0, complete_key(source, part), msgspec.json.encode(Complete(some)))
