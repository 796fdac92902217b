"""The pytest fixture that Tickertape brings; see `tickertape.testing`."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def tickertape_kafka() -> Iterator[str]:
    """The address of a real Kafka; it starts with the first test that asks for it."""
    from tickertape.stream.kafka.embedded.broker import EmbeddedKafka

    with EmbeddedKafka() as embedded:
        yield embedded.broker
