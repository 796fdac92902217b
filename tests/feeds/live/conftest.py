import logging

import pytest

from tickertape.stream.feeds.live import live as lives
from tickertape.stream.feeds.live import subscriptions


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Have waits of seconds last parts of one."""
    caplog.set_level(logging.INFO, "tickertape")
    monkeypatch.setattr(lives, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(subscriptions, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(subscriptions, "FIRST_WAIT_SECONDS", 0.2)
