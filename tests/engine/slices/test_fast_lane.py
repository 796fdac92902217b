"""The fast lane: what it publishes of open slices, when it doesn't, and that a shard says the same."""

import random
from collections.abc import Callable, Sequence

import msgspec
import pytest
from faust.types import TP

from tests.engine.blocks import HOUR_MS, TICKS, Log, slicer
from tests.engine.made_frames import WINDOWING, Window
from tickertape.agents.market.bars import TRADE_BARS
from tickertape.agents.market.quote_bars import QUOTE_BARS
from tickertape.agents.market.quotes import QUOTE_SLICES
from tickertape.agents.market.trades import TRADE_SLICES
from tickertape.schemas.checkpoint import SliceCheckpoint, Views
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.keyed_topics import KeyedTopics
from tickertape.stream.engine.define.recipes import Slicing, Windowing
from tickertape.stream.engine.slices.fast_lane import FastLane
from tickertape.stream.engine.slices.slicer import Slicer
from tickertape.stream.engine.slices.slicer_settings import settings_of
from tickertape.stream.engine.windows.windows import windows_of
from tickertape.stream.kafka.partition import partition_for

# From this time on, ms after `HOUR_MS`, symbols are placed among so many partitions. Of two, A, B and C are in
# partition 0, and D is in partition 1.
ONE, TWO = ((-HOUR_MS, 1),), ((-HOUR_MS, 2),)
#: Symbol, source and start in ms after `HOUR_MS`: revision and total.
Shown = dict[tuple[str, str, int], tuple[int, float]]


class World:
    """A partition with its slicer and fast lane, and a producer that keeps what it is given."""

    def __init__(self, owner: Slicer | None = None, horizon_ms: int = 60_000) -> None:
        self.log = Log()
        self.owner = owner or slicer()
        self.keyed = KeyedTopics()
        self.windows: list[Window] = []
        self.all_shown = False
        settings = Settings(horizon_ms=horizon_ms)
        self._lane = FastLane([WINDOWING], settings, self, {"bars": 4}, self.keyed)  # type: ignore[arg-type]  # it sends

    def send_many(self, topic: str, _: int, records: Sequence[tuple[bytes, bytes]]) -> None:
        assert topic == "bars"
        for key, value in records:
            window = msgspec.json.decode(value, type=Window)
            assert key.decode() == f"{window.symbol}|{window.source}|1s|{window.start_ms}"
            self.windows.append(window)

    def publish(self) -> Shown:
        """Fold the log; return what the lane publishes of it."""
        self.windows.clear()
        self.owner.fold(self.log.block(self.owner.read))
        (self.all_shown,) = self._lane.publish([self.owner])
        assert not any(window.final for window in self.windows)
        return {(one.symbol, one.source, one.start_ms - HOUR_MS): (one.revision, one.total) for one in self.windows}


@pytest.fixture
def world() -> World:
    return World()


def test_a_changed_slice_is_a_provisional_window_of_its_source_and_of_all(world: World) -> None:
    world.log.beat(0, keyed=ONE).tick(10, 5, 1.5).tick(20, 8, 2.0).tick(1005, 9, 4.0, symbol="B")
    assert world.publish() == {
        ("A", "s", 0): (2, 3.5),
        ("A", "all", 0): (2, 3.5),
        ("B", "s", 1000): (1, 4.0),
        ("B", "all", 1000): (1, 4.0),
    }
    assert world.all_shown
    # Ids 6 and 7 are missing.
    assert Window("A", "s", "1s", HOUR_MS, 2, 3.5, 2.0, 2, False, 2, False) in world.windows
    assert Window("A", "all", "1s", HOUR_MS, 2, 3.5, 2.0, 2, False, 2, False) in world.windows
    assert world.publish() == {}
    assert world.all_shown
    world.log.tick(30, 10, 8.0)
    assert world.publish() == {("A", "s", 0): (3, 11.5), ("A", "all", 0): (3, 11.5)}


