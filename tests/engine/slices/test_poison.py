"""Whatever bytes come, in records, headers and frames: no exception, one tally each, and no other slice changes."""

import json
import random
from base64 import b64decode
from collections.abc import Iterable
from functools import cache

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.engine.blocks import EPOCH, HOUR_MS, Log, tallied
from tests.engine.made_frames import frame, upsert
from tests.engine.windows.test_agent import SHARD, World
from tests.integration import recorded
from tickertape.agents.market.bars import TRADE_BARS
from tickertape.agents.market.trades import TRADE_SLICES
from tickertape.schemas.checkpoint import Views
from tickertape.schemas.frame import Frame
from tickertape.schemas.heartbeat import Heartbeat, to_headers
from tickertape.schemas.refused import DeadLetter
from tickertape.schemas.trade import Trade
from tickertape.stream.engine.core.block import Headers
from tickertape.stream.engine.slices.slicer import Slicer
from tickertape.stream.engine.windows.windows import Windows

GOOD = [
    {
        "symbol": symbol,
        "source": "s",
        "id": number,
        "time_ms": HOUR_MS + 10 * number,
        "price": 2.5 + number / 7,
        "quantity": 0.1 * number + 0.1,
        "side": "buy" if number % 3 else "sell",
        "received_ms": HOUR_MS + 10 * number,
    }
    for number, symbol in enumerate("ABABBA" * 3)
]
BOM = b"\xef\xbb\xbf"
# What is put in the place of a value, as bytes: JSON's corners, and what only looks like JSON.
CORNERS = (
    *(b"1e400", b"-1e400", b"-0", b"-0.0", b"0", b"NaN", b"Infinity", b"-Infinity", b"1e-400", b"1e18", b"1.1e18"),
    *(b"9223372036854775807", b"9223372036854775808", b"1" * 5000, b"-1", b"0x10", b"01", b"1.", b".5", b"+1"),
    *(b'"2.5"', b'""', b'"A"', b"null", b"true", b"[]", b"{}", b"[1,2]", b'{"a":1}', b"[" * 3000, b'{"a":' * 3000),
    *(rb'"\ud800"', rb'"\udc00\ud800"', rb'"\u0000"', b'"\x00"', b'"\xff\xfe"', b'"\xc3"', b'"\xed\xa0\x80"'),
    *(b'"all"', b'"a|b"', rb'"\n"', '"\u202e"'.encode(), '"é"'.encode(), b'"' + b"x" * 70_000 + b'"', BOM, b""),
)


def text(trade: dict[str, object]) -> bytes:
    return json.dumps(trade, separators=(",", ":")).encode()


def damaged(whole: bytes, rng: random.Random) -> bytes:
    """Return a record with something done to it, mostly but not always for the worse."""
    match rng.randrange(9):
        case 0:
            at = rng.randrange(len(whole))
            return whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :]
        case 1:
            at = rng.randrange(len(whole) + 1)
            return whole[:at] + rng.choice([b"\x00", b'"', b"}", b"{", b"\xff", b",", b"0", BOM]) + whole[at:]
        case 2:
            first = rng.randrange(len(whole))
            return whole[:first] + whole[first + rng.randrange(1, 9) :]
        case 3:
            return whole[: rng.randrange(len(whole))]
        case 4:
            return rng.choice([BOM + whole, whole + whole, whole + b"\x00", b"[" + whole + b"]", b" \n" + whole + b" "])
        case 5:
            # A key twice: the last one holds.
            name = rng.choice(list(GOOD[0]))
            return whole[:-1] + b',"%s":%s}' % (name.encode(), rng.choice(CORNERS))
        case 6:
            return rng.randbytes(rng.randrange(40))
        case _:
            fields = json.loads(whole)
            name = rng.choice(list(fields))
            parts = [
                b'"%s":%s' % (n.encode(), rng.choice(CORNERS) if n == name else text(v)) for n, v in fields.items()
            ]
            return b"{" + b",".join(parts) + b"}"


