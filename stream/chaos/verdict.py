"""What a run came to: everything that it left, held to the truth."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, field

from tickertape.schemas.checkpoint import slices_from, told_in, windows_from
from tickertape.schemas.topics import SLICES
from tickertape.stream.chaos.feed import Plan, record
from tickertape.stream.chaos.logs import Commit, Sent
from tickertape.stream.chaos.truth import Key, Truth
from tickertape.stream.kafka.admin.topics import PartitionState, TopicState

# A fold's rounding against an exact sum; everything else agrees to the last bit.
RELATIVE = 1e-11
SUMS = frozenset(("volume", "notional", "vwap", "buy_volume", "buy_share", "realised_volatility"))

# So many of a kind have to leave a trace.
ENOUGH = 2

TALLIES = ("counted", "late", "rejected", "repeated", "heartbeats")


class Held(Struct):
    """What a reader of ``bars`` holds in the end.

    Attributes
    ----------
    bars
        Of each key the highest (final, revision).
    changed
        Keys of which two finals differ: the log decides what a final is, so whoever publishes it publishes the same.
    """

    bars: dict[Key, dict[str, Any]] = field(default_factory=dict)
    changed: set[bytes] = field(default_factory=set)


class Holder:
    """Makes `Held` of the records of ``bars``, in order."""

    def __init__(self) -> None:
        self.held = Held()
        self._finals: dict[bytes, bytes] = {}

    def add(self, key: bytes, value: bytes) -> None:
        bar = msgspec.json.decode(value)
        name = bar.pop("symbol"), bar.pop("source"), bar.pop("resolution"), bar.pop("start_ms")
        before = self.held.bars.get(name)
        if before is None or (bar["final"], bar["revision"]) >= (before["final"], before["revision"]):
            self.held.bars[name] = bar
        if bar["final"] and self._finals.setdefault(key, value) != value:
            self.held.changed.add(key)


def of_bars(held: Held, truth: Mapping[Key, dict[str, Any]]) -> Iterator[str]:
    """Yield what is wrong with the bars."""
    for key in sorted(truth.keys() - held.bars.keys()):
        yield f"{_name(key)}: no such bar, and {truth[key]['count']} trades belong to it"
    for key in sorted(held.bars.keys() - truth.keys()):
        yield f"{_name(key)}: there is a bar, and no trade belongs to it"
    for key in sorted(truth.keys() & held.bars.keys()):
        wrong = [
            f"{name} is {held.bars[key].get(name)!r}, not {value!r}"
            for name, value in truth[key].items()
            if not _agree(name, held.bars[key].get(name), value)
        ]
        if wrong:
            yield f"{_name(key)}: {', '.join(wrong)}"
    for name in sorted(held.changed):
        yield f"{name.decode()}: two finals of it differ"


def _agree(name: str, found: Any, value: Any) -> bool:
    return math.isclose(found, value, rel_tol=RELATIVE) if name in SUMS else bool(found == value)


def _name(key: Key) -> str:
    return "|".join(map(str, key))


def of_tallies(partitions: Sequence[PartitionState], truth: Truth) -> Iterator[str]:
    """Yield where a partition isn't read to its end, or its records aren't what they should be."""
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
    """Yield which of a topic's partitions aren't read to their end."""
    for state in topic.partitions:
        if state.upto != state.end:
            yield f"{topic.name}, partition {state.partition}: read to {state.upto} of {state.end}"


def of_refused(topic: str, found: Iterable[tuple[int, int]], expected: set[tuple[int, int]]) -> Iterator[str]:
    """Yield what is missing on ``late`` or ``dead-letters``, and what doesn't belong there."""
    told = set(found)
    for partition, offset in sorted(expected - told):
        yield f"{topic}: trades, partition {partition}, offset {offset} is missing"
    for partition, offset in sorted(told - expected):
        yield f"{topic}: trades, partition {partition}, offset {offset} doesn't belong there"


def of_feed(plan: Plan, values: set[bytes]) -> Iterator[str]:
    """Yield what a feed sent and the log doesn't have."""
    for n in range(int(plan.noted.read_text())):
        if record(plan, n).value not in values:
            yield f"feed {plan.source}: record {n} was acknowledged, and is not in the log"


def of_commits(commits: Iterable[Commit]) -> Iterator[str]:
    """Yield where a commit goes back, or its tallies don't add up to what had been read."""
    newest: dict[tuple[str, int], int] = {}
    for commit in commits:
        part, at = (commit.topic, commit.partition), f"{commit.topic}, partition {commit.partition}"
        upto = _upto(commit)
        if upto < newest.get(part, 0):
            yield f"{at}: a commit goes back from {newest[part]} to {upto}"
        newest[part] = max(upto, newest.get(part, 0))
        if commit.topic != SLICES.name:
            saved = slices_from(told_in(commit.metadata))
            assert saved is not None
            total = sum(msgspec.structs.astuple(saved.tallies))
            if total != upto - saved.start:
                yield f"{at}: at {upto} the tallies add up to {total}"


def read_again(commits: Iterable[Commit], taken_up: Iterable[tuple[str, int, int]]) -> Counter[str]:
    """Return by topic how many records were read again at least, by workers that took up where others had committed."""
    upto: dict[tuple[str, int, int], int] = {}
    for commit in commits:
        place = commit.topic, commit.partition, commit.offset
        # The offset stands while the oldest slice is open; which of its commits was met isn't known.
        upto[place] = min(upto.get(place, _upto(commit)), _upto(commit))
    again: Counter[str] = Counter()
    for place in taken_up:
        again[place[0]] += upto.get(place, place[2]) - place[2]
    return again


def zombie_frames(frames: Iterable[Sent]) -> int:
    """Return how many frames came from a worker that had been replaced, of what it had read before that.

    Of a partition's frames in a shard: another producer's have come since this one's, and this one is not even where
    that one began.
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
    """Yield which faults struck without a trace, so that the run proves less than it seems to."""
    # One may meet a worker that had committed just then, or had nothing.
    if faults.get("kill", 0) + faults.get("kill-all", 0) >= ENOUGH and not read_again:
        yield "workers were killed, and nothing was read again"
    if faults.get("forget", 0) and not refused:
        yield "workers were forgotten by Kafka, and no commit was refused"
    if faults.get("freeze", 0) >= ENOUGH and not refused + given_up:
        yield "workers were frozen until they had been replaced, and no commit was refused or given up"
    if faults.get("freeze", 0) >= ENOUGH and not zombie_frames:
        yield "workers were frozen until they had been replaced, and none published as a zombie"


def _upto(commit: Commit) -> int:
    saved = (windows_from if commit.topic == SLICES.name else slices_from)(told_in(commit.metadata))
    assert saved is not None, commit
    return saved.upto