def test_sources_are_merged_by_name_whichever_has_changed(world: World) -> None:
    # In floats, 0.1 + 0.2 + 0.3 isn't 0.3 + 0.2 + 0.1.
    world.log.beat(0, "t", keyed=ONE).beat(0, "s", keyed=ONE).beat(0, "r", keyed=ONE)
    world.log.tick(1, 1, 0.3, source="t").tick(2, 1, 0.2, source="s").tick(3, 4, 0.1, source="r")
    assert world.publish() == {
        ("A", "r", 0): (1, 0.1),
        ("A", "s", 0): (1, 0.2),
        ("A", "t", 0): (1, 0.3),
        ("A", "all", 0): (3, 0.6000000000000001),
    }
    # Of s, ids 2 to 4 are missing; that is also what all miss.
    world.log.tick(4, 5, 1.0, source="s")
    assert world.publish() == {("A", "s", 0): (2, 1.2), ("A", "all", 0): (4, 1.6)}
    assert {one.source: one.missing for one in world.windows} == {"s": 3, "all": 3}


def test_without_a_promise_there_is_no_lane(world: World) -> None:
    world.log.beat(0).tick(10)
    assert world.publish() == {}
    assert not world.all_shown


def test_all_sources_need_a_promise_of_each(world: World) -> None:
    world.log.beat(0, keyed=ONE).beat(0, "t").tick(10)
    assert world.publish() == {("A", "s", 0): (1, 1.0)}
    assert not world.all_shown
    # A source that has ended, or is behind by the horizon, counts again once it goes on.
    world.log.beat(20, "t", end=True).tick(30, 2)
    assert world.publish() == {("A", "s", 0): (2, 2.0)}  # the end marker closes the second of t
    world.log.tick(1010, 3)
    assert world.publish() == {("A", "s", 1000): (1, 1.0), ("A", "all", 1000): (1, 1.0)}
    world.log.tick(1020, 1, source="t", symbol="B").tick(1030, 4)
    assert world.publish() == {("A", "s", 1000): (2, 2.0)}


def test_a_source_behind_by_the_horizon_does_not_count() -> None:
    world = World()
    world.log.beat(0, "t").beat(60_000, keyed=ONE).tick(60_000)
    assert world.publish() == {("A", "s", 60_000): (1, 1.0)}
    world.log.tick(60_001, 2, symbol="B")
    assert world.publish() == {("B", "s", 60_000): (1, 1.0), ("B", "all", 60_000): (1, 1.0)}


def test_a_source_without_a_promise_elsewhere_closes_the_lane_of_all(world: World) -> None:
    world.log.beat(0, keyed=ONE).tick(10)
    world.keyed.note(TP("trades", 3), keyed=False)
    world.keyed.note(TP("quotes", 3), keyed=True)
    assert world.publish() == {("A", "s", 0): (1, 1.0)}
    world.keyed.note(TP("trades", 3), keyed=True)
    world.log.tick(20, 2)
    assert world.publish() == {("A", "s", 0): (2, 2.0), ("A", "all", 0): (2, 2.0)}


def test_a_slicer_reports_its_own_sources_without_a_promise(world: World) -> None:
    world.log.beat(0, keyed=ONE).beat(0, "t")
    world.publish()
    assert not world.keyed.is_keyed("trades")
    world.log.beat(1, "t", end=True)
    world.publish()
    assert world.keyed.is_keyed("trades")


def test_spread_symbols_have_no_lane(world: World) -> None:
    world.log.beat(0, keyed=ONE, spread=["A", "Z"]).tick(10).tick(10, 2, symbol="B")
    assert world.publish() == {("B", "s", 0): (1, 1.0), ("B", "all", 0): (1, 1.0)}
    assert not world.all_shown


def test_a_symbol_that_is_spread_by_one_source_has_no_lane_of_all(world: World) -> None:
    world.log.beat(0, keyed=ONE, spread=["A"]).beat(0, "t", keyed=ONE).tick(10).tick(10, source="t")
    assert world.publish() == {("A", "t", 0): (1, 1.0)}