class Passed:
    """What comes out of a log of trades at the far end: by way of JSON and msgpack, as it travels."""

    def __init__(self, log: Log) -> None:
        self.owner = Slicer(
            TRADE_SLICES,
            0,
            1,
            slice_ms=1000,
            skew_ms=5000,
            lateness_ms=2000,
            epoch=EPOCH,
            checkpoint=None,
            committed=None,
            begin=0,
        )
        windows = Windows(TRADE_BARS, slice_ms=1000, horizon_ms=60_000, epoch=EPOCH)
        windows.assign(0, Views())
        windows.start_publishing(0)
        refused = self.owner.fold(log.block())
        self.sent = [msgspec.msgpack.encode(one) for _, one in self.owner.flush(lambda _: 0, 1, everyone=True)]
        for offset, value in enumerate(self.sent):
            windows.apply_frame(0, offset, msgspec.msgpack.decode(value, type=Frame))
        self.bars = {key: value for _, _, key, value in windows.flush()}
        self.slices = {}
        for sent in self.sent:
            one = msgspec.msgpack.decode(sent, type=Frame)
            rows = zip(
                *(
                    np.frombuffer(one.columns.get(n, b""), f"<{k}")
                    for n, k in (("source", "u4"), ("symbol", "u4"), ("slice_ms", "i8"))
                ),
                strict=True,
            )
            for i, (source, symbol, start) in enumerate(rows):
                key = one.sources[source], one.symbols[symbol], int(start)
                self.slices[key] = {
                    # A column that a frame lacks is zero.
                    name: one.columns.get(name, bytes(8 * i + 8))[8 * i : 8 * i + 8]
                    for name in TRADE_SLICES.aggregate.schema
                }
        self.letters, self.late = {}, {}
        for record in refused:
            told = json.loads(msgspec.json.encode(record))
            (self.letters if isinstance(record, DeadLetter) else self.late)[record.offset] = told
        tallies = tallied(self.owner.tallies)
        assert sum(tallies.values()) == self.owner.upto == log.end
        assert tallies.get("rejected", 0) == len(self.letters)
        assert tallies.get("late", 0) == len(self.late)


def assert_only_these_are_lost(values: Iterable[bytes], appended: Iterable[int]) -> Passed:
    """Pass records through; what was refused is told with reason, place and bytes, and the rest are as without it."""
    log = Log()
    for value, at in zip(values, appended, strict=True):
        log.raw(value, appended=at)
    passed = Passed(log)
    block = log.block()
    for offset, letter in passed.letters.items():
        value = block.values[offset] or b""
        assert (letter["topic"], letter["partition"], letter["offset"]) == ("trades", 0, offset)
        assert letter["reason"]
        assert "\n" not in letter["reason"]
        assert b64decode(letter["value"]) == value[: 64 << 10]
        assert letter["size_bytes"] == len(value)
    without = Log()
    for i, value in enumerate(block.values):
        if i not in passed.letters:
            without.raw(value, appended=int(block.appended_ms[i]) - HOUR_MS)
    clean = Passed(without)
    assert clean.letters == {}
    assert passed.slices == clean.slices
    assert passed.bars == clean.bars
    expected = tallied(passed.owner.tallies)
    expected.pop("rejected", None)
    assert tallied(clean.owner.tallies) == expected
    return passed


def test_every_corner_in_every_field() -> None:
    # Each among good records, so that whatever becomes of it the others are there to be changed.
    whole = [text(trade) for trade in GOOD]
    for name in GOOD[0]:
        values = list(whole)
        for corner in CORNERS:
            fields = [b'"%s":%s' % (n.encode(), corner if n == name else text(v)) for n, v in GOOD[4].items()]  # type: ignore[arg-type]  # any value
            values += [
                b"{" + b",".join(fields) + b"}",
                text(GOOD[len(values) % len(GOOD)] | {"id": 1000 + len(values)}),
            ]
        passed = assert_only_these_are_lost(values, [400] * len(values))
        assert len(passed.letters) > 20


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32), share=st.sampled_from([0.05, 0.3, 1.0]))
def test_damaged_records_among_good_ones(seed: int, share: float) -> None:
    rng = random.Random(seed)
    values = [damaged(text(trade), rng) if rng.random() < share else text(trade) for trade in GOOD]
    assert_only_these_are_lost(values, [10 * i for i in range(len(values))])


@settings(max_examples=100)
@given(st.lists(st.one_of(st.binary(max_size=200), st.just(text(GOOD[0])), st.text().map(str.encode)), max_size=12))
@example([b""])
@example([b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", text(GOOD[0])])
def test_any_bytes(values: list[bytes]) -> None:
    assert_only_these_are_lost(values, [0] * len(values))


_json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=6,
)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(sorted(GOOD[0])), _json_values), min_size=1, max_size=6))
def test_any_json_in_any_field(changes: list[tuple[str, object]]) -> None:
    values = [text(trade) for trade in GOOD]
    values[3:3] = [json.dumps(GOOD[i] | {name: value}).encode() for i, (name, value) in enumerate(changes)]
    assert_only_these_are_lost(values, [200] * len(values))


@cache
def real() -> list[Trade]:
    return recorded.trades()[:2000]


@pytest.mark.recorded
@pytest.mark.skipif(not recorded.MARKET.is_dir(), reason="the recorded input is not beside the project")
@pytest.mark.parametrize("seed", range(5))
def test_damaged_real_records(seed: int) -> None:
    rng = random.Random(seed)
    whole = [msgspec.json.encode(trade) for trade in real()]
    values = [damaged(value, rng) if rng.random() < 0.1 else value for value in whole]
    passed = assert_only_these_are_lost(values, [trade.received_ms - HOUR_MS for trade in real()])
    assert 50 < len(passed.letters) < 200


