"""Asking a broker about topics and groups, through kafka-python."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from kafka import KafkaAdminClient
from kafka.errors import KafkaError, RetriableError

from stream.errors import BrokerError, ConfigError

CONNECT_MS = 5000
REQUEST_MS = 15_000
# A broker that has just started has no group coordinator for a moment.
RETRY_SECONDS = 15.0

T = TypeVar("T")


def no_address(broker: str, error: ValueError) -> ConfigError:
    return ConfigError(f"broker {broker!r}: {error}; it is host:port, or several with commas")


def no_answer(broker: str) -> BrokerError:
    return BrokerError(
        f"no Kafka answers at {broker}: start it (`tickertape kafka` runs one), or set TICKERTAPE_BROKER to another"
    )


def retrying(ask: Callable[[], T]) -> T:
    """Ask again where the broker says that it isn't ready yet."""
    until = time.monotonic() + RETRY_SECONDS
    while True:
        try:
            return ask()
        except RetriableError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


@contextmanager
def connected(broker: str) -> Iterator[KafkaAdminClient]:
    """Yield an admin client; whatever Kafka refuses is one line.

    Raises
    ------
    ConfigError
        That is no address.
    BrokerError
        Kafka can't be reached, or refuses.
    """
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=broker.split(","), bootstrap_timeout_ms=CONNECT_MS, request_timeout_ms=REQUEST_MS
        )
    except ValueError as error:
        raise no_address(broker, error) from None
    except KafkaError:
        raise no_answer(broker) from None
    try:
        with admin:
            yield admin
    except KafkaError as error:
        raise BrokerError(f"Kafka at {broker} refuses or went away: {' '.join(str(error).split())}") from error
