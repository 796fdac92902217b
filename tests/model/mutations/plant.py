"""Registers bugs: each is a world with one type replaced, and the class of histories that shows it."""

from collections.abc import Callable

from .. import stage1, stage2
from ..broker import Commits, Sink
from ..feeds import Feeds
from ..worker import Worker
from ..world import World

MUTATIONS: dict[str, tuple[str, type[World]]] = {}


def mutation(name: str, kind: str = "steady") -> Callable[[type], type]:
    """Register a class as a mutation: a world, or a subclass of one of the world's types or of the shard's view."""

    def register(part: type) -> type:
        places: dict[type, str] = {
            stage1.Owner: "owner_type",
            stage2.Shard: "shard_type",
            Sink: "sink_type",
            Feeds: "feeds_type",
            Commits: "commits_type",
            Worker: "worker_type",
        }
        if issubclass(part, World):
            world = part
        elif issubclass(part, stage2.View):
            world = type(name, (World,), {"shard_type": type(name, (stage2.Shard,), {"view_type": part})})
        else:
            place = next(place for base, place in places.items() if issubclass(part, base))
            world = type(name, (World,), {place: part})
        MUTATIONS[name] = kind, world
        return part

    return register
