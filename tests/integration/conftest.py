from collections.abc import Iterator

import pytest

from tickertape.stream.kafka.embedded.broker import EmbeddedKafka


@pytest.fixture(scope="session")
def own_kafka() -> Iterator[str]:
    """A broker for tests that use the catalogue's own topics, one after the other."""
    with EmbeddedKafka() as embedded:
        yield embedded.broker
