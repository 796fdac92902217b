"""Derive the order of faults from a seed: every kind occurs once before any occurs again."""

import random
from collections.abc import Iterator, Sequence

from msgspec import Struct

# Usually the run waits for the recovery from a fault, and then for PAUSE_SECONDS. After a share of the faults,
# MIDST_SHARE, it doesn't wait for the recovery: the next fault comes MIDST_SECONDS after the fault's end. Both are
# (least, most).
PAUSE_SECONDS = (0.5, 3.0)
MIDST_SECONDS = (0.2, 2.0)
MIDST_SHARE = 0.25


class Blow(Struct, frozen=True):
    """One scheduled fault.

    Attributes
    ----------
    fault
        The name of its kind.
    patient
        False if the next fault doesn't wait for the recovery from this one.
    pause_seconds
        The pause before the next fault.
    seed
        The seed of the fault's own choices: which process it affects, and for how long.
    """

    fault: str
    patient: bool
    pause_seconds: float
    seed: int


def blows(seed: int, faults: Sequence[str]) -> Iterator[Blow]:
    """Yield faults without end, in the order that the seed gives."""
    rng = random.Random(seed)
    while True:
        for fault in rng.sample(faults, len(faults)):
            patient = rng.random() >= MIDST_SHARE
            pause_seconds = rng.uniform(*(PAUSE_SECONDS if patient else MIDST_SECONDS))
            yield Blow(fault, patient, pause_seconds, rng.randrange(1 << 32))
