"""Derive the order of faults from a seed: every kind occurs once before any occurs again."""

import random
from collections.abc import Iterator, Sequence

from msgspec import Struct

# The pause between the recovery from a fault and the next fault. MIDST_SHARE of the faults are not waited for: after
# these, the pause is MIDST_SECONDS from the fault's end.
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
        Decides which process it affects, and for how long.
    """

    fault: str
    patient: bool
    pause_seconds: float
    seed: int


def blows(seed: int, faults: Sequence[str]) -> Iterator[Blow]:
    """Yield the faults of a seed, without end."""
    rng = random.Random(seed)
    while True:
        for fault in rng.sample(faults, len(faults)):
            patient = rng.random() >= MIDST_SHARE
            pause_seconds = rng.uniform(*(PAUSE_SECONDS if patient else MIDST_SECONDS))
            yield Blow(fault, patient, pause_seconds, rng.randrange(1 << 32))