def headers(value: bytes | None, name: str = "heartbeat") -> Headers:
    return ((name, value),)


@settings(max_examples=150)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.none(),
        st.builds(
            lambda seed: damaged(to_headers(Heartbeat("s", HOUR_MS))[0][1], random.Random(seed)), st.integers(0, 2**32)
        ),
        st.builds(
            lambda source, time_ms: b'{"source":%s,"time_ms":%s}' % (source, time_ms),
            st.sampled_from(CORNERS),
            st.sampled_from(CORNERS),
        ),
    )
)
@example(None)
@example(b"[" * 100_000)
def test_damaged_heartbeats(value: bytes | None) -> None:
    log = Log().raw(text(GOOD[0])).raw(None, headers(value)).raw(None, headers(value, "other")).raw(None, ())
    log.raw(text(GOOD[1]))
    passed = Passed(log)
    tallies = tallied(passed.owner.tallies)
    # What is left of a damaged one may be a heartbeat still, and the trade after it late.
    assert tallies["counted"] + tallies.get("late", 0) == 2
    assert passed.letters.keys() >= {2, 3}
    assert tallies.get("heartbeats", 0) + len(passed.letters) == 3


BEFORE = frame(1, upsert(0, 1.0, 2.0), upsert(1000, 4.0, symbol="B"), lanes={"s": 0})
AFTER = frame(2, upsert(0, 1.0, 2.0, 8.0), upsert(1000, 4.0, symbol="B"), lanes={"s": 1000})


def sent(**changes: object) -> bytes:
    """Write the first frame with some fields changed, whatever they are."""
    fields = {name: getattr(BEFORE, name) for name in Frame.__struct_fields__}
    return msgspec.msgpack.encode(list((fields | changes).values()))


def columns(**changes: bytes | None) -> dict[str, bytes]:
    return {name: value for name, value in (BEFORE.columns | changes).items() if value is not None}


def lane(source: object = "s", watermark_ms: object = HOUR_MS, frontier_ms: object = HOUR_MS) -> list[list[object]]:
    return [[source, watermark_ms, frontier_ms, False]]


def numbers(kind: str, *values: int) -> bytes:
    return np.array(values, kind).tobytes()


