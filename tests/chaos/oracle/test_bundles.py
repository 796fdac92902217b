"""The oracle's own way to take a bundle apart, on one written by hand."""

import msgspec

from tickertape.stream.chaos.oracle.bundles import events_of

HEADERS = {"bundle": b'{"version":1,"events":3}'}


def test_each_kind_of_column() -> None:
    columns = {
        "id": ["integers", 2**40, b"\x00\x64\xff", True],
        "time_ms": ["integers", -5, b"\x00\x00\x01\x00\x00\x01", False],
        "all": ["integers", 7, b"", False],
        "price": ["decimals", ["integers", 6021480, b"\x00\x01\x14", False], -2],
        "size": ["floats", b"\x00\x00\x00\x00\x00\x00\xf8\x3f" * 3],
        "symbol": ["texts", ["A", "B"], ["integers", 0, b"\x01\x00\x01", False]],
        "tags": ["values", b'["x"]\n[]\n["y","z"]'],
        "side": ["texts", ["buy"], ["integers", 0, b"", False]],
    }
    found = events_of(msgspec.msgpack.encode([columns, {"side": b"\x05"}]), HEADERS)
    side = {"side": "buy"}
    common = {"all": 7, "size": 1.5}
    assert found == [
        {"id": 2**40, "time_ms": -5, "price": 60214.80, "symbol": "B", "tags": ["x"], **common, **side},
        {"id": 2**40 + 100, "time_ms": -4, "price": 60214.81, "symbol": "A", "tags": [], **common, "side": None},
        {"id": 2**40 + 99, "time_ms": 251, "price": 60215.00, "symbol": "B", "tags": ["y", "z"], **common, **side},
    ]


def test_what_is_none() -> None:
    assert events_of(b"{}", {}) is None
    for value in (b"{}", b"x 12: not a trade", msgspec.msgpack.encode([{"a": ["integers", 0, b"\1\2", False]}, {}])):
        assert events_of(value, HEADERS) is None
