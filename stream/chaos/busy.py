"""Put load on the machine during a run, as other programs would: processes that each keep a core busy."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# The process ends when its parent does, however the parent ends.
_BURN = """
import os
starter = os.getppid()
while os.getppid() == starter:
    sum(range(1_000_000))
"""


@contextmanager
def busy(cores: int) -> Iterator[None]:
    """Keep so many cores busy while the block runs."""
    burning = [subprocess.Popen([sys.executable, "-c", _BURN]) for _ in range(cores)]
    try:
        yield
    finally:
        for process in burning:
            process.kill()
            process.wait()
