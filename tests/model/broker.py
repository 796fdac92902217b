"""Kafka's part in the model: the results on a sink, and the owners' commits."""

import random
from itertools import count
from typing import Generic, TypeVar

from .words import Key, Result, SliceCommit, WindowCommit

C = TypeVar("C", SliceCommit, WindowCommit)


class Sink:
    """The results on a sink. A reader keeps, of each key, the result with the highest (final, revision).

    Final goes first: after retention has cut the input, a final may count less than a provisional result before it.
    """

    def __init__(self) -> None:
        self.log: list[tuple[Key, Result]] = []
        self.finals: dict[Key, set[Result]] = {}
        #: What a reader holds so far who has read everything.
        self.best: dict[Key, Result] = {}

    def put(self, key: Key, result: Result) -> None:
        self.log.append((key, result))
        if key not in self.best or self.rank(result) > self.rank(self.best[key]):
            self.best[key] = result
        if result.final:
            self.finals.setdefault(key, set()).add(result)

    def kept(self) -> list[tuple[Key, Result]]:
        """Return what a reader finds who starts late: everything, because a sink is cleaned only by age."""
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
    """The commit of each partition, and the commit that its owner has sent and that isn't answered yet.

    Kafka accepts a commit, or refuses it because another worker owns the partition. The next owner waits until that is
    decided, and only then reads the commit.

    A commit is too small for a state, so it names a record that holds the state. The record is written before the
    commit, each under a key of its own, and deleted once Kafka has accepted two newer commits.
    """

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)  # separate from the history's, which must not change
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
        """Refuse the commit of a worker that has lost the partition. The state that it wrote before stays."""
        self.write(p, commit)

    def write(self, p: int, commit: C) -> int:
        key = self.key(p)
        self.states[key] = commit
        return key

    def key(self, p: int) -> int:  # noqa: ARG002 - the key doesn't depend on the partition
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
        """Return the commit, after the one in flight has arrived or failed: no commit sent before arrives later."""
        if self.rng.random() < 0.5:
            self.land(p)
        self.sent.pop(p, None)
        return self.found(p)

    def found(self, p: int) -> C:
        return self.states[self.named[p]] if p in self.named else self.kept[p]
