"""Load beside a run: processes that each keep a core busy, as a machine with other work has them."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# It ends with whoever started it, however that ends.
_BURN = """
import os
starter = os.getppid()
while os.getppid() == starter:
    sum(range(1_000_000))
"""


@contextmanager
def busy(cores: int) -> Iterator[None]:
    """Keep so many cores busy."""
    burning = [subprocess.Popen([sys.executable, "-c", _BURN]) for _ in range(cores)]
    try:
        yield
    finally:
        for process in burning:
            process.kill()
            process.wait()
