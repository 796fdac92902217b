"""Records as objects, and records that were scanned, have the same columns."""

from random import Random
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from tests.compiled.both import Odd, bits, decoders, everything, needs_library
from tests.compiled.generated import generated
from tickertape.schemas.fields import hash_of
from tickertape.schemas.post import Post
from tickertape.schemas.trade import Trade
from tickertape.stream.engine.core.records import FlatField, StructRecords, flat_fields
from tickertape.stream.engine.core.values import PackedValues
from tickertape.stream.engine.slices.scanner import Scan, Scanner


class Some(Struct, kw_only=True):
    symbol: Annotated[str, Meta(max_length=9)]
    id: int | str
    price: Annotated[float, Meta(gt=0, le=5)]
    rate: float | None = None
    size: Annotated[int, Meta(gt=1, lt=9)] | None = 4
    side: Literal["buy", "sell"] | None = None
    note: str = ""
    tags: list[str] = []


SOME = [
    Some(symbol="A", id=1, price=1.5, rate=0.5, side="sell"),
    Some(symbol="B", id="x", price=2.5, size=None),
    Some(symbol="C", id=3, price=3.5, side="buy"),
]


def records(some: list[Some] = SOME) -> StructRecords:
    return StructRecords(Some, some)


def test_flat_fields_are_numbers_choices_and_names() -> None:
    most = 2**63 - 1
    assert flat_fields(Some) == {
        "symbol": FlatField("name", True, False, None, 0, 9),
        "id": FlatField("integer", True, False, None, -most, most, texts=(0, most)),
        "price": FlatField("float", True, False, None, 0, 5, above_low=True),
        "rate": FlatField("float", False, True, None, -np.inf, np.inf),
        "size": FlatField("integer", False, True, 4, 2, 8),
        "side": FlatField("choice", False, True, None, 0, 1, choices=("buy", "sell")),
    }


def test_columns_of_objects() -> None:
    found = records()
    assert found.column("id").tolist() == [1, -1 - hash_of("x"), 3]
    assert found.column("price").tolist() == [1.5, 2.5, 3.5]
    assert found.column("rate").tolist() == [0.5, 0.0, 0.0]
    assert found.column("size").tolist() == [4, 0, 4]
    assert found.given("rate").tolist() == [True, False, False]
    assert found.given("size").tolist() == [True, False, True]
    assert found.given("side").tolist() == [True, False, True]
    assert found.given("price").tolist() == [True] * 3
    assert found.equals("side", "buy").tolist() == [False, False, True]
    assert found.equals("side", "sell").tolist() == [True, False, False]


def test_columns_of_none_at_all() -> None:
    absent = records([Some(symbol="A", id=1, price=1.5, size=None)] * 2)
    assert absent.column("rate").dtype == np.float64
    assert absent.column("size").dtype == np.int64
    assert absent.column("size").tolist() == [0, 0]
    assert absent.given("size").tolist() == [False, False]
    assert records([]).column("rate").tolist() == []


@pytest.mark.parametrize("name", ["symbol", "side", "note", "tags", "nothing"])
def test_only_numbers_have_a_column(name: str) -> None:
    with pytest.raises(KeyError):
        records().column(name)


def test_they_are_a_sequence() -> None:
    assert list(records()) == SOME
    assert (len(records()), records()[1], records()[1:]) == (3, SOME[1], SOME[1:])


def scanned(record: type[Struct], values: list[bytes]) -> Scan:
    decoder, _ = decoders(record)
    assert decoder._scanner is not None
    decoder.sources.codes([msgspec.json.decode(value)["source"] for value in values])
    decoder.symbols.codes([msgspec.json.decode(value)["symbol"] for value in values])
    return decoder._scanner.scan(PackedValues.of(values))


def assert_same(record: type[Struct], scan: Scan, objects: StructRecords) -> None:
    mine, theirs = everything(record, scan), everything(record, objects)
    assert mine.keys() == theirs.keys()
    for name, column in mine.items():
        assert column.dtype == theirs[name].dtype, name
        assert bits(column).tolist() == bits(theirs[name]).tolist(), name


