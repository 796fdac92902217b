"""The load beside a run burns, and ends with it."""

import resource
import time

from tickertape.stream.chaos.busy import busy
from tickertape.stream.chaos.run import Plan


def burnt_seconds() -> float:
    """Return the CPU time of child processes that have ended."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime


def test_it_burns_and_ends_with_the_run() -> None:
    before = burnt_seconds()
    with busy(2):
        time.sleep(1.0)
    # Those that had not ended would not count.
    assert burnt_seconds() > before + 0.05


def test_the_command_that_repeats_a_run_names_its_load() -> None:
    assert Plan(seed=7, busy=2).repro == "tickertape chaos --seed 7 --minutes 5 --workers 3 --busy 2"
    assert Plan(seed=7).repro == "tickertape chaos --seed 7 --minutes 5 --workers 3"
