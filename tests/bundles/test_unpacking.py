"""What can't be a bundle is refused as a whole, in bounded time, with the reason in a line."""

import time
from typing import Any

import msgspec
import pytest

from tests.bundles.test_packing import trade
from tickertape.schemas.bundle import MOST_BYTES, MOST_EVENTS, to_headers
from tickertape.stream.bundles.packing import pack
from tickertape.stream.bundles.unpacking import BadBundle, Unpacked, events_in, header_of

NONE = ["integers", 0, b"", False]


def bundle(column: Any, given: Any = None) -> bytes:
    return msgspec.msgpack.encode([{"x": column}, given or {}])


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"", "not a bundle: Input data was truncated"),
        (b"\x92\x80", "not a bundle: Input data was truncated"),
        (b'{"symbol":"A"}', "not a bundle: "),
        (b"\xc0", "not a bundle: Expected `array`, got `None`"),
        (bundle(["other", 1]), "not a bundle: Invalid value 'other' - at `$[0][...][0]`"),
        (bundle(["integers", 0, b"\0\0", False]), "x: not a column of 3 events"),
        (bundle(["integers", 0, b"\0" * 9, False]), "x: not a column of 3 events"),
        (bundle(["integers", 2**64 - 1, b"", False]), "not a bundle: "),
        (bundle(["decimals", ["integers", 0, b"\0", False], 0]), "x: not a column of 3 events"),
        (bundle(["decimals", NONE, 401]), "not a bundle: Expected `int` <= 400 - at `$[0][...][2]`"),
        (bundle(["floats", b"\0" * 23]), "x: not a column of 3 events"),
        (bundle(["texts", ["a", "b"], ["integers", 0, b"\0\1\2", False]]), "x: not a column of 3 events"),
        (bundle(["texts", ["a", "b"], ["integers", -1, b"\1\0\1", False]]), "x: not a column of 3 events"),
        (bundle(["texts", [], NONE]), "x: not a column of 3 events"),
        (bundle(["values", b"1\n2"]), "x: not a column of 3 events"),
        (bundle(["texts", ["\0"], NONE]).replace(b"\xa1\0", b"\xa1\xff"), "not a bundle: "),
        (bundle(NONE, {"x": b"\1\0"}), "x: where it is given isn't said for 3 events"),
        (bundle(NONE, {"y": b"\1"}), "y: where it is given isn't said for 3 events"),
        (msgspec.msgpack.encode([{str(n): NONE for n in range(65)}, {}]), "not a bundle: Expected `object` of length"),
        (b"\0" * (MOST_BYTES + 1), "a bundle of 1048577 bytes, and the most is 1048576"),
        (b"\x92\x81\xa1x" + b"\x91" * 100_000, "not a bundle: "),
    ],
)
def test_what_is_no_bundle_of_three_events(value: bytes, why: str) -> None:
    with pytest.raises(BadBundle) as refused:
        Unpacked(value, 3)
    assert str(refused.value).startswith(why)
    assert "\n" not in str(refused.value)


def test_a_column_that_is_left_out_is_no_error_here() -> None:
    bundle = Unpacked(msgspec.msgpack.encode([{}, {}]), 3)
    assert (bundle.json(1), bundle.texts) == (b"{}", [b"{}"] * 3)


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (None, "the header of a bundle can't be read: Input data was truncated"),
        (b"{}", "the header of a bundle can't be read: Object missing required field `version`"),
        (b'{"version":2,"events":9}', "a bundle of version 2, and this reader knows version 1"),
        (b'{"version":1,"events":0}', "the header of a bundle can't be read: Expected `int` >= 1"),
        (b'{"version":1,"events":4097}', "the header of a bundle can't be read: Expected `int` <= 4096"),
        (b'{"version":1,"events":1000000000000000000000}', "the header of a bundle can't be read: "),
        (b"\xff", "the header of a bundle can't be read: "),
    ],
)
def test_a_header_that_says_nothing_is_refused(header: bytes | None, why: str) -> None:
    with pytest.raises(BadBundle) as refused:
        header_of([("trace", b"1"), ("bundle", header)])
    assert str(refused.value).startswith(why)
    assert events_in([("bundle", header)]) == 1


def test_the_number_of_events_is_in_the_header() -> None:
    assert to_headers(1000) == [("bundle", b'{"version":1,"events":1000}')]
    assert events_in(to_headers(1000)) == 1000
    assert (header_of([("trace", b"1")]), events_in([("trace", b"1")]), events_in([])) == (None, 1, 1)


def test_the_header_decides_how_many_events_there_are() -> None:
    value = pack([trade(number) for number in range(3)])
    assert len(Unpacked(value, 3)) == 3
    with pytest.raises(BadBundle, match="not a column of 4 events"):
        Unpacked(value, 4)


def test_the_largest_bundle_takes_little_time() -> None:
    """Numbers beyond what doubles divide exactly are read one by one."""
    slow = bundle(["decimals", ["integers", 2**62, b"\1" * MOST_EVENTS, True], -333])
    began = time.process_time()
    Unpacked(slow, MOST_EVENTS).array("x")
    assert time.process_time() - began < 0.5
