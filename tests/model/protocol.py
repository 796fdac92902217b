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

Run: python -m tests.model.protocol [--record] [histories]
"""

import argparse
import json
import sys
from itertools import chain
from pathlib import Path

from .mutations import MUTATIONS
from .world import World

MOST = 3000
#: The histories that showed the rarest mutations. They are tried first: the search for one takes up to a minute.
RARE = Path(__file__).with_name("rare.json")
#: From which history on a mutation is rare.
RARE_FROM = 30


def caught_at(name: str, first: int | None = None) -> int | None:
    """Return the seed of a history that shows the mutation, or None.

    Parameters
    ----------
    name
        The mutation.
    first
        The seed to try before all others.
    """
    kind, world = MUTATIONS[name]
    seeds = chain(() if first is None else (first,), range(MOST))
    return next((seed for seed in seeds if fails(world, seed, kind)), None)


def rare() -> dict[str, int]:
    """Return the recorded seeds, by mutation."""
    found: dict[str, int] = json.loads(RARE.read_text())
    return found


def fails(world: type[World], seed: int, kind: str = "") -> bool:
    try:
        return bool(world(seed, kind).run())
    except (KeyError, IndexError):  # a mutation may break the model itself
        if world is World:
            raise
        return True


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.model.protocol", description="Run the model, and all its mutations.")
    parser.add_argument("histories", nargs="?", type=int, default=20_000, help="how many are run without a mutation")
    parser.add_argument("--record", action="store_true", help="write which histories show the rarest mutations")
    arguments = parser.parse_args()
    wrong = [seed for seed in range(arguments.histories) if fails(World, seed)]
    print(f"{arguments.histories} histories, {len(wrong)} differ from the truth {wrong[:5]}")
    caught = {}
    for name in MUTATIONS:
        caught[name] = seed = caught_at(name)
        print(f"  {name}: {'NEVER caught' if seed is None else f'caught by history {seed}'}", flush=True)
    if arguments.record:
        found = {name: seed for name, seed in caught.items() if seed is not None and seed >= RARE_FROM}
        RARE.write_text(json.dumps(found, indent=2) + "\n")
    return bool(wrong or None in caught.values())


if __name__ == "__main__":
    sys.exit(main())
