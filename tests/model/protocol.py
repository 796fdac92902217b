"""The protocol of Tickertape, as a model that runs.

`words` is what travels; `stage1` and `stage2` are the two owners, and the whole protocol; `truth` says from the logs
alone what must come out; `world` runs them through a random history, with what `feeds` write and the `broker` keeps;
`mutations` is what one could get wrong.

What holds, by class of history:

steady, settings
    Every final that anyone ever publishes is the truth, and in the end every result is final. Another lateness comes
    only when nobody has published past the commit.
growth
    So it is where partitions are added, heartbeats are few, and no owner's metadata ever tells of them.
outages
    Sources fall silent and catch up. With no horizon, the results in the end are the truth, after corrections.
horizon
    So it is with a horizon and sources that join late, but for results that were reported overdue: they hold less.
sources
    So it is where a partition has room for two sources, and those that fell silent make room: who comes back begins
    where the furthest of those was.
retention
    A result that isn't marked incomplete or reported overdue is the truth as if nothing had been lost. If nobody had
    published past the commit, a marked one holds what the tallies call counted; else at most what there was.

In all of them tallies always add up, and they, the late records and the dead letters are the truth's; and no event
counts in two partitions.

Run: python -m tests.model.protocol [histories]
"""

import sys

from .mutations import MUTATIONS
from .world import World

MOST = 3000


def caught_at(name: str) -> int | None:
    """Return the first history that shows the mutation."""
    kind, world = MUTATIONS[name]
    return next((seed for seed in range(MOST) if fails(world, seed, kind)), None)


def fails(world: type[World], seed: int, kind: str = "") -> bool:
    try:
        return bool(world(seed, kind).run())
    except (KeyError, IndexError):  # a mutation may lose track altogether
        if world is World:
            raise
        return True


def main() -> int:
    histories = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    wrong = [seed for seed in range(histories) if fails(World, seed)]
    print(f"{histories} histories, {len(wrong)} differ from the truth {wrong[:5]}")
    never = 0
    for name in MUTATIONS:
        seed = caught_at(name)
        never += seed is None
        print(f"  {name}: {'NEVER caught' if seed is None else f'caught by history {seed}'}", flush=True)
    return bool(wrong or never)


if __name__ == "__main__":
    sys.exit(main())
