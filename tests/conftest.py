"""What tests share: one real Kafka for the whole session, and names that no other test uses."""

import shutil
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, settings

from docs.pictures.live import chromium
from tests.export.installed import postgres_programs

# These have processes, faults and deadlines of their own, so that two at once would disturb each other. What the others
# test is a function of its arguments, or of what one broker holds: they run beside.
ALONE = {"alerts", "chaos", "cluster", "console", "integration", "live", "terminal", "top"}

# No example fails because the machine is slow.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
# For planted bugs: any example that fails will do, and looking for the smallest one takes minutes.
settings.register_profile("any-failure", settings.get_profile("patient"), phases=[Phase.explicit, Phase.generate])


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Have tests that would disturb each other run one after the other."""
    for item in items:
        folder = item.path.parent.relative_to(item.config.rootpath / "tests").parts[:1]
        if ALONE.intersection(folder):
            item.add_marker(pytest.mark.xdist_group("clock"))
        elif item.get_closest_marker("kafka"):
            item.add_marker(pytest.mark.xdist_group("kafka"))
    yield


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("postgres") and postgres_programs() is None:
        pytest.skip("needs PostgreSQL: on Debian and Ubuntu, apt-get install postgresql")
    if item.get_closest_marker("prometheus") and not all(map(shutil.which, ("prometheus", "promtool"))):
        pytest.skip("needs prometheus and promtool: on Debian and Ubuntu, apt-get install prometheus")
    if item.get_closest_marker("browser") and chromium() is None:
        pytest.skip("needs Chromium: on Debian and Ubuntu, apt-get install chromium")


@pytest.fixture(scope="session")
def kafka(tickertape_kafka: str) -> str:
    """The address of a broker; it starts with the first test that asks for it."""
    return tickertape_kafka


@pytest.fixture(scope="session")
def _numbers() -> Iterator[int]:
    return count(1)


@pytest.fixture
def topic(_numbers: Iterator[int]) -> Callable[..., str]:
    """A function that returns a name which no other test's topic or group has: ``topic("trades")`` → ``trades-7``."""

    def name(stem: str = "topic") -> str:
        return f"{stem}-{next(_numbers)}"

    return name