BAD_FRAMES = {
    "a column cut short": (sent(columns=columns(total=bytes(15))), "column total has 15 bytes, and 2 slices need 16"),
    "a column too long": (sent(columns=columns(total=bytes(24))), "column total has 24 bytes, and 2 slices need 16"),
    "columns of half the width": (sent(columns=columns(total=bytes(8))), "column total has 8 bytes"),
    "starts cut short": (sent(columns=columns(slice_ms=bytes(9))), "column source has 8 bytes, and 1 slices need 4"),
    "codes of another width": (sent(columns=columns(symbol=numbers("<u2", 0, 1))), "column symbol has 4 bytes"),
    "no starts": (sent(columns=columns(slice_ms=None)), "it has no slice_ms"),
    "no codes": (sent(columns=columns(source=None, symbol=None)), "it has no source, symbol"),
    "a code without a name": (
        sent(columns=columns(symbol=numbers("<u4", 0, 2))),
        "column symbol has the code 2, and there are 2 names",
    ),
    "the largest code": (
        sent(columns=columns(source=numbers("<u4", 0, 2**32 - 1))),
        "column source has the code 4294967295, and there are 1 names",
    ),
    "no names": (sent(sources=[]), "column source has the code 0, and there are 0 names"),
    "a start before time": (
        sent(columns=columns(slice_ms=numbers("<i8", -(2**63), HOUR_MS))),
        "a slice begins at -9223372036854775808 ms",
    ),
    "a start past time": (
        sent(columns=columns(slice_ms=numbers("<i8", 2**63 - 1, HOUR_MS))),
        "a slice begins at 9223372036854775807 ms",
    ),
    "a negative partition": (sent(partition=-1), "Expected `int` >= 0 - at `$[1]`"),
    "a partition past int64": (sent(partition=2**63), "Expected `int` <= 4611686018427387904 - at `$[1]`"),
    "a negative stamp": (sent(upto=-1), "Expected `int` >= 0"),
    "a stamp past int64": (sent(upto=2**64 - 1), "Expected `int` <= 4611686018427387904"),
    "negative partitions": (sent(partitions=-5), "Expected `int` >= 0"),
    "a frontier past int64": (sent(lanes=lane(frontier_ms=2**63)), "Expected `int` <= 4611686018427387904"),
    "a frontier that is a float": (sent(lanes=lane(frontier_ms=0.5)), "Expected `int`, got `float`"),
    "a lane named all": (sent(lanes=lane("all")), "`all` is reserved for all sources together"),
    "a source named all": (sent(sources=["all"]), "`all` is reserved for all sources together"),
    "a source with a |": (sent(sources=["a|b"]), "'a|b' has a `|`"),
    "a lane with a long name": (sent(lanes=lane("s" * 25)), "Expected `str` of length <= 24"),
    "lost from past int64": (sent(incomplete=[0, 2**64 - 1]), "Expected `int` <= 4611686018427387904"),
    "a column that isn't bytes": (
        sent(columns=BEFORE.columns | {"total": [1.0, 2.0]}),
        "Expected `bytes`, got `array`",
    ),
    "a map": (msgspec.msgpack.encode({"topic": "trades"}), "Expected `array`, got `object`"),
    "deep": (b"\x91" * 100_000 + b"\xc0", "Expected"),
    "deep in what nobody reads": (sent()[:1].replace(b"\x9c", b"\x9d") + sent()[1:] + b"\x91" * 100_000 + b"\xc0", ""),
}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.mark.parametrize(("bad", "reason"), BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_a_frame_that_cannot_be_is_one_dead_letter_and_changes_nothing(world: World, bad: bytes, reason: str) -> None:
    world.restore()
    world.read(msgspec.msgpack.encode(BEFORE), bad, msgspec.msgpack.encode(AFTER))
    ((topic, _, key, value),) = world.put_records
    letter = msgspec.json.decode(value, type=DeadLetter)
    assert (topic, key, letter.value) == ("dead-letters", b"slices|0|1", bad[: 64 << 10])
    assert letter.reason.startswith("not a frame: ")
    assert reason in letter.reason
    assert world.bars() == [("A", "1s", True, 3), ("A", "3s", False, 3), ("B", "1s", False, 1), ("B", "3s", False, 1)]


def test_a_frame_of_partitions_without_end_costs_no_time_and_holds_finals_back(world: World) -> None:
    world.restore()
    for partitions in (10**9, 2**62):
        world.read(sent(partitions=partitions, lanes=lane(frontier_ms=HOUR_MS + 9000)))
        assert not any(final for _, _, final, _ in world.bars())


def test_a_frame_of_an_endless_partition_number(world: World) -> None:
    world.restore()
    world.read(sent(partition=2**62), msgspec.msgpack.encode(AFTER))
    assert {(symbol, width, revision) for symbol, width, _, revision in world.bars()} >= {("A", "1s", 5)}
    assert SHARD in world.agent.checkpoint()


def _mutated_frame(seed: int) -> bytes:
    rng = random.Random(seed)
    if rng.random() < 0.5:
        return damaged_bytes(sent(), rng)
    strange = (
        0,
        1,
        -1,
        2**31,
        2**62,
        2**63,
        2**64 - 1,
        0.5,
        float("nan"),
        None,
        True,
        "",
        "all",
        "x" * 70,
        b"",
        [],
        {},
    )
    fields = {name: getattr(BEFORE, name) for name in Frame.__struct_fields__}
    for name in rng.sample(list(fields), rng.randrange(1, 3)):
        match fields[name]:
            case dict() as held:
                fields[name] = held | {
                    rng.choice([*held, "x"]): rng.choice([rng.randbytes(rng.choice([0, 8, 16])), *strange])
                }
            case list() if name == "lanes":
                fields[name] = [[rng.choice(["s", "t", *strange]) for _ in range(4)]]
            case list():
                fields[name] = [rng.choice(["s", "A", *strange]) for _ in range(rng.randrange(4))]
            case _:
                fields[name] = rng.choice(strange)
    return msgspec.msgpack.encode(list(fields.values())[: rng.choice([13, 13, 12, 7])])


def damaged_bytes(whole: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(whole))
        whole = whole[:at] + rng.choice([b"", rng.randbytes(1), whole[at : at + 1] + b"\x00"]) + whole[at + 1 :]
    return whole


@settings(max_examples=200)
@given(st.lists(st.one_of(st.integers(0, 2**32).map(_mutated_frame), st.binary(max_size=80)), min_size=1, max_size=4))
def test_damaged_frames_never_stop_a_shard(values: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        world = World(monkeypatch)
        world.restore()
        world.read(msgspec.msgpack.encode(BEFORE))
        for value in values:
            world.read(value)
            world.agent.flush()
        world.read(msgspec.msgpack.encode(AFTER))
        world.agent.flush()
        assert SHARD in world.agent.checkpoint()
        _, metadata = world.agent.checkpoint()[SHARD]
        # What it leaves behind can be taken up.
        world.restore(0, metadata)
        world.reread(0)
        world.agent.flush()
        for topic, _, _, value in world.put_records:
            assert topic in ("bars", "late", "dead-letters")
            json.loads(value)
