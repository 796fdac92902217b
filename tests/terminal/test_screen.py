"""The screen's keys: read only from a terminal that listens to this process."""

import os
import pty
import sys

import pytest
from rich.console import Console

from tickertape.stream.terminal.screen import Screen


def test_a_terminal_of_another_session_has_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0), os.fdopen(theirs, "r+b", buffering=0) as keyboard:
        monkeypatch.setattr(sys, "stdin", keyboard)
        with Screen(Console(file=sys.stderr, force_terminal=True)).keys(pytest.fail):
            pass
