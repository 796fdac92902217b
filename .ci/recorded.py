"""A pytest plugin: a test of the recorded input that is skipped has failed."""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[Any]:
    report = yield
    if report.skipped and item.get_closest_marker("recorded"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and the recorded input is there: {report.longrepr}"
    return report
