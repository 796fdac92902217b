"""Compare the records and commits of a run with what the oracle expects."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, field

from tickertape.schemas.checkpoint import checkpoint_in, slices_from, windows_from
from tickertape.schemas.topics import SLICES
from tickertape.stream.chaos.oracle.feed import Plan, record
from tickertape.stream.chaos.oracle.logs import Commit, Sent
from tickertape.stream.chaos.oracle.truth import RESOLUTIONS, Key, Position, Truth
from tickertape.stream.kafka.admin.topics import PartitionState, TopicState

# The relative tolerance for SUMS: the engine's folds round, and the oracle's sums are exact. All other fields must
# agree bit by bit.
RELATIVE = 1e-11
SUMS = frozenset(("volume", "notional", "vwap", "buy_volume", "buy_share", "realised_volatility"))

# From this many kills or freezes on, at least one must have left a trace.
ENOUGH = 2

FINEST = "1s"

TALLIES = ("counted", "late", "rejected", "repeated", "heartbeats", "bundles", "bundled")


class Held(Struct):
    """The bars that a reader of the topic ``bars`` keeps once it has read all records.

    Attributes
    ----------
    bars
        The bar with the highest (final, revision) of each key.
    changed
        Keys with differing finals. This is an error: the log alone decides a final, so every worker must publish the
        same.
    ambiguous
        Finest bars, by key, of which two provisional records have the same revision and differ. If all trades of the
        bar are in one partition, this is an error: its first trades are the same for the fast lane and for a shard.
    highest
        By key, the highest revision of a provisional record.
    """

    bars: dict[Key, dict[str, Any]] = field(default_factory=dict)
    changed: set[bytes] = field(default_factory=set)
    ambiguous: set[Key] = field(default_factory=set)
    highest: dict[Key, int] = field(default_factory=dict)


class Holder:
    """Builds `Held` from the records of ``bars``, in order."""

    def __init__(self) -> None:
        self.held = Held()
        self._finals: dict[bytes, bytes] = {}
        self._provisional: dict[tuple[bytes, int], bytes] = {}

    def add(self, key: bytes, value: bytes) -> None:
        bar = msgspec.json.decode(value)
        name = bar.pop("symbol"), bar.pop("source"), bar.pop("resolution"), bar.pop("start_ms")
        before = self.held.bars.get(name)
        if before is None or (bar["final"], bar["revision"]) >= (before["final"], before["revision"]):
            self.held.bars[name] = bar
        if bar["final"]:
            if self._finals.setdefault(key, value) != value:
                self.held.changed.add(key)
            return
        self.held.highest[name] = max(bar["revision"], self.held.highest.get(name, 0))
        if name[2] == FINEST and self._provisional.setdefault((key, bar["revision"]), value) != value:
            self.held.ambiguous.add(name)


def of_bars(held: Held, truth: Mapping[Key, dict[str, Any]]) -> Iterator[str]:
    """Yield the differences between the bars read and those that the oracle expects."""
    for key in sorted(truth.keys() - held.bars.keys()):
        yield f"{_name(key)}: no bar, though {truth[key]['count']} trades belong to it"
    for key in sorted(held.bars.keys() - truth.keys()):
        yield f"{_name(key)}: a bar, though no trade belongs to it"
    for key in sorted(truth.keys() & held.bars.keys()):
        wrong = [
            f"{name} is {held.bars[key].get(name)!r}, not {value!r}"
            for name, value in truth[key].items()
            if not _agree(name, held.bars[key].get(name), value)
        ]
        if wrong:
            yield f"{_name(key)}: {', '.join(wrong)}"
    for name in sorted(held.changed):
        yield f"{name.decode()}: two of its final records differ"


def of_provisional(held: Held, borders_ms: Iterable[int]) -> Iterator[str]:
    """Yield the bars whose provisional records contradict each other or the final record.

    Parameters
    ----------
    held
        The bars.
    borders_ms
        The times at which the number of partitions changed. A bar with such a time within may lie on two partitions.
    """
    for key in sorted(held.ambiguous):
        start_ms = key[3]
        if not any(start_ms < border_ms < start_ms + RESOLUTIONS[FINEST] for border_ms in borders_ms):
            yield f"{_name(key)}: two of its provisional records have the same revision and differ"
    for key, revision in sorted(held.highest.items()):
        if (bar := held.bars[key])["final"] and revision > bar["revision"]:
            yield f"{_name(key)}: a provisional record has revision {revision}, and the final one {bar['revision']}"


def _agree(name: str, found: Any, value: Any) -> bool:
    return math.isclose(found, value, rel_tol=RELATIVE) if name in SUMS else bool(found == value)


def _name(key: Key) -> str:
    return "|".join(map(str, key))


def of_tallies(partitions: Sequence[PartitionState], truth: Truth) -> Iterator[str]:
    """Yield the partitions that aren't read to their end, or whose tallies are wrong."""
    for state in partitions:
        at = f"trades, partition {state.partition}"
        if state.upto != state.end or state.tallies is None:
            yield f"{at}: read to {state.upto} of {state.end}"
            continue
        expected = {name: truth.tallies[state.partition][name] for name in TALLIES}
        found = {name: count for name, count in state.tallies.items() if count or name in TALLIES}
        if found != expected:
            yield f"{at}: the tallies are {found}, not {expected}"


