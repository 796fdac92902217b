"""Joint series: `all` and the only source have one series, and no result tells that they do."""

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.derived.test_recursion import DECAY
from tests.engine.derived.test_rolling import SLIDING
from tickertape.stream.engine.core.results import Finals, Results, WindowKey
from tickertape.stream.engine.derived.correctable_series import CorrectableSeries
from tickertape.stream.engine.derived.recursion import RecursionSeries
from tickertape.stream.engine.derived.rolling import RollingSeries
from tickertape.stream.engine.derived.series import Series

# Narrower than a block, as wide as one, and with a middle of one block or of several, which begins with a block or not.
WIDTHS = {"3s": 3000, "10s": 10_000, "25s": 25_000, "40s": 40_000}
BEGIN_MS = 1_700_000_000_000
#: How long a window may be corrected, in seconds.
HORIZON = 15


class Sliding(RollingSeries):
    def __init__(self) -> None:
        super().__init__(SLIDING, WIDTHS)


class Alone(Sliding):
    """Has a series of its own for all sources together."""

    _joins = False


class Decaying(RecursionSeries):
    def __init__(self) -> None:
        super().__init__(DECAY, ("1s",))


class DecayingAlone(Decaying):
    _joins = False


class Market:
    """Windows of 1 s of two sources, and of both together, which are final at times of their own.

    Parameters
    ----------
    seed
        Of the random numbers that decide what happens.
    second_source
        From which second on there is a source t, beside s.
    """

    def __init__(self, seed: int, *, second_source: int, whole: bool) -> None:
        self.rng = np.random.default_rng(seed)
        self.at = 0
        self._second_source = second_source
        self._whole = whole
        self.values: dict[tuple[str, str, int], float] = {}
        self._due: list[tuple[str, int]] = []

    def settled_ms(self, shard: int, source: str) -> int:
        assert shard == 0
        first = min((at for _, at in self._due), default=self.at) if source == "all" else self.at
        return BEGIN_MS + 1000 * min(first, self.at - HORIZON)

    def published_ms(self, shard: int, source: str) -> int:  # noqa: ARG002 - there is no earlier owner
        return 0

    def _value(self) -> float:
        return float(self.rng.integers(1, 1000)) if self._whole else float(self.rng.random()) + 0.1

    def step(self) -> Finals:
        """Return the windows that have become final, or were corrected."""
        sources = ["s"] if self.at < self._second_source else ["s", "t"]
        due: dict[tuple[str, str, int], None] = {}
        for at in range(self.at, self.at + int(self.rng.choice([1, 1, 1, 4, 30]))):
            for symbol in "ABC":
                some = [source for source in sources if self.rng.random() < 0.7]
                self.values |= {(symbol, source, at): self._value() for source in some}
                due |= dict.fromkeys((symbol, source, at) for source in some)
                self._due += [(symbol, at)] * bool(some)
            self.at = at + 1
        if self.rng.random() < 0.3:
            recent = [key for key in self.values if key[2] >= self.at - HORIZON]
            for i in self.rng.choice(len(recent), min(len(recent), 2), replace=False).tolist():
                symbol, _, at = recent[i]
                self.values[recent[i]] = self._value()
                due[recent[i]] = None
                if (symbol, at) not in self._due:
                    due[symbol, "all", at] = None
        if self._due and self.rng.random() < 0.6:
            upto = self.at if self.rng.random() < 0.7 else int(self.rng.integers(self._due[0][1], self.at + 1))
            due |= dict.fromkeys((symbol, "all", at) for symbol, at in self._due if at < upto)
            self._due = [one for one in self._due if one[1] >= upto]
        return self._finals(sorted(due, key=lambda key: (key[2], self.rng.random())))

    def close(self) -> Finals:
        due = [(symbol, "all", at) for symbol, at in self._due]
        self._due = []
        return self._finals(due)

    def windows(self, symbol: str, source: str, at: int) -> list[float]:
        sources = "st" if source == "all" else source
        return [self.values[symbol, one, at] for one in sources if (symbol, one, at) in self.values]

    def _finals(self, due: list[tuple[str, str, int]]) -> Finals:
        keys: list[WindowKey] = [(symbol, source, "1s", BEGIN_MS + 1000 * at) for symbol, source, at in due]
        held = [self.windows(*key) for key in due]
        n = len(keys)
        columns = {
            "total": np.array([sum(values) for values in held], np.float64),
            "last": np.array([values[-1] for values in held], np.float64),
            "count": np.array([len(values) for values in held], np.int64),
            "revision": np.array([len(values) for values in held], np.int64),
            "incomplete": np.array([at % 67 == 66 for *_, at in due], np.bool_),
            "width_ms": np.full(n, 1000),
        }
        return Finals(keys, np.zeros(n, np.int64), columns)