@needs_library
@pytest.mark.parametrize("record", [Trade, Odd])
@given(seed=st.integers(0, 1 << 32))
def test_scanned_records_have_the_columns_of_objects(record: type[Struct], seed: int) -> None:
    values = generated(record, Random(seed), 20)
    objects = [msgspec.json.decode(value, type=record) for value in values]
    scan = scanned(record, values)
    assert scan.scanned.any()
    assert_same(record, scan.where(scan.scanned), _some(record, objects, scan.scanned))
    # What isn't scanned is filled in.
    left = np.flatnonzero(~scan.scanned)
    codes = {"source": np.zeros(len(left), np.int64), "symbol": np.ones(len(left), np.int64)}
    scan.fill(left, _some(record, objects, ~scan.scanned), codes)
    assert_same(record, scan, StructRecords(record, objects))
    assert (scan.codes("source")[left] == 0).all()
    assert (scan.codes("symbol")[left] == 1).all()


def _some(record: type[Struct], objects: list[Any], mask: Any) -> StructRecords:
    return StructRecords(record, [each for each, kept in zip(objects, mask.tolist(), strict=True) if kept])


@needs_library
def test_scanned_records_are_a_sequence_of_objects_too() -> None:
    values = generated(Trade, Random(1), 9)
    objects = [msgspec.json.decode(value, type=Trade) for value in values]
    scan = scanned(Trade, values)
    assert not scan.iterated
    assert (len(scan), scan[4], scan[-1], scan[2:5]) == (9, objects[4], objects[-1], objects[2:5])
    assert scan.iterated
    assert list(scan) == objects
    assert list(scan.where(np.arange(9) % 2 == 0)) == objects[::2]


@needs_library
def test_columns_are_not_for_writing() -> None:
    values = generated(Trade, Random(1), 9)
    for each in (scanned(Trade, values), StructRecords(Trade, [msgspec.json.decode(v, type=Trade) for v in values])):
        with pytest.raises(ValueError, match="read-only"):
            each.column("price")[0] = 1.0
        with pytest.raises(KeyError):
            each.column("side")


class Record(Struct, kw_only=True):
    symbol: str
    source: str
    id: int
    time_ms: int
    received_ms: int = 0


def scanner(record: type[Any]) -> Scanner | None:
    return decoders(record)[0]._scanner


@needs_library
def test_what_the_scanner_can_not_read_has_none() -> None:
    own: list[Any] = [("symbol", str), ("source", str), ("id", int), ("time_ms", int), ("received_ms", int)]

    def of(*fields: Any, **options: Any) -> Scanner | None:
        return scanner(msgspec.defstruct("Made", [*own, *fields], **options))

    assert scanner(Record) is not None
    assert scanner(Post) is None
    assert of(("x", list[int])) is None
    assert of(("x", str)) is None
    assert of(("x", bool)) is None
    assert of(("x", int), rename={"x": "x y"}) is None
    assert of(("x", int), rename={"x": "é"}) is None
    assert of(("x" * 64, int)) is not None
    assert of(("x" * 65, int)) is None
    assert of(tag=True) is None
    assert of(array_like=True) is None
    assert of(("x", Literal["y" * 64])) is not None
    assert of(("x", Literal["é" * 32])) is not None
    assert of(("x", Literal["é" * 33])) is None
    # msgspec doesn't check defaults.
    assert of(("x", float, 1)) is not None
    assert of(("x", int, None)) is None
    assert of(("x", int, 1.5)) is None
    assert of(("x", int, 2**63)) is None
    assert of(("x", float, 10**400)) is None
    assert of(("x", int | msgspec.UnsetType, msgspec.UNSET)) is None
    assert of(("x", Literal["a"], "b")) is None
    # What every record has, as another kind.
    assert scanner(msgspec.defstruct("Made", [*own[1:], ("symbol", int)])) is None
    assert scanner(msgspec.defstruct("Made", [*own[:4], ("received_ms", int | None)])) is None
    assert scanner(msgspec.defstruct("Made", [*own[:4], ("received_ms", float)])) is None
