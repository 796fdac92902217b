"""Rows are written as msgspec writes them, and numbers as their shortest decimals."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, field
from msgspec.json import encode

from tests.compiled.both import needs_library
from tickertape.stream.compiled.rows import Field, PackedRecords, RowWriter
from tickertape.stream.engine.core.results import Results, ResultWriter, output_of

pytestmark = needs_library

ONE = RowWriter(([], b""), ([Field(b"", "x")], b""))


def written(column: Any) -> list[str]:
    """Return the numbers of a column as texts."""
    rows = ONE.rows({"x": column})
    assert rows is not None
    return [value.decode() for _, value in rows.write(0, len(column))]


# The shortest decimals that are read as these doubles again, by David Gay's algorithm, which Python's repr has.
SHORTEST = {
    "5e-324": "0x1p-1074",
    "2.225073858507201e-308": "0x0.fffffffffffffp-1022",
    "2.2250738585072014e-308": "0x1p-1022",
    "1.7976931348623157e308": "0x1.fffffffffffffp1023",
    "9007199254740992.0": "0x1p53",
    "9007199254740994.0": "0x1.0000000000001p53",
    "9.5367431640625e-7": "0x1p-20",
    "2.9802322387695312e-8": "0x1p-25",
    "1e23": "0x1.52d02c7e14af6p76",
    "1.0000000000000001e23": "0x1.52d02c7e14af7p76",
    "9.999999999999996e22": "0x1.52d02c7e14af4p76",
    "0.30000000000000004": "0x1.3333333333334p-2",
    "-4.35": "-0x1.1666666666666p2",
}


@pytest.mark.parametrize("text", SHORTEST)
def test_a_float_is_its_shortest_decimal(text: str) -> None:
    number = float.fromhex(SHORTEST[text])
    assert float(repr(number)) == float(text) == number
    assert written(np.array([number])) == [text]


def test_numbers_are_laid_out_as_msgspec_does_it() -> None:
    numbers = [0.0, -0.0, 1.0, -1.5, 100.0, 1234567.0, 1e-4, 1.2e-4, 1e-5, 1e-6, 1.25e-6, 1e15, 1e16, 1e17]
    numbers += [123456789012345680.0, 12345678901234568.0, math.nan, math.inf, -math.inf]
    assert written(np.array(numbers)) == [encode(number).decode() for number in numbers]
    assert written(np.array([1e-5, 1e15, 1e16, -0.0, math.nan])) == [
        "0.00001",
        "1000000000000000.0",
        "1e16",
        "-0.0",
        "null",
    ]


@given(st.lists(st.floats(), min_size=1))
def test_floats_are_those_of_msgspec(numbers: list[float]) -> None:
    assert written(np.array(numbers)) == [encode(number).decode() for number in numbers]


@given(st.lists(st.decimals(-(10**6), 10**6, places=4).map(float), min_size=1))
def test_prices_are_those_of_msgspec(numbers: list[float]) -> None:
    assert written(np.array(numbers)) == [encode(number).decode() for number in numbers]


def test_every_power_of_two_and_its_neighbours() -> None:
    powers = np.ldexp(1.0, np.arange(-1074, 1024))
    numbers = np.concatenate([powers, np.nextafter(powers, 0), np.nextafter(powers[:-1], np.inf)])
    texts = written(numbers)
    assert [float(text) for text in texts] == numbers.tolist()
    assert texts == [encode(number).decode() for number in numbers.tolist()]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_integers(numbers: list[int]) -> None:
    assert written(np.array(numbers, np.int64)) == [str(number) for number in numbers]


def test_integers_of_every_length() -> None:
    numbers = [sign * (10**power + less) for power in range(19) for less in (-1, 0, 1) for sign in (1, -1)]
    assert written(np.array(numbers, np.int64)) == [str(number) for number in numbers]


class Everything(Struct, frozen=True, tag_field="kind", tag="every"):
    symbol: str
    source: str
    resolution: str
    start_ms: int
    number: float
    maybe: float | None
    count: int
    missing: int | None
    final: bool
    long: int = field(name="a_name_of_more_than_thirty_two_letters_in_all")


names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=9)
rows = st.tuples(names, names, st.integers(0, 2**53), st.floats(), st.integers(-(2**63), 2**63 - 1), st.booleans())


@given(st.lists(rows, min_size=1, max_size=30))
def test_results_are_those_that_msgspec_writes(drawn: list[tuple[str, str, int, float, int, bool]]) -> None:
    symbols, sources, starts_ms, numbers, counts, flags = zip(*drawn, strict=True)
    keys = [(symbol, source, "1s", start_ms) for symbol, source, start_ms, *_ in drawn]
    columns = {
        "number": np.array(numbers),
        "maybe": np.array(numbers)[::-1],
        "count": np.array(counts, np.int64),
        "missing": np.array(counts, np.int64),
        "final": np.array(flags),
        "long": np.array(starts_ms, np.int64),
    }
    blocks = ResultWriter(output_of("all", Everything)).write(keys, columns)
    assert all(isinstance(block.write(), PackedRecords) for block in blocks)
    expected = [
        Everything(*key, number, maybe, count, None if count < 0 else count, final, key[3])
        for key, number, maybe, count, final in zip(keys, numbers, numbers[::-1], counts, flags, strict=True)
    ]
    results = list(Results(blocks))
    assert [symbol for _, symbol, _, _ in results] == list(symbols)
    assert [value for *_, value in results] == [encode(one) for one in expected]
    assert [key.decode() for _, _, key, _ in results] == [
        f"{symbol}|{source}|1s|{start_ms}|every" for symbol, source, _, start_ms in keys
    ]
    assert len(sources) == len(results)


def test_more_rows_than_are_written_at_once_keep_their_order() -> None:
    n = 5000
    keys = [(f"S{i}", "s", "1s", i) for i in range(n)]

    class Bare(Struct, frozen=True):
        symbol: str
        source: str
        resolution: str
        start_ms: int

    results = list(Results(ResultWriter(output_of("bare", Bare)).write(keys, {})))
    assert [(symbol, json.loads(value)["start_ms"]) for _, symbol, _, value in results] == [
        (f"S{i}", i) for i in range(n)
    ]


def test_a_column_of_another_type_is_left_to_msgspec() -> None:
    class Top(Struct, frozen=True):
        symbol: str
        source: str
        resolution: str
        start_ms: int
        top: list[str]

    column = np.empty(1, object)
    column[0] = ["#a"]
    ((*_, value),) = Results(ResultWriter(output_of("top", Top)).write([("A", "s", "1s", 0)], {"top": column}))
    assert json.loads(value)["top"] == ["#a"]


def test_a_negative_integer_is_null_where_a_field_may_be_null() -> None:
    class Missing(Struct, frozen=True):
        symbol: str
        source: str
        resolution: str
        start_ms: int
        missing: int | None
        change: int

    keys = [("A", "s", "1s", start_ms) for start_ms in range(3)]
    columns = {name: np.array([-1, 0, -(2**63)]) for name in ("missing", "change")}
    values = [value for *_, value in Results(ResultWriter(output_of("missing", Missing)).write(keys, columns))]
    assert [json.loads(value)["missing"] for value in values] == [None, 0, None]
    assert [json.loads(value)["change"] for value in values] == [-1, 0, -(2**63)]
