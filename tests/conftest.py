"""What tests share: one real Kafka for the whole session, and names that no other test uses."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from stream.kafka.embedded import EmbeddedKafka


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """The address of a broker; it starts with the first test that asks for it."""
    with EmbeddedKafka() as embedded:
        yield embedded.broker


@pytest.fixture(scope="session")
def _numbers() -> Iterator[int]:
    return count(1)


@pytest.fixture
def topic(_numbers: Iterator[int]) -> Callable[..., str]:
    """A function that returns a name which no other test's topic or group has: ``topic("trades")`` → ``trades-7``."""

    def name(stem: str = "topic") -> str:
        return f"{stem}-{next(_numbers)}"

    return name
