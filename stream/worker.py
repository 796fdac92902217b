"""One worker process: the Faust app, run until it is told to stop."""

import asyncio
import logging
import sys

from faust import Worker

from stream.app import Pipeline
from stream.settings import Settings


def run(settings: Settings, slot: str, loglevel: str = "info") -> None:
    """Run a worker until SIGTERM or SIGINT; it drains, commits, and exits.

    Parameters
    ----------
    settings
        The settings; ``broker`` is set.
    slot
        Its name among the workers.
    """
    # The default lets the reading thread wait 5 ms for the interpreter.
    sys.setswitchinterval(0.001)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    app = Pipeline(settings, slot)
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    worker = Worker(app, loglevel=loglevel, loop=loop, redirect_stdouts=False, quiet=True)
    worker.execute_from_commandline()
