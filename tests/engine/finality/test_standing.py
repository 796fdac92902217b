"""The least number by state, and both frontiers against what plain Python finds in all lanes."""

from hypothesis import example, given
from hypothesis import strategies as st

from tests.engine.blocks import HOUR_MS
from tests.engine.made_frames import frame
from tickertape.schemas.checkpoint import Views
from tickertape.schemas.frame import NEVER_MS, Frame, Lane
from tickertape.stream.engine.finality.finality import Finality
from tickertape.stream.engine.finality.standing import Least, Standing, State

HORIZON_MS, LONGEST_MS = 3000, 10_000
PARTITIONS, SOURCES = 4, ("s", "t", "u")


@given(st.lists(st.tuples(st.integers(0, 5), st.none() | st.integers(-3, 3)), max_size=400))
def test_the_least_is_that_of_the_numbers_that_stand(changes: list[tuple[int, int | None]]) -> None:
    least, plain = Least(), dict[int, int]()
    for key, value in changes:
        if value is not None:
            assert least.set(key, value) == (plain.get(key) != value)
            plain[key] = value
        elif plain.pop(key, None) is not None:
            least.remove(key)
        assert bool(least) == bool(plain)
        assert least.least(99) == min(plain.values(), default=99)
        assert least.greatest(-99) == max(plain.values(), default=-99)


def test_outdated_numbers_do_not_pile_up() -> None:
    least = Least()
    for value in range(10_000):
        least.set(0, value)
        least.set(1, value + 1)
    assert least.least(0) == 9999
    assert len(least._heap) < 200


def test_a_lane_has_one_state() -> None:
    standing = Standing()
    assert standing.set(0, State.AWAKE, 5)
    assert not standing.set(0, State.AWAKE, 5)
    assert standing.set(0, State.IDLE, 5)
    assert [bool(lanes) for lanes in standing.lanes] == [False, True, False, False, False, False]
    assert standing.lanes[State.IDLE].least(0) == 5


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    """Draw a frame of any owner, also of one that is long replaced."""
    lanes = draw(st.dictionaries(st.sampled_from(SOURCES), st.integers(0, 20), max_size=len(SOURCES)))
    idle, ended = (draw(st.sets(st.sampled_from(SOURCES))) for _ in range(2))
    made = frame(
        draw(st.integers(0, 9)),
        partition=draw(st.integers(0, PARTITIONS - 1)),
        partitions=draw(st.integers(1, PARTITIONS)),
        resting=draw(st.booleans()),
        evicted=draw(st.none() | st.integers(0, 20_000)),
    )
    for source, at in lanes.items():
        made.lanes.append(Lane(source, NEVER_MS, HOUR_MS + at * 1000, source in idle, source in ended))
    return made


class Plain:
    """Looks at every lane each time, as the table in the docstring of `Finality` says."""

    def __init__(self) -> None:
        self.final, self.fold = dict[str, int](), dict[str, int]()
        self.at, self.newest = dict[tuple[int, str], int](), dict[int, Frame]()
        self.here = dict[int, tuple[set[str], int]]()
        self.partitions = 0

    def apply(self, one: Frame) -> None:
        p = one.partition
        self.partitions = max(self.partitions, one.partitions, p + 1)
        for lane in one.lanes:
            self.at[p, lane.source] = max(lane.frontier_ms, self.at.get((p, lane.source), NEVER_MS))
        if p not in self.newest or one.upto >= self.newest[p].upto:
            self.newest[p] = one
            if one.evicted_ms != NEVER_MS or p in self.here:
                evicted_ms = max(one.evicted_ms, self.here[p][1] if p in self.here else NEVER_MS)
                self.here[p] = {lane.source for lane in one.lanes}, evicted_ms
        for name in ("all", *{source for _, source in self.at}):
            if not self.advance(name):
                every = min(self.final.get("all", NEVER_MS) - HORIZON_MS, self.fold.get("all", NEVER_MS))
                self.up(name, every, every)

    def advance(self, name: str) -> bool:
        awake, known, hold_fold, gone = [], [], [], []
        if self.partitions > len(self.newest):
            awake.append(NEVER_MS)
            hold_fold.append(NEVER_MS)
        evicted = []
        for p, one in self.newest.items():
            for source in {source for _, source in self.at} if name == "all" else {name}:
                lane = next((lane for lane in one.lanes if lane.source == source), None)
                at = self.at.get((p, source))
                if at is None:
                    hold_fold.append(NEVER_MS)
                    if not one.idle:
                        awake.append(NEVER_MS)
                elif lane is not None and lane.ended:
                    gone.append(at)
                elif p in self.here and source not in self.here[p][0]:
                    evicted.append(max(at, self.here[p][1]))
                else:
                    known.append(at)
                    if lane is None or not lane.idle:
                        awake.append(at)
        if known:
            final = min(awake or known)
            self.up(name, final, max(min(known + hold_fold + evicted), final - HORIZON_MS))
        elif not awake and gone + evicted:
            newest = max(gone + evicted)
            self.up(name, -(-newest // LONGEST_MS) * LONGEST_MS, min([newest, *evicted]))
        return bool(awake)

    def up(self, name: str, final: int, fold: int) -> None:
        self.final[name] = max(final, self.final.get(name, NEVER_MS))
        self.fold[name] = max(fold, self.fold.get(name, NEVER_MS))


def owned(upto: int, evicted: int | None, *lanes: Lane) -> Frame:
    made = frame(upto, partition=0, partitions=1, resting=False, evicted=evicted)
    made.lanes.extend(lanes)
    return made


AT_0 = Lane("u", NEVER_MS, HOUR_MS, False, False)


@given(st.lists(frames(), max_size=25))
# Its lane is evicted and closed up to 1 ms, and returns in a frame that says nothing of that.
@example([owned(0, None, AT_0), owned(1, 1), owned(2, None, Lane("u", NEVER_MS, HOUR_MS, False, True))])
def test_the_frontiers_are_what_plain_python_finds(said: list[Frame]) -> None:
    finality, plain = Finality(HORIZON_MS, LONGEST_MS, Views()), Plain()
    for one in said:
        finality.apply_frame(one)
        plain.apply(one)
        finality.advance(publishing=True)
        for found, expected in ((finality.final_ms, plain.final), (finality.fold_ms, plain.fold)):
            assert {name: at for name, at in found.items() if at > NEVER_MS} == {
                name: at for name, at in expected.items() if at > NEVER_MS
            }
        behind = any(
            finality.frontier_ms(p, source) < max(plain.fold.get("all", NEVER_MS), plain.fold.get(source, NEVER_MS))
            for p, source in plain.at
        )
        assert finality.is_any_behind == behind
