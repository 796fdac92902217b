"""Tables from Structs: a column a field."""

from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec import Struct

from tickertape.stream.errors import ConfigError
from tickertape.stream.replay.parquet import write
from tickertape.stream.results.arrow import schema_of, table_of


class Row(Struct):
    name: str
    side: Literal["buy", "sell"]
    at_ms: int
    price: float
    mean: float | None
    final: bool
    value: bytes
    names: list[str]
    counts: list[tuple[str, int]]


def test_each_field_is_a_column() -> None:
    assert schema_of(Row) == pa.schema(
        [
            pa.field("name", pa.string(), nullable=False),
            pa.field("side", pa.string(), nullable=False),
            pa.field("at_ms", pa.int64(), nullable=False),
            pa.field("price", pa.float64(), nullable=False),
            pa.field("mean", pa.float64()),
            pa.field("final", pa.bool_(), nullable=False),
            pa.field("value", pa.binary(), nullable=False),
            pa.field("names", pa.list_(pa.string()), nullable=False),
            pa.field("counts", pa.map_(pa.string(), pa.int64()), nullable=False),
        ]
    )


def test_a_field_that_has_no_column_is_told_of() -> None:
    class Odd(Struct):
        times: dict[str, int]

    with pytest.raises(ConfigError, match=r"Odd\.times: a column can't hold this type"):
        schema_of(Odd)


def test_rows_are_sorted_and_the_same_whatever_the_tables(tmp_path: Path) -> None:
    rows = [
        Row("b", "buy", 2, 0.1, None, True, b"x", [], [("y", 2), ("x", 1)]),
        Row("b", "sell", 1, 1e300, 0.5, False, b"", ["a", "b"], []),
        Row("a", "buy", 3, -0.0, 2.0, True, b"\xff", ["é"], [("z", 3)]),
    ]
    write(tmp_path / "one", [table_of(Row, rows)], ["name", "at_ms"])
    write(tmp_path / "two", [table_of(Row, rows[1:]), table_of(Row, []), table_of(Row, rows[:1])], ["name", "at_ms"])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    read = [Row(**row) for row in pq.read_table(tmp_path / "one").to_pylist()]
    assert list(map(repr, read)) == [repr(rows[2]), repr(rows[1]), repr(rows[0])]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