def run(follower: type[CorrectableSeries[Series]] | type[Sliding], market: Market, restarts: int) -> dict[bytes, bytes]:
    """Return the newest record by key; the follower goes on from a snapshot some times."""
    chances, published = np.random.default_rng(restarts), dict[bytes, bytes]()
    one = follower()  # type: ignore[call-arg]  # the followers here need no arguments
    one.assign(0, None, anew=False)
    for _ in range(40):
        published |= {key: value for _, _, key, value in Results(one.follow(market.step(), market)[1])}
        if chances.random() < 0.15:
            kept = one.snapshot(0, market)
            one = follower()  # type: ignore[call-arg]  # as above
            one.assign(0, kept, anew=False)
    published |= {key: value for _, _, key, value in Results(one.follow(market.close(), market)[1])}
    return published


@pytest.mark.parametrize(("joint", "alone"), [(Sliding, Alone), (Decaying, DecayingAlone)])
@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 20, 70, 10_000]), st.integers(0, 2**32 - 1), st.booleans())
def test_results_are_the_same_to_the_last_bit(
    joint: type[Sliding], alone: type[Sliding], seed: int, second_source: int, restarts: int, quiet: bool
) -> None:
    found = run(joint, Market(seed, second_source=second_source, whole=False), 0 if quiet else restarts)
    assert found == run(alone, Market(seed, second_source=second_source, whole=False), restarts)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 20, 10_000]), st.integers(0, 2**32 - 1))
