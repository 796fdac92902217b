"""The pytest fixture of Tickertape; see `tickertape.testing`."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def tickertape_kafka() -> Iterator[str]:
    """Start a real Kafka for the test session, and return its address."""
    from tickertape.stream.kafka.embedded.broker import EmbeddedKafka

    with EmbeddedKafka() as embedded:
        yield embedded.broker
