"""The protocol of Tickertape, as a model that runs.

=============  ==========================================================================
module         contents
=============  ==========================================================================
`words`        what is sent and stored: records, frames, commits, results
`stage1`       the owner of an input partition
`fast_lane`    the provisional results that this owner publishes itself
`worker`       the record in which a worker sends the frames of its partitions
`stage2`       the owner of a shard
`feeds`        the sources, which write the input
`broker`       the sink and the commits
`world`        runs all of them through a random history
`truth`        the expected output, from the logs alone
`mutations`    bugs in the protocol, which the histories have to show
=============  ==========================================================================

What is checked, by class of history:

steady
    Every final that any owner ever publishes is the truth, and in the end every result is final.
settings
    The same, when the lateness changes. It changes only if nobody has published past the commit.
growth
    The same, when partitions are added, heartbeats are few, and the owners' metadata never includes the added ones.
outages
    Sources fall silent and catch up. Without a horizon, results are the truth in the end, after corrections.
horizon
    The same, with a horizon and sources that join late, except for results that were reported overdue: they count less.
sources
    The same, when a partition has room for two sources and silent ones are evicted. A source that returns begins at the
    greatest frontier of the evicted lanes.
retention
    A result that isn't marked incomplete or reported overdue is the truth as if nothing had been lost. If nobody had
    published past the commit, a marked result has what the tallies call counted; else it has at most what there was.
lanes
    As in `steady`, but some sources promise nothing of where their symbols lie, and some feeds follow a step late.

In all classes: tallies always add up; tallies, late records and dead letters equal the truth; and no event counts in
two partitions. Every result of the fast lane is what its revision stands for, see `World.wrong_shown`. What a shard has
flushed, a reader finds, from the shard or from the fast lane.

Run: python -m tests.model.protocol [histories]
"""

import sys

from .mutations import MUTATIONS
from .world import World

MOST = 3000


def caught_at(name: str) -> int | None:
    """Return the seed of the first history that shows the mutation, or None."""
    kind, world = MUTATIONS[name]
    return next((seed for seed in range(MOST) if fails(world, seed, kind)), None)


def fails(world: type[World], seed: int, kind: str = "") -> bool:
    try:
        return bool(world(seed, kind).run())
    except (KeyError, IndexError):  # a mutation may break the model itself
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
