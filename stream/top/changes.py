"""What happened between two moments of a pipeline, in words."""

from collections.abc import Iterator

from tickertape.stream.top.tables import parts
from tickertape.stream.watch.state import State


def changes(before: State, after: State) -> Iterator[str]:
    """Yield a line for each worker that came or went, and each takeover, rebalance and new partition."""
    had, has = ({worker.name for worker in state.workers} for state in (before, after))
    for name in sorted(had - has):
        yield f"worker {name} is gone"
    for name in sorted(has - had):
        yield f"worker {name} has joined"
    if before.stable and not after.stable:
        yield "the workers share the partitions anew"
    yield from _takeovers(before, after)
    counts = {topic.name: len(topic.partitions) for topic in before.topics}
    for topic in after.topics:
        earlier = counts.get(topic.name)
        if earlier is not None and len(topic.partitions) > earlier:
            yield f"{topic.name} has {len(topic.partitions)} partitions, {earlier} before"


def _takeovers(before: State, after: State) -> Iterator[str]:
    owners = {(topic.name, part.partition): part.owner for topic, part in parts(before)}
    moved: dict[str, dict[str, int]] = {}
    for topic, part in parts(after):
        earlier = owners.get((topic.name, part.partition), part.owner)
        if part.owner is not None and part.owner != earlier:
            topics = moved.setdefault(part.owner, {})
            topics[topic.name] = topics.get(topic.name, 0) + 1
    for name, taken in sorted(moved.items()):
        yield f"{name} took over " + ", ".join(f"{count} of {topic}" for topic, count in sorted(taken.items()))
