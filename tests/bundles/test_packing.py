"""What a bundle holds is what its events would be as JSON, bit for bit, and its bytes are as docs/bundles.md says."""

import math
import struct
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickertape.schemas.bundle import Decimals, Floats, Integers
from tickertape.schemas.post import Post
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.bundles.packing import floats, integers, pack
from tickertape.stream.bundles.unpacking import Unpacked

START_MS = 1_723_161_255_000
ANY = st.integers(-(2**63), 2**63 - 1)


def trade(number: int, **more: Any) -> Trade:
    fields = {"price": 60_214.8, "quantity": 0.015, "side": "buy", "received_ms": START_MS + number + 40} | more
    return Trade(symbol="BTC-USDT", source="binance", id=4_000_000_000 + number, time_ms=START_MS + number, **fields)


def unpacked(column: Any, n: int) -> np.ndarray[Any, Any]:
    value = msgspec.msgpack.encode([{"x": column}, {}])
    return Unpacked(value, n).array("x")


@given(st.lists(ANY, min_size=1, max_size=40) | st.lists(st.integers(-300, 70_000), min_size=1, max_size=40))
def test_integers_come_back(values: list[int]) -> None:
    assert unpacked(integers(np.array(values, np.int64)), len(values)).tolist() == values


@pytest.mark.parametrize(
    ("values", "column"),
    [
        ([7, 7, 7], Integers(7, b"")),
        ([10, 11, 265], Integers(10, b"\x00\x01\xff")),
        ([5, 261], Integers(5, b"\x00\x00\x00\x01")),
        # Ids far apart that rise by little: the steps take a byte each.
        ([10**12, 10**12 + 100, 10**12 + 190, 10**12 + 290], Integers(10**12, b"\x00\x64\x5a\x64", steps=True)),
        ([-(2**63), 2**63 - 1], Integers(-(2**63), b"\x00\xff", steps=True)),
    ],
)
def test_integers_take_few_bytes(values: list[int], column: Integers) -> None:
    assert integers(np.array(values, np.int64)) == column
    assert unpacked(column, len(values)).tolist() == values


def decimal() -> st.SearchStrategy[float]:
    """A number as an exchange writes it: some digits, a point among them."""
    return st.builds(lambda digits, places: float(f"{digits}e-{places}"), st.integers(0, 10**15), st.integers(0, 12))


@given(st.lists(decimal(), min_size=1, max_size=30) | st.lists(st.floats(), min_size=1, max_size=30))
def test_floats_come_back_bit_for_bit(values: list[float]) -> None:
    found = unpacked(floats(np.array(values)), len(values))
    assert struct.pack(f"{len(values)}d", *found) == struct.pack(f"{len(values)}d", *values)


def test_prices_travel_as_mantissa_and_exponent() -> None:
    assert floats(np.array([60_214.8, 60_214.81, 60_215.0])) == Decimals(Integers(6021480, b"\x00\x01\x14"), -2)
    # A sum that isn't a short decimal, and minus zero, which has no mantissa.
    assert floats(np.array([0.1 + 0.2])) == Floats(struct.pack("<d", 0.30000000000000004))
    assert floats(np.array([-0.0])) == Floats(struct.pack("<d", -0.0))


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-400, 400))
def test_decimals_of_others_are_read_to_the_nearest_double(mantissa: int, exponent: int) -> None:
    (found,) = unpacked(Decimals(Integers(mantissa), exponent), 1).tolist()
    assert found == float(f"{mantissa}e{exponent}")


def test_the_bytes_of_a_bundle() -> None:
    """Made by hand from docs/bundles.md: an array of two maps; a column is an array of its kind and its parts."""
    value = pack([trade(0), trade(3, price=60_214.9, side="sell")])
    assert msgspec.msgpack.decode(value) == [
        {
            "symbol": ["texts", ["BTC-USDT"], ["integers", 0, b"", False]],
            "source": ["texts", ["binance"], ["integers", 0, b"", False]],
            "id": ["integers", 4_000_000_000, b"\x00\x03", False],
            "time_ms": ["integers", START_MS, b"\x00\x03", False],
            "price": ["decimals", ["integers", 602_148, b"\x00\x01", False], -1],
            "quantity": ["decimals", ["integers", 15, b"", False], -3],
            "side": ["texts", ["buy", "sell"], ["integers", 0, b"\x00\x01", False]],
            "received_ms": ["integers", START_MS + 40, b"\x00\x03", False],
        },
        {},
    ]


def test_nulls_are_marked() -> None:
    value = pack([trade(0, side=None), trade(1), trade(2, last_id=4_000_000_009)])
    _, given_ = msgspec.msgpack.decode(value)
    assert given_ == {"side": b"\x06", "last_id": b"\x04"}


TRADES = [
    trade(0),
    trade(1, side=None, last_id=4_000_000_009, sequence=7),
    trade(2, price=1e-9, quantity=1e18, received_ms=0),
    Trade(symbol="Ä-€", source="bybit", id="8d7a-uuid", time_ms=START_MS, price=0.1 + 0.2, quantity=1.0),
]
QUOTE = Quote(
    symbol="BTC-USDT", source="x", id=5, time_ms=START_MS, bid=1.5, bid_quantity=2.0, ask=1.25, ask_quantity=3.125
)
POSTS = [
    Post(author="a", source="bluesky", id=1, time_ms=START_MS, text='two\nlines, "quoted"', tags=("x", "y"), likes=3),
    Post(author="b", source="bluesky", id=2, time_ms=START_MS, text="", symbols=("BTC",), sentiment=-0.25, copy_of=1),
    Post(author="b", source="bluesky", id=3, time_ms=START_MS, text="é", sentiment=-0.0, language="en"),
]


@pytest.mark.parametrize("events", [TRADES, TRADES[:1], TRADES[1:3], [QUOTE, QUOTE], POSTS, POSTS[1:]])
def test_each_event_comes_back_as_its_json(events: list[Any]) -> None:
    bundle, decode = Unpacked(pack(events), len(events)), msgspec.json.Decoder(type(events[0])).decode
    found = [decode(bundle.json(at)) for at in range(len(events))]
    assert bundle.texts == [bundle.json(at) for at in range(len(events))]
    assert found == events
    # Zeros of two signs are equal; their JSON isn't.
    assert [msgspec.json.encode(event) for event in found] == [msgspec.json.encode(event) for event in events]


def test_what_is_no_number_is_null_as_in_json() -> None:
    bundle = Unpacked(pack([trade(0, price=math.nan), trade(1, price=math.inf)]), 2)
    assert [msgspec.json.decode(bundle.json(at))["price"] for at in (0, 1)] == [None, None]


def test_a_bundle_of_trades_takes_a_sixth_of_their_json() -> None:
    rng = np.random.default_rng(4)
    events = [
        Trade(
            symbol=f"S{rng.integers(50):02}-USD",
            source="binance",
            id=number,
            time_ms=START_MS + number // 10,
            price=round(float(rng.uniform(10, 50_000)), 4),
            quantity=round(float(rng.exponential(1)), 6) + 1.0,
            side="buy",
            received_ms=START_MS + number // 10 + 3,
        )
        for number in range(1000)
    ]
    assert len(pack(events)) * 6 < sum(len(msgspec.json.encode(event)) for event in events)
