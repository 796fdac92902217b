from collections.abc import Iterator

import pytest

from tests.secured.broker import SecuredKafka, secured


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """A Kafka that lets in whom it knows; it starts with the first test that asks for it."""
    with secured(tmp_path_factory.mktemp("secured")) as kafka:
        yield kafka
