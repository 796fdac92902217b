"""A pytest plugin: here a test that is skipped for want of what CI has has failed."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

# Markers, and why their tests can run.
REQUIRED = {"prometheus": "CI installs it", "browser": "CI installs Chromium", "postgres": "CI installs it"}
if os.environ.get("RECORDED"):
    REQUIRED["recorded"] = "the recorded input is there"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[Any]:
    report = yield
    for marker, reason in REQUIRED.items():
        if report.skipped and item.get_closest_marker(marker):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} was skipped, and {reason}: {report.longrepr}"
    return report
