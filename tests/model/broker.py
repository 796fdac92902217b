"""What Kafka keeps of the results, and of the owners' commits."""

import random
from itertools import count
from typing import Generic, TypeVar

from .words import Key, Result, SliceCommit, WindowCommit

C = TypeVar("C", SliceCommit, WindowCommit)


class Sink:
    """What lies on a sink, and what a reader makes of it: the highest (final, revision) of a key.

    Where retention cut the input, a final may hold less than a provisional result before it.
    """

    def __init__(self) -> None:
        self.log: list[tuple[Key, Result]] = []
        self.finals: dict[Key, set[Result]] = {}

    def put(self, key: Key, result: Result) -> None:
        self.log.append((key, result))
        if result.final:
            self.finals.setdefault(key, set()).add(result)

    def kept(self) -> list[tuple[Key, Result]]:
        """Return what is there for a reader who comes late: all of it, for a sink is cleaned by age alone."""
        return self.log

    def read(self) -> dict[Key, Result]:
        results: dict[Key, Result] = {}
        for key, result in self.kept():
            if key not in results or self.rank(result) > self.rank(results[key]):
                results[key] = result
        return results

    def rank(self, result: Result) -> tuple[int, int]:
        return result.final, result.count


class Commits(Generic[C]):
    """What Kafka has of each partition, and what its owner has sent and hasn't heard of yet.

    Kafka takes a commit or refuses it, for another worker has the partition. Whoever takes up the partition waits until
    that is known, and only then reads what is committed.

    A commit is too small for what it says, so it names a state, which is a record by itself: written before, each under
    a key of its own, and deleted once it is older than the last two commits that Kafka took.
    """

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)  # its own, so that histories stay as they are without it
        self.kept: dict[int, C] = {}
        self.sent: dict[int, tuple[C, int]] = {}
        self.back: list[int] = []  # partitions whose commit went back
        self.states: dict[int, C] = {}
        self.named: dict[int, int] = {}
        self.taken: dict[int, list[int]] = {}
        self.keys = count()

    def send(self, p: int, commit: C) -> None:
        self.land(p)
        self.sent[p] = commit, self.write(p, commit)
        if self.rng.random() < 0.8:
            self.land(p)

    def refuse(self, p: int, commit: C) -> None:
        """Take nothing of a worker that has lost the partition; what it wrote before it asked is there."""
        self.write(p, commit)

    def write(self, p: int, commit: C) -> int:
        key = self.key(p)
        self.states[key] = commit
        return key

    def key(self, p: int) -> int:  # noqa: ARG002 - it is no partition's
        return next(self.keys)

    def land(self, p: int) -> None:
        if p in self.sent:
            commit, self.named[p] = self.sent.pop(p)
            if p in self.kept and commit.upto < self.kept[p].upto:
                self.back.append(p)
            self.kept[p] = commit
            self.tidy(p)

    def tidy(self, p: int) -> None:
        taken = self.taken.setdefault(p, [])
        taken.append(self.named[p])
        for key in taken[:-2]:
            self.states.pop(key, None)
        del taken[:-2]

    def read(self, p: int) -> C:
        """Wait for what is under way; then nothing that was sent before arrives any more."""
        if self.rng.random() < 0.5:
            self.land(p)
        self.sent.pop(p, None)
        return self.found(p)

    def found(self, p: int) -> C:
        return self.states[self.named[p]] if p in self.named else self.kept[p]
