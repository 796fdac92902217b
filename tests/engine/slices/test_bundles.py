"""Events have the same outcome whether each is a record or many are one, however they are split, on both paths."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compiled.both import without_library
from tickertape.agents.market.quotes import QUOTE_SLICES
from tickertape.agents.market.trades import TRADE_SLICES
from tickertape.agents.social.posts import POST_SLICES
from tickertape.schemas import bundle, heartbeat
from tickertape.schemas.frame import Frame
from tickertape.schemas.heartbeat import Heartbeat
from tickertape.schemas.post import Post
from tickertape.schemas.quote import Quote
from tickertape.schemas.refused import DeadLetter, Late
from tickertape.schemas.trade import Trade
from tickertape.stream.bundles.packing import pack
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.block import Block, Headers
from tickertape.stream.engine.core.values import PackedValues
from tickertape.stream.engine.define.recipes import Slicing
from tickertape.stream.engine.slices.slicer import Slicer
from tickertape.stream.engine.slices.slicer_settings import settings_of

START_MS = 1_723_161_600_000
SETTINGS = Settings(most_sources=3, horizon_ms=60_000, lateness_ms={"trades": 2000, "quotes": 2000, "posts": 2000})
_json = msgspec.json.Encoder().encode


class Item(NamedTuple):
    """An event, a heartbeat, or bytes that are neither; and when it was appended, ms."""

    what: Any
    appended_ms: int


def trade(random: Random, common: dict[str, Any]) -> Trade:
    text = random.random() < 0.1
    number = common.pop("id")
    return Trade(
        **common,
        id=f"t{number}" if text else number,
        symbol=random.choice(("A-USD", "B-USD", "Ö-EUR", "all", "A|B", "", "x" * 65)) if random.random() < 0.1 else "A",
        price=random.choice((60_214.81, 0.1 + 0.2, 1e-9, 5.0, 0.0, 2e18)),
        quantity=random.choice((1.0, 0.015, 1 / 3)),
        side=random.choice(("buy", "sell", None)),
        last_id=random.choice((None, None, None, number, number + 5, number - 1, 2**62)),
        sequence=random.choice((None, 0, number)),
    )


def quote(random: Random, common: dict[str, Any]) -> Quote:
    return Quote(
        **common,
        symbol=random.choice(("A-USD", "B-USD")),
        bid=random.choice((1.5, 1 / 3, -1.0)),
        bid_quantity=1.0,
        ask=random.choice((1.75, 2, float("nan"))),
        ask_quantity=2.5,
    )


def post(random: Random, common: dict[str, Any]) -> Post:
    return Post(
        **common,
        author=random.choice(("a", "b", "")),
        text=random.choice(("", "bitcoin\nto the moon", "é" * 40)),
        symbols=random.choice(((), ("BTC",), ("BTC", "ETH"))),
        tags=random.choice(((), ("x",))),
        copy_of=random.choice((None, 7)),
        sentiment=random.choice((None, 0.5, -0.0, 2.0)),
    )


KINDS: dict[str, tuple[Slicing, Callable[[Random, dict[str, Any]], Any]]] = {
    "trades": (TRADE_SLICES, trade),
    "quotes": (QUOTE_SLICES, quote),
    "posts": (POST_SLICES, post),
}


def items(random: Random, make: Callable[[Random, dict[str, Any]], Any]) -> list[Item]:
    """Return what a partition is sent: repeated, late and early events, of more sources than have room, and garbage."""
    found: list[Item] = []
    clock_ms = START_MS
    for number in range(random.randrange(1, 60)):
        clock_ms += random.choice((0, 0, 1, 400, 3000)) + 90_000 * (random.random() < 0.02)
        chance = random.random()
        source = random.choice(("s", "t", "s", "u", "v", "w") if random.random() < 0.3 else ("s", "s", "t"))
        if chance < 0.06:
            found.append(Item(Heartbeat(source, clock_ms - 500, end=random.random() < 0.3), clock_ms))
        elif chance < 0.1:
            found.append(Item(random.choice((b"", b"{", b"null", b"\xff", b'{"id":1}')), clock_ms))
        elif chance < 0.2 and found and not isinstance(found[-1].what, Heartbeat | bytes):
            found.append(found[-1]._replace(appended_ms=clock_ms))
        else:
            common = {
                "source": "all" if random.random() < 0.02 else source,
                "id": random.choice((number, number, random.randrange(8), -1 if random.random() < 0.1 else number)),
                "time_ms": clock_ms + random.choice((0, -3, -700, -4000, 9000, -(10**12) if number == 5 else 0)),
                "received_ms": random.choice((0, clock_ms, clock_ms + 5)),
            }
            found.append(Item(make(random, common), clock_ms))
    return found


class Sent(NamedTuple):
    """A record, and the numbers of the items in it."""

    value: bytes | None
    headers: Headers
    appended_ms: int
    items: range


def singles(some: Sequence[Item]) -> list[Sent]:
    return [_single(each, range(at, at + 1)) for at, each in enumerate(some)]


def _single(one: Item, at: range) -> Sent:
    if isinstance(one.what, Heartbeat):
        return Sent(None, tuple(heartbeat.to_headers(one.what)), one.appended_ms, at)
    return Sent(one.what if isinstance(one.what, bytes) else _json(one.what), (), one.appended_ms, at)


def bundled(some: Sequence[Item], random: Random) -> list[Sent]:
    """Send runs of events as bundles, now and then a single one, and what is no event by itself."""
    found: list[Sent] = []
    first = 0
    while first < len(some):
        last = first + 1
        if not isinstance(some[first].what, Heartbeat | bytes):
            most = first + random.choice((1, 2, 3, 50))
            while last < min(most, len(some)) and not isinstance(some[last].what, Heartbeat | bytes):
                last += 1
        if last - first > 1 or (random.random() < 0.2 and not isinstance(some[first].what, Heartbeat | bytes)):
            events = [each.what for each in some[first:last]]
            value, headers = pack(events), tuple(bundle.to_headers(len(events)))
            found.append(Sent(value, headers, some[last - 1].appended_ms, range(first, last)))
        else:
            found.append(_single(some[first], range(first, last)))
        first = last
    return found


def blocks(topic: str, sent: Sequence[Sent], cuts: Sequence[int], start: int = 0) -> Iterator[Block]:
    """Yield records from an offset on as blocks that end at some offsets."""
    n = len(sent)
    whole = Block(
        topic,
        0,
        0,
        n,
        np.arange(n),
        PackedValues.of([each.value for each in sent]),
        np.array([each.appended_ms for each in sent], np.int64),
        {at: each.headers for at, each in enumerate(sent) if each.value is None},
        {at: each.headers for at, each in enumerate(sent) if each.value is not None and each.headers},
    )
    borders = sorted({start, n, *(cut for cut in cuts if start < cut < n)})
    for since, until in pairwise(borders):
        yield whole.since(since).before(until)


def slicer(slicing: Slicing, **more: Any) -> Slicer:
    begin = {"checkpoint": None, "committed": None} | more
    return Slicer(slicing, 0, 1, **settings_of(slicing, SETTINGS), begin=0, **begin)


class Outcome(NamedTuple):
    """What a log came to. Refused events are named by their items."""

    slices: dict[tuple[str, str, int], dict[str, Any]]
    refused: list[tuple[int, str, str, int, int]]
    lanes: list[Any]
    tallies: dict[str, int]


def outcome(
    slicing: Slicing, sent: Sequence[Sent], cuts: Sequence[int], *, dies_at: int | None = None
) -> tuple[Outcome, Slicer]:
    """Fold a log; if ``dies_at`` is given, a second owner goes on from the commit at the first cut from there on."""
    owner, slices, refused = slicer(slicing), {}, []
    for block in blocks(slicing.topic.name, sent, cuts):
        refused += owner.fold(block)
        _publish(owner, slices)
        assert owner.tallies.offsets == owner.upto == block.end
        if dies_at is not None and block.end >= dies_at:
            break
    if dies_at is not None:
        offset, saved = owner.checkpoint()
        owner = slicer(slicing, checkpoint=saved, committed=offset)
        for block in blocks(slicing.topic.name, sent, cuts[::2], start=offset):
            refused += owner.fold(block)
            if owner.read >= owner.upto:
                _publish(owner, slices)
    named = []
    for one in refused:
        of = sent[one.offset]
        at = of.items[one.index or 0]
        assert (one.index is None) == (of.value is None or "bundle" not in dict(of.headers))
        assert one.key.decode() == f"{one.topic}|0|{one.offset}" + ("" if one.index is None else f"|{one.index}")
        if isinstance(one, Late):
            named.append((at, f"late {one.source} {one.symbol}", "", one.time_ms, one.late_by_ms))
        else:
            named.append((at, "rejected", one.reason, 0, 0))
    tallies = msgspec.structs.asdict(owner.tallies)
    lanes = sorted(owner.lanes.to_list(), key=lambda lane: lane.source)
    return Outcome(slices, sorted(named), lanes, tallies), owner


def _publish(owner: Slicer, slices: dict[tuple[str, str, int], dict[str, Any]]) -> None:
    for _, frame in owner.flush(lambda _: 0, 1, everyone=True):
        slices |= _rows(owner.slicing, frame)


def _rows(slicing: Slicing, frame: Frame) -> Iterator[tuple[tuple[str, str, int], dict[str, Any]]]:
    if not frame.columns:  # it says only how far the lanes are
        return
    dtypes = {"source": "<u4", "symbol": "<u4", "slice_ms": "<i8"}
    schema = slicing.aggregate.schema
    dtypes |= {name: dtype.str for name, (dtype, _) in schema.items() if name in frame.columns}
    columns = {name: np.frombuffer(frame.columns[name], dtype) for name, dtype in dtypes.items()}
    # A frame leaves out what is 0 in all of its slices.
    n = len(columns["slice_ms"])
    columns |= {name: np.zeros(n, schema[name][0]) for name in slicing.aggregate.optional if name not in columns}
    for row in range(len(columns["slice_ms"])):
        found = {name: column[row].tobytes() for name, column in columns.items() if name not in ("source", "symbol")}
        found |= {name: sketches[row] for name, sketches in frame.sketches.items()}
        source, symbol = (int(columns[name][row]) for name in ("source", "symbol"))
        yield (frame.sources[source], frame.symbols[symbol], int(columns["slice_ms"][row])), found


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150)
@given(st.randoms(use_true_random=False, note_method_calls=False).map(lambda r: r.randrange(2**32)))
def test_bundles_come_to_what_their_events_do(kind: str, seed: int) -> None:
    slicing, make = KINDS[kind]
    random = Random(seed)
    sent = bundled(some := items(random, make), random)
    # The append time of a bundle is that of all its events.
    for one in sent:
        some[one.items.start : one.items.stop] = [
            each._replace(appended_ms=one.appended_ms) for each in some[one.items.start : one.items.stop]
        ]
    cuts = sorted(random.sample(range(len(some)), random.randrange(len(some) // 3 + 1)))
    single, _ = outcome(slicing, singles(some), cuts)
    n_bundles = sum("bundle" in dict(one.headers) for one in sent)
    n_bundled = sum(len(one.items) for one in sent if "bundle" in dict(one.headers))
    expected = single._replace(tallies=single.tallies | {"bundles": n_bundles, "bundled": n_bundled})
    found, _ = outcome(slicing, sent, cuts)
    assert found == expected
    with without_library():
        assert outcome(slicing, sent, cuts)[0] == expected
    dies_at = random.randrange(len(sent) + 1)
    assert outcome(slicing, sent, cuts, dies_at=dies_at)[0] == expected


def test_a_late_event_of_a_bundle_is_told_with_its_index() -> None:
    common = {"source": "s", "symbol": "A", "price": 1.5, "quantity": 2.0, "received_ms": START_MS}
    late = Trade(id=3, time_ms=START_MS + 200, **common)
    events = [Trade(id=1, time_ms=START_MS, **common), Trade(id=2, time_ms=START_MS + 4000, **common), late]
    sent = [Sent(pack(events), tuple(bundle.to_headers(3)), START_MS, range(3))]
    owner = slicer(TRADE_SLICES)
    (told,) = owner.fold(next(blocks("trades", sent, ())))
    assert isinstance(told, Late)
    assert (told.offset, told.index, told.key, told.late_by_ms) == (0, 2, b"trades|0|0|2", 1000)
    assert msgspec.json.decode(told.value, type=Trade) == late
    assert (owner.upto, owner.tallies.counted, owner.tallies.late) == (1, 2, 1)
    assert (owner.tallies.bundles, owner.tallies.bundled, owner.tallies.events, owner.tallies.offsets) == (1, 3, 3, 1)


@pytest.mark.parametrize(
    ("value", "headers", "reason"),
    [
        (b"{}", tuple(bundle.to_headers(3)), "not a bundle: "),
        (None, (("bundle", b'{"version":7,"events":3}'),), "a bundle of version 7"),
        (None, tuple(bundle.to_headers(4)), "not a column of 4 events"),
    ],
)
def test_a_bundle_that_can_not_be_unpacked_is_one_rejection(value: bytes | None, headers: Headers, reason: str) -> None:
    common = {"source": "s", "symbol": "A", "price": 1.5, "quantity": 2.0, "received_ms": START_MS}
    events = [Trade(id=number, time_ms=START_MS, **common) for number in range(3)]
    fine = Sent(pack(events), tuple(bundle.to_headers(3)), START_MS, range(3))
    broken = Sent(fine.value if value is None else value, headers, START_MS, range(3))
    owner = slicer(TRADE_SLICES)
    (told,) = owner.fold(next(blocks("trades", [broken, fine], ())))
    assert isinstance(told, DeadLetter)
    assert (told.offset, told.index, told.key, told.value) == (0, None, b"trades|0|0", broken.value)
    assert reason in told.reason
    assert (owner.tallies.rejected, owner.tallies.counted, owner.tallies.bundles) == (1, 3, 1)
    assert owner.tallies.offsets == 2


def test_an_agent_may_ask_for_the_events_themselves() -> None:
    common = {"source": "s", "symbol": "A", "quantity": 2.0, "received_ms": START_MS}
    events = [Trade(id=number, time_ms=START_MS, price=1.5 + number, **common) for number in range(4)]
    seen: list[Any] = []

    def columns(trades: Any) -> Any:
        seen.extend([*trades, *trades[2:], trades[-1]])
        return TRADE_SLICES.columns(trades)

    owner = slicer(Slicing(TRADE_SLICES.topic, Trade, columns, TRADE_SLICES.aggregate, 2000))
    owner.fold(next(blocks("trades", [Sent(pack(events), tuple(bundle.to_headers(4)), START_MS, range(4))], ())))
    assert seen == [*events, *events[2:], events[-1]]
    assert owner.tallies.counted == 4


def test_the_next_owner_leaves_out_what_came_before_its_lane_in_the_bundle() -> None:
    """There is room for three sources. The first event of a fourth is not yet 60 s past all of these, the second is."""
    common = {"symbol": "A", "price": 1.5, "quantity": 2.0}
    some = [Item(Trade(source=source, id=1, time_ms=START_MS, **common), START_MS + 70_000) for source in "stu"]
    fourth = [Trade(source="v", id=number, time_ms=START_MS + 60_000 + 500 * number, **common) for number in (0, 1)]
    sent = [*singles(some), Sent(pack(fourth), tuple(bundle.to_headers(2)), START_MS + 70_000, range(3, 5))]
    (expected, owner), (found, after) = (outcome(TRADE_SLICES, sent, (), dies_at=dies_at) for dies_at in (None, 4))
    assert found == expected
    offset, saved = owner.checkpoint()
    assert (offset, saved.since["v"], saved.since_event) == (1, 3, {"v": 1})
    assert found.slices["v", "A", START_MS + 60_000]["count"] == (1).to_bytes(8, "little")
    assert [at for at, *_ in found.refused] == [3]
    assert after.tallies.rejected == 1