def of_reading(topic: TopicState) -> Iterator[str]:
    """Yield the partitions of a topic that aren't read to their end."""
    for state in topic.partitions:
        if state.upto != state.end:
            yield f"{topic.name}, partition {state.partition}: read to {state.upto} of {state.end}"


def of_refused(topic: str, found: Iterable[Position], expected: set[Position]) -> Iterator[str]:
    """Yield the records that are missing on ``late`` or ``dead-letters``, and those that don't belong there."""
    told = set(found)
    for position in sorted(expected - told, key=str):
        yield f"{topic}: {_place(position)} is missing"
    for position in sorted(told - expected, key=str):
        yield f"{topic}: {_place(position)} doesn't belong there"


def _place(position: Position) -> str:
    partition, offset, index = position
    return f"trades, partition {partition}, offset {offset}" + ("" if index is None else f", event {index}")


def of_feed(plan: Plan, values: set[bytes]) -> Iterator[str]:
    """Yield the acknowledged records of a feed that aren't in the log."""
    for n in range(int(plan.noted.read_text())):
        if record(plan, n).value not in values:
            yield f"feed {plan.source}: record {n} was acknowledged but is not in the log"


def of_commits(commits: Iterable[Commit]) -> Iterator[str]:
    """Yield the commits that go back behind an earlier one, or whose tallies don't add up to the records read."""
    newest: dict[tuple[str, int], int] = {}
    for commit in commits:
        part, at = (commit.topic, commit.partition), f"{commit.topic}, partition {commit.partition}"
        upto = _upto(commit)
        if upto < newest.get(part, 0):
            yield f"{at}: a commit goes back from {newest[part]} to {upto}"
        newest[part] = max(upto, newest.get(part, 0))
        if commit.topic != SLICES.name:
            saved = slices_from(checkpoint_in(commit.metadata))
            assert saved is not None
            total = saved.tallies.offsets
            if total != upto - saved.start:
                yield f"{at}: at {upto} the tallies add up to {total}"


def read_again(commits: Iterable[Commit], taken_up: Iterable[tuple[str, int, int]]) -> Counter[str]:
    """Return, by topic, how many records the new owners of partitions read again, at least."""
    upto: dict[tuple[str, int, int], int] = {}
    for commit in commits:
        place = commit.topic, commit.partition, commit.offset
        # While the oldest slice is open, several commits have the same offset. Which of them the new owner loaded isn't
        # known, so the one with the lowest `upto` counts.
        upto[place] = min(upto.get(place, _upto(commit)), _upto(commit))
    again: Counter[str] = Counter()
    for place in taken_up:
        again[place[0]] += upto.get(place, place[2]) - place[2]
    return again


def zombie_frames(frames: Iterable[Sent]) -> int:
    """Return how many frames workers sent after they had been replaced, from records that they had read before.

    Such a frame comes from a former owner of the partition: another producer has sent frames of the same partition to
    the same shard since then, and this frame's `upto` is below the first that the other producer sent.
    """
    owner: dict[tuple[int, str, int], tuple[int, int]] = {}
    former: set[tuple[int, str, int, int]] = set()
    zombies = 0
    for shard, producer, frame in frames:
        place = shard, frame.topic, frame.partition
        now, began = owner.get(place, (producer, frame.upto))
        if producer != now and frame.upto < began and (*place, producer) in former:
            zombies += 1
            continue
        if producer != now or place not in owner:
            owner[place] = producer, frame.upto
            former.add((*place, producer))
    return zombies


def of_bites(
    faults: Mapping[str, int], *, read_again: int, refused: int, given_up: int, zombie_frames: int
) -> Iterator[str]:
    """Yield a line for each kind of fault that left no trace. Without traces, a run proves less than it seems to."""
    # A single fault may hit a worker that has just committed, or that owns nothing.
    if faults.get("kill", 0) + faults.get("kill-all", 0) >= ENOUGH and not read_again:
        yield "workers were killed, but nothing was read again"
    # On a busy machine a worker may hear by a heartbeat that it was removed, before it commits.
    if faults.get("forget", 0) and not refused + given_up:
        yield "workers were removed from the group, but no commit was refused or given up"
    if faults.get("freeze", 0) >= ENOUGH and not refused + given_up:
        yield "workers were frozen until they had been replaced, but no commit was refused or given up"
    if faults.get("freeze", 0) >= ENOUGH and not zombie_frames:
        yield "workers were frozen until they had been replaced, but none sent a frame as a zombie"


def _upto(commit: Commit) -> int:
    saved = (windows_from if commit.topic == SLICES.name else slices_from)(checkpoint_in(commit.metadata))
    assert saved is not None, commit
    return saved.upto
