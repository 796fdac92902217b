"""A place for a publisher's records that keeps them, in the order put; and a schedule that tests write."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import msgspec

from tickertape.schemas.control import Step
from tickertape.schemas.events import TOPICS
from tickertape.schemas.heartbeat import from_headers
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade

T = TypeVar("T", Trade, Quote)

KINDS = {topic.name: kind for kind, topic in TOPICS.items()}


class Record(NamedTuple):
    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Recorder:
    """Stands where `tickertape.stream.kafka.clients.producer.Producer` does, and sends nothing."""

    def __init__(self, partitions: int = 3) -> None:
        self.count = partitions
        self.records: list[Record] = []
        self.flushed = 0

    def send(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        assert topic in KINDS
        assert 0 <= partition < self.count
        self.records.append(Record(topic, partition, key, value, list(headers)))

    async def room(self) -> None:
        pass

    async def flush(self) -> None:
        self.flushed = len(self.records)

    async def partitions(self, topic: str) -> int:
        assert topic in KINDS
        return self.count

    @property
    def trades(self) -> list[Trade]:
        return self._events("trades", Trade)

    @property
    def quotes(self) -> list[Quote]:
        return self._events("quotes", Quote)

    def _events(self, topic: str, kind: type[T]) -> list[T]:
        return [
            msgspec.json.decode(record.value, type=kind)
            for record in self.records
            if record.topic == topic and record.value is not None
        ]

    def counts(self) -> list[int]:
        """Return how many partitions each heartbeat tells of."""
        beats = (from_headers(record.headers) for record in self.records)
        return [beat.partitions for beat in beats if beat is not None]

    def ends(self) -> list[bool]:
        """Return of each heartbeat whether it ends its source."""
        beats = (from_headers(record.headers) for record in self.records)
        return [beat.end for beat in beats if beat is not None]

    def steps(self, topic: str = "trades") -> list[tuple[int, str, int]]:
        """Return what was put as (partition, what, event time): ``BTC-USDT``, or ``♥sim`` for a heartbeat."""
        found = []
        for _, partition, key, value, headers in [record for record in self.records if record.topic == topic]:
            beat = from_headers(headers)
            if value is None:
                assert key is None
                assert beat is not None
                found.append((partition, f"♥{beat.source}", beat.time_ms))
            else:
                event = msgspec.json.decode(value, type=KINDS[topic])
                assert beat is None
                assert key == event.symbol.encode()
                found.append((partition, event.symbol, event.time_ms))
        return found


class Plan:
    """Stands where `tickertape.stream.kafka.stores.control.Control` does."""

    def __init__(self, *steps: tuple[int, int]) -> None:
        self._news = asyncio.Event()
        self._steps: dict[str, tuple[Step, ...]] = {}
        self.say(*steps)

    def say(self, *steps: tuple[int, int], topic: str = "trades") -> None:
        """Have another schedule from now on: of (from, partitions)."""
        self._steps[topic] = tuple(Step(*step) for step in steps)
        self._news.set()

    async def sync(self) -> None:
        self._news.clear()

    async def change(self) -> set[bytes]:
        await self._news.wait()
        self._news.clear()
        return {b"schedule"}

    def steps(self, topic: str) -> tuple[Step, ...]:
        return self._steps.get(topic, ())