def test_a_symbol_whose_place_is_another_partition_has_no_lane(world: World) -> None:
    world.log.beat(0, keyed=TWO).tick(10).tick(10, 2, symbol="D")
    assert world.publish() == {("A", "s", 0): (1, 1.0), ("A", "all", 0): (1, 1.0)}


def test_sources_that_place_a_symbol_differently_have_no_lane_of_all(world: World) -> None:
    # A feed that reads a step late places D here, among one partition, and the other feed doesn't.
    world.log.beat(0, keyed=ONE).beat(0, "t", keyed=TWO).tick(10, symbol="D").tick(10, 2)
    assert world.publish() == {("D", "s", 0): (1, 1.0), ("A", "s", 0): (1, 1.0), ("A", "all", 0): (1, 1.0)}


def test_each_slice_goes_by_the_step_of_its_time(world: World) -> None:
    world.log.beat(0, keyed=[*ONE, (2000, 2)])
    world.log.tick(1999, 1, symbol="D").tick(2000, 2, symbol="D").tick(2000, 3)
    assert world.publish() == {
        ("D", "s", 1000): (1, 1.0),
        ("D", "all", 1000): (1, 1.0),
        ("A", "s", 2000): (1, 1.0),
        ("A", "all", 2000): (1, 1.0),
    }


def test_a_slice_across_a_step_has_no_lane(world: World) -> None:
    world.log.beat(0, keyed=[*ONE, (2500, 2)]).tick(2499).tick(3000, 2).tick(1999, 3)
    assert {start for _, _, start in world.publish()} == {1000, 3000}


def test_nothing_is_promised_before_the_first_step(world: World) -> None:
    world.log.beat(0, keyed=[(1000, 1)]).tick(999).tick(1000, 2)
    assert {start for _, _, start in world.publish()} == {1000}


def test_steps_out_of_order_promise_nothing(world: World) -> None:
    world.log.beat(0, keyed=[(0, 1), (-5, 1)]).tick(10)
    assert world.publish() == {}


def test_another_promise_counts_past_all_events_before_it(world: World) -> None:
    world.log.beat(0, keyed=ONE, spread=["B"]).tick(1000)
    assert set(world.publish()) == {("A", "s", 1000), ("A", "all", 1000)}
    # The watermark is 1000, and an event may be 5000 ms ahead of its receipt: windows from 6000 on have no older event.
    world.log.beat(900, keyed=ONE)
    assert world.publish() == {}
    world.log.tick(5999, 2).tick(6000, 3)
    assert {start for _, _, start in world.publish()} == {6000}


def test_a_step_that_is_added_changes_nothing_before_it(world: World) -> None:
    world.log.beat(0, keyed=ONE).tick(1000).beat(1000, keyed=[*ONE, (9000, 2)]).tick(1500, 2)
    assert world.publish() == {("A", "s", 1000): (2, 2.0), ("A", "all", 1000): (2, 2.0)}


def test_a_lane_that_had_no_heartbeat_first_has_promised_nothing_of_its_past(world: World) -> None:
    world.log.tick(1000).beat(1000, keyed=ONE)
    assert world.publish() == {}
    world.log.tick(5999, 2).tick(6000, 3)
    assert {start for _, _, start in world.publish()} == {6000}


def test_windows_of_all_end_where_any_lane_has_closed_its_slices(world: World) -> None:
    # The frontier of t is 1000: it may have had slices before that, which are gone.
    world.log.beat(0, keyed=ONE).beat(3000, "t", keyed=ONE, appended=3000).tick(999).tick(1000, 2)
    assert world.publish() == {("A", "s", 0): (1, 1.0), ("A", "s", 1000): (1, 1.0), ("A", "all", 1000): (1, 1.0)}


def test_nothing_is_published_that_may_be_past_the_horizon() -> None:
    world = World(horizon_ms=8000)
    world.log.beat(0, "t", keyed=ONE).beat(0, keyed=ONE).tick(5000, 1, source="t").tick(0, 1).tick(1000, 2)
    # The newest event is at 5000, and half of the horizon is 4000.
    assert {start for _, _, start in world.publish()} == {1000, 5000}


