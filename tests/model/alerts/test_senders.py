"""In every random history each alert is sent, and again only where that can't be known; every planted bug shows."""

import pytest

from .senders import wrong

HISTORIES = 400
BUGS = (
    "one key for all facts",
    "the position before the facts",
    "what it holds isn't recorded",
    "the outcome before the sending",
    "the outcome isn't recorded",
    "no claim",
)


def test_each_alert_is_sent_once_or_again_only_where_nobody_can_know() -> None:
    assert {seed: found for seed in range(HISTORIES) if (found := wrong(seed))} == {}


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_shows(bug: str) -> None:
    assert any(wrong(seed, bug) for seed in range(HISTORIES))