def test_sliding_windows_are_what_plain_python_finds(seed: int, second_source: int, restarts: int) -> None:
    market = Market(seed, second_source=second_source, whole=True)
    found = {key: msgspec.json.decode(value) for key, value in run(Sliding, market, restarts).items()}
    starts: dict[tuple[str, str], set[int]] = {}
    for symbol, source, at in market.values:
        for name in (source, "all"):
            starts.setdefault((symbol, name), set()).add(at)
    wanted = {}
    for (symbol, source), some in starts.items():
        for end in some:
            row = {}
            for name, width_ms in WIDTHS.items():
                mine = [market.windows(symbol, source, at) for at in sorted(some) if end - width_ms // 1000 < at <= end]
                row[f"total_{name}"] = sum(sum(values) for values in mine)
                row[f"count_{name}"] = sum(len(values) for values in mine)
                row[f"way_{name}"] = sum(abs(b[-1] - a[-1]) for a, b in pairwise(mine))
                row["incomplete"] = any(at % 67 == 66 for at in some if end - 40 < at <= end)
            wanted[f"{symbol}|{source}|1s|{BEGIN_MS + 1000 * end}|ticks".encode()] = row
    assert {key: {name: one[name] for name in wanted[key]} for key, one in found.items()} == wanted


def finals(*windows: tuple[str, int, float]) -> Finals:
    """Return windows of symbol A, as source, second and total."""
    keys: list[WindowKey] = [("A", source, "1s", 1000 * at) for source, at, _ in windows]
    n = len(windows)
    total = np.array([value for *_, value in windows], np.float64)
    columns = {"total": total, "last": total, "incomplete": np.zeros(n, np.bool_), "width_ms": np.full(n, 1000)}
    return Finals(keys, np.zeros(n, np.int64), columns | dict.fromkeys(("count", "revision"), np.ones(n, np.int64)))


class Never:
    """Nothing is settled, and nothing was published."""

    def __init__(self, settled_ms: int = -(10**15)) -> None:
        self._settled_ms = settled_ms

    def settled_ms(self, shard: int, source: str) -> int:  # noqa: ARG002 - there is one shard
        return self._settled_ms if source == "all" else -(10**15)

    def published_ms(self, shard: int, source: str) -> int:  # noqa: ARG002 - there is no earlier owner
        return -(10**15)


def started() -> Sliding:
    one = Sliding()
    one.assign(0, None, anew=False)
    return one


def keys(one: Sliding, come: Finals, times: Never | None = None) -> set[tuple[str, int]]:
    """Return source and second of each result."""
    return {(source, start_ms // 1000) for _, source, _, start_ms in one.follow(come, times or Never())[0].keys}


def test_a_series_is_joint_whichever_of_its_windows_comes_first() -> None:
    for windows in ((("s", 0, 1.0), ("all", 0, 1.0)), (("all", 0, 1.0), ("s", 0, 1.0))):
        one = started()
        assert keys(one, finals(*windows)) == {("s", 0), ("all", 0)}
        assert len(one._arena) == 1


def test_results_of_all_sources_wait_for_their_own_windows() -> None:
    one = started()
    assert keys(one, finals(("s", 0, 1.0), ("s", 1, 2.0), ("s", 2, 3.0))) == {("s", 0), ("s", 1), ("s", 2)}
    assert keys(one, finals(("all", 0, 1.0), ("all", 1, 2.0))) == {("all", 0), ("all", 1)}
    assert len(one._arena) == 3
    assert keys(one, finals(("all", 2, 3.0), ("s", 3, 4.0))) == {("all", 2), ("s", 3)}


@pytest.mark.parametrize(
    "come",
    [
        finals(("s", 1, 2.0), ("all", 1, 2.5)),  # not equal
        finals(("all", 1, 2.0)),  # of another source
        finals(("all", 0, 1.0)),  # corrected alone
        finals(("s", 0, 7.0)),  # corrected alone
        finals(("t", 1, 2.0), ("all", 1, 2.0)),
        finals(("s", 0, 7.0), ("all", 0, 7.0), ("s", 0, 8.0), ("all", 0, 8.0)),
    ],
)
def test_what_is_not_equal_splits_a_series(come: Finals) -> None:
    one, alone = started(), Alone()
    alone.assign(0, None, anew=False)
    begin = finals(("s", 0, 1.0), ("all", 0, 1.0))
    for each in (one, alone):
        each.follow(begin, Never())
    found, wanted = Results(one.follow(come, Never())[1]), Results(alone.follow(come, Never())[1])
    assert sorted(value for *_, value in found) == sorted(value for *_, value in wanted)
    assert not one._series[0]["A", "s", "1s"].is_joint
    assert one._series[0]["A", "all", "1s"] is not one._series[0]["A", "s", "1s"]


def test_a_window_of_all_sources_that_never_comes_splits_a_series() -> None:
    one = started()
    keys(one, finals(("s", 0, 1.0), ("all", 0, 1.0)))
    keys(one, finals(("s", 1, 2.0)), Never(1000))
    assert one._series[0]["A", "s", "1s"].is_joint
    keys(one, finals(("s", 2, 2.0)), Never(2000))
    assert not one._series[0]["A", "s", "1s"].is_joint
    assert list(one._series[0]["A", "all", "1s"].starts_ms) == [0]


class Settled(Never):
    """Of every source, and of all together, results are settled up to a time."""

    def settled_ms(self, shard: int, source: str) -> int:  # noqa: ARG002 - the same for all
        return self._settled_ms


def test_a_full_arena_keeps_what_all_sources_go_on_from() -> None:
    one, alone = Decaying(), DecayingAlone()
    # The windows of all sources at 1 to 41 never come. That is known once they are settled, and then there is no room.
    steps: list[tuple[Finals, Never]] = [
        (finals(("s", 0, 8.0), ("all", 0, 8.0)), Never()),
        (finals(*(("s", at, 1.0) for at in range(1, 41))), Never()),
        (finals(*(("s", at, 1.0) for at in range(42, 142))), Settled(41_000)),
        (finals(("all", 142, 2.0)), Settled(41_000)),
    ]
    for each in (one, alone):
        each.assign(0, None, anew=False)
    for come, times in steps:
        mine, theirs = (sorted(value for *_, value in Results(each.follow(come, times)[1])) for each in (one, alone))
        assert mine == theirs
    # Half of 8, and 2.
    assert [msgspec.json.decode(value)["decay"] for value in mine] == [6.0]


def test_results_that_waited_come_after_a_restart_too() -> None:
    one = started()
    keys(one, finals(("s", 0, 1.0), ("all", 0, 1.0), ("s", 1, 2.0), ("s", 2, 3.0)))
    kept = one.snapshot(0, Never())
    assert sorted(kept.series) == [("A", "all", "1s", 1), ("A", "s", "1s", 3)]
    assert len(kept.columns["total"]) == 3 * 8  # once
    other = started()
    other.assign(0, kept, anew=False)
    assert len(other._arena) == 3
    come = finals(("all", 1, 2.0), ("all", 2, 3.0))
    mine, theirs = ([record[2:] for record in Results(each.follow(come, Never())[1])] for each in (one, other))
    assert mine == theirs
    assert [key for key, _ in mine] == [b"A|all|1s|1000|ticks", b"A|all|1s|2000|ticks"]