def test_a_mark_of_what_retention_deleted_goes_along() -> None:
    saved = SliceCheckpoint(upto=1, incomplete=(HOUR_MS + 1000, HOUR_MS + 7000))
    world = World(slicer(checkpoint=saved, committed=1))
    world.log.hole().beat(-9000, keyed=ONE).tick(0).tick(1000, 2).tick(6999, 3).tick(7000, 4)
    world.owner = slicer(checkpoint=saved, committed=1, lateness_ms=9000)
    world.publish()
    marks = {(one.start_ms - HOUR_MS, one.incomplete) for one in world.windows}
    assert marks == {(0, False), (1000, True), (6000, True), (7000, False)}


def test_nothing_is_published_below_the_checkpoint() -> None:
    world = World()
    world.log.beat(0, keyed=ONE).tick(10)
    assert world.publish() == {("A", "s", 0): (1, 1.0), ("A", "all", 0): (1, 1.0)}
    offset, saved = world.owner.checkpoint()
    assert (offset, saved.upto) == (1, 2)
    # The next owner learns the promise from the next heartbeat; it is for windows past all that came before.
    world.owner = slicer(checkpoint=saved, committed=offset)
    assert world.publish() == {}
    world.log.tick(20, 2).beat(20, keyed=ONE)
    assert world.publish() == {}
    world.log.tick(6000, 3)
    assert world.publish() == {("A", "s", 6000): (1, 1.0), ("A", "all", 6000): (1, 1.0)}


def random_trades(rng: random.Random, n: int) -> list[bytes]:
    """Make trades of three sources and two symbols, out of order, some with text ids, sequences or no side."""
    values = []
    for number in range(n):
        at = HOUR_MS + number * 8 - rng.choice((0, 0, 3, 300, 1500))
        trade = Trade(
            symbol=rng.choice("AB"),
            source=rng.choice("xyz"),
            id=rng.choice((number, f"text-{number}")) if number % 7 == 0 else number,
            time_ms=at,
            price=round(rng.uniform(10, 11), 4),
            quantity=round(rng.expovariate(1) + 0.001, 6),
            side=rng.choice(("buy", "sell", None)),
            sequence=rng.randrange(5),
            received_ms=at,
        )
        values.append(msgspec.json.encode(trade))
    return values


def random_quotes(rng: random.Random, n: int) -> list[bytes]:
    values = []
    for number in range(n):
        at = HOUR_MS + number * 8 - rng.choice((0, 0, 3, 300, 1500))
        bid = round(rng.uniform(10, 11), 4)
        quote = Quote(
            symbol=rng.choice("AB"),
            source=rng.choice("xyz"),
            id=number,
            time_ms=at,
            bid=bid,
            bid_quantity=round(rng.expovariate(1) + 0.001, 6),
            ask=round(bid + rng.uniform(0.0001, 0.1), 4),
            ask_quantity=round(rng.expovariate(1) + 0.001, 6),
            received_ms=at,
        )
        values.append(msgspec.json.encode(quote))
    return values


class Bytes:
    """A producer that keeps records by key and revision, and asserts that equal ones have equal bytes."""

    def __init__(self) -> None:
        self.held: dict[tuple[bytes, int], bytes] = {}
        self.finals: dict[bytes, tuple[int, bytes]] = {}

    def send_many(self, _: str, __: int, records: Sequence[tuple[bytes, bytes]]) -> None:
        for key, value in records:
            self.keep(key, value)

    def keep(self, key: bytes, value: bytes) -> None:
        found = msgspec.json.decode(value)
        if found["final"]:
            self.finals[key] = found["revision"], value
        else:
            assert self.held.setdefault((key, found["revision"]), value) == value


