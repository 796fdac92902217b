"""Runs ``tickertape`` with short pauses, and kills itself before or after the nth fact of a kind: ``before Sent 1``.

Before `Sent` is recorded, the message has been sent already; after `Sending`, it has not.
"""

import os
import signal
from typing import Any

from tickertape.schemas.alert import Fact
from tickertape.stream.alerts import run, sender
from tickertape.stream.alerts.define import http
from tickertape.stream.command_line.cli import main

http.REQUEST_SECONDS = 2.0
sender.FIRST_PAUSE_SECONDS = 0.1
when, what, number = os.environ.get("DIE", "never - 0").split()
left = int(number)


def die_if(now: str, fact: Fact) -> None:
    global left
    if (now, type(fact).__name__) == (when, what):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


note, record = run.Book.note, run.Book.record


def noted(self: run.Book, facts: Any) -> None:
    for fact in list(facts):
        die_if("before", fact)
        note(self, [fact])


async def recorded(self: run.Book, fact: Fact) -> None:
    await record(self, fact)
    die_if("after", fact)


run.Book.note, run.Book.record = noted, recorded  # type: ignore[method-assign]  # that is the purpose
main()
