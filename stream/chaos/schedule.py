"""From a seed, what strikes next: every kind comes once before any comes again."""

import random
from collections.abc import Iterator, Sequence

from msgspec import Struct

# After a fault the next one waits for this long once all is well again, or strikes into its midst.
PAUSE_SECONDS = (0.5, 3.0)
MIDST_SECONDS = (0.2, 2.0)
MIDST_SHARE = 0.25


class Blow(Struct, frozen=True):
    """One fault.

    Attributes
    ----------
    fault
        Its name.
    patient
        False: the next strikes before this one is recovered from.
    pause_seconds
        Before the next.
    seed
        Decides whom it strikes, and for how long.
    """

    fault: str
    patient: bool
    pause_seconds: float
    seed: int


def blows(seed: int, faults: Sequence[str]) -> Iterator[Blow]:
    """Yield what a seed has in store, without end."""
    rng = random.Random(seed)
    while True:
        for fault in rng.sample(faults, len(faults)):
            patient = rng.random() >= MIDST_SHARE
            pause_seconds = rng.uniform(*(PAUSE_SECONDS if patient else MIDST_SECONDS))
            yield Blow(fault, patient, pause_seconds, rng.randrange(1 << 32))