@pytest.mark.parametrize(
    ("slicing", "windowing", "make"),
    [(TRADE_SLICES, TRADE_BARS, random_trades), (QUOTE_SLICES, QUOTE_BARS, random_quotes)],
    ids=["trades", "quotes"],
)
@pytest.mark.parametrize("seed", range(4))
def test_a_shard_says_the_same_at_the_same_revision(
    slicing: Slicing, windowing: Windowing, make: Callable[[random.Random, int], list[bytes]], seed: int
) -> None:
    rng, settings = random.Random(seed), Settings()
    log = Log()
    for source in "xyz":
        log.beat(-3_600_000, source, keyed=ONE)
    for value in make(rng, 600):
        log.raw(value, appended=60_000)
    owner = Slicer(slicing, 0, 1, **settings_of(slicing, settings), checkpoint=None, committed=None, begin=0)
    fast, plain = Bytes(), Bytes()
    lane = FastLane([windowing], settings, fast, {windowing.sink.name: 3}, KeyedTopics())  # type: ignore[arg-type]  # it sends
    (shard,) = windows_of([windowing], [], settings)
    shard.assign(0, Views())
    shard.start_publishing(0)
    for block in log.blocks(sorted(rng.sample(range(1, log.end), 80))):
        owner.fold(block)
        lane.publish([owner])
        for _, frame in owner.flush(lambda _: 0, 1, everyone=True):
            frame.columns.pop("shown", None)  # a shard that knows nothing of the lane
            shard.apply_frame(0, block.end, frame)
        for _, _, key, value in shard.flush():
            if b"|1s|" in key:
                plain.keep(key, value)
    together = fast.held.keys() & plain.held.keys()
    assert len(together) > 200
    assert {key for key, _ in together} > {key for key, _ in together if b"|all|" in key} > set()
    assert [key for key in together if fast.held[key] != plain.held[key]] == []
    # Nor is anything above a final result.
    assert all(revision <= plain.finals[key][0] for key, revision in fast.held if key in plain.finals)


def test_partitions_together_say_what_each_says_alone() -> None:
    rng, settings = random.Random(5), Settings()
    logs = Log(0), Log(1)
    # Each partition has other names, so the codes of names differ. Checked first: where Kafka's murmur2 puts them.
    places = [("C", "A", "B"), ("D", "E", "G")]
    assert [[partition_for(symbol, 2) for symbol in symbols] for symbols in places] == [[0, 0, 0], [1, 1, 1]]
    for log, symbols, sources in zip(logs, places, ("xyz", "zwx"), strict=True):
        for source in sources:
            log.beat(0, source, keyed=TWO)
        for number in range(200):
            log.tick(number * 10, number, symbol=rng.choice(symbols), source=rng.choice(sources))

    options = settings_of(TICKS, settings)

    def owners() -> list[Slicer]:
        found = [
            Slicer(TICKS, p, 2, **options, checkpoint=SliceCheckpoint(incomplete=of), committed=0, begin=0)
            for p, of in enumerate([(HOUR_MS, HOUR_MS + 1), (HOUR_MS + 1000, HOUR_MS + 2000)])
        ]
        for owner, log in zip(found, logs, strict=True):
            owner.fold(log.block(0))
        return found

    alone, together = Bytes(), Bytes()
    one, other = (FastLane([WINDOWING], settings, to, {"bars": 4}, KeyedTopics()) for to in (alone, together))  # type: ignore[arg-type]  # they send
    apart = [shown for owner in owners() for shown in one.publish([owner])]
    assert other.publish(owners()) == apart == [True, True]
    # Of three symbols: three sources and all together, in two seconds each.
    assert len(alone.held) == 2 * 3 * 4 * 2
    assert together.held == alone.held
    incomplete = {key for (key, _), value in together.held.items() if msgspec.json.decode(value)["incomplete"]}
    assert {(key[:1], key.split(b"|")[-1]) for key in incomplete} == {
        *((symbol, str(HOUR_MS).encode()) for symbol in (b"A", b"B", b"C")),
        *((symbol, str(HOUR_MS + 1000).encode()) for symbol in (b"D", b"E", b"G")),
    }
