"""Runs ``tickertape``, and kills itself before the nth write or the nth commit: ``DIE="commit 3"``."""

import os
import signal
from typing import Any

from tickertape.stream.command_line.cli import main
from tickertape.stream.export import run, source

what, number = os.environ.get("DIE", "never 0").split()
left = int(number)
write, commit = run._Target.write, source.Source.commit


def die_if(now: str) -> None:
    global left
    if now == what:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


async def written(self: Any, batch: Any) -> int:
    die_if("write")
    return await write(self, batch)


async def committed(self: Any, position: Any) -> None:
    die_if("commit")
    await commit(self, position)


run._Target.write, source.Source.commit = written, committed  # type: ignore[method-assign]  # that is the purpose
main()
