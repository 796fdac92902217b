"""A worker: it sends each shard one record, with the frames of all its partitions.

A record is read as a whole, and its frames one after the other. So a shard is in the same state as if each partition
had sent its frames alone, and nothing in a record belongs to the worker: stamps, lanes and idle sources are those of
partitions. That is what makes a record harmless that holds frames of partitions that the worker has lost meanwhile.
"""

from collections.abc import Sequence

from .stage1 import Output, Owner
from .words import Frame, Sent


class Worker:
    """The partitions that one worker owns, or believes to own."""

    def __init__(self, owners: Sequence[Owner]) -> None:
        self.owners = owners

    def flush(self, everyone: bool) -> tuple[list[tuple[Owner, Output]], dict[int, Sent]]:
        """Return the output of each partition, and by shard the record to send.

        With `everyone`, every shard gets the frames of all partitions. Otherwise it gets those with rows for it.
        """
        outputs = [(owner, owner.flush(everyone)) for owner in self.owners]
        shards = sorted({shard for _, output in outputs for shard in output.frames})
        frames = {shard: [output.frames[shard] for _, output in outputs if shard in output.frames] for shard in shards}
        return outputs, {shard: self.record(of_shard) for shard, of_shard in frames.items()}

    def record(self, frames: list[Frame]) -> Sent:
        return tuple(frames)
