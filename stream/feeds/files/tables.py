"""Events in Parquet: one column per field, times as milliseconds or as timestamps of any unit and zone."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tickertape.schemas.events import Event
from tickertape.schemas.post import Post
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.errors import InputError
from tickertape.stream.feeds.define.format import Format
from tickertape.stream.feeds.define.units import convert

BATCH_ROWS = 8192
# Fields whose decimals keep their digits.
_NUMBERS = frozenset(("price", "quantity", "bid", "bid_quantity", "ask", "ask_quantity"))
# Other names of a field's column, accepted if it holds timestamps.
_TIMESTAMP_COLUMNS = {"time_ms": ("time", "timestamp"), "received_ms": ("received",)}


def events(path: Path, on_bad_row: Callable[[str], None]) -> Generator[Event, None, None]:
    """Yield the events of a file, in the order of its rows.

    Parameters
    ----------
    path
        The file. Its columns decide whether it holds trades, quotes or posts; other columns are ignored.
    on_bad_row
        Called with ``file: row: reason`` for each row that is not an event.

    Raises
    ------
    InputError
        The file can't be read, or has no column for a required field.
    """
    with _open(path) as file:
        schema = file.schema_arrow
        there = set(schema.names)
        kind = Quote if "bid" in there else Post if "author" in there else Trade
        columns = _find_columns(path, schema, kind)
        optional = {field.name for field in msgspec.structs.fields(kind) if not field.required}
        number = 0
        for batch in file.iter_batches(BATCH_ROWS, columns=list(columns.values())):
            found = [_convert_column(batch.column(column), path, column) for column in columns.values()]
            rows = pa.RecordBatch.from_arrays(found, names=list(columns)).to_pylist()
            if any(one.null_count for one in found):
                rows = [{k: v for k, v in row.items() if v is not None or k not in optional} for row in rows]
            converted = _convert_rows(path, rows, kind, number, on_bad_row)
            if digits := [
                name for name in _NUMBERS & columns.keys() if pa.types.is_decimal(batch.column(columns[name]).type)
            ]:
                texts = batch.select([columns[name] for name in digits]).rename_columns(digits).to_pylist()
                converted = _with_digits(converted, texts, number)
            yield from (event for _, event in converted)
            number += len(rows)


def _convert_rows(
    path: Path, rows: list[dict[str, Any]], kind: type[Any], before: int, on_bad_row: Callable[[str], None]
) -> Iterator[tuple[int, Event]]:
    """Yield the events of rows, each with its row's number."""
    try:
        converted = msgspec.convert(rows, list[kind])  # type: ignore[valid-type]  # a type that is chosen here
    except msgspec.ValidationError:
        pass
    else:
        yield from enumerate(converted, before + 1)
        return
    for number, row in enumerate(rows, before + 1):
        try:
            yield number, convert(row, kind)
        except ValueError as error:
            on_bad_row(f"{path}: row {number}: {error}")


def _with_digits(
    events: Iterator[tuple[int, Event]], digits: list[dict[str, Any]], before: int
) -> Iterator[tuple[int, Event]]:
    """Yield events with the decimals of their rows, so that no digit of them is lost."""
    for number, event in events:
        row: Any = event
        kept = {name: value for name, value in digits[number - before - 1].items() if isinstance(value, Decimal)}
        yield number, msgspec.structs.replace(row, **kept)


def _find_columns(path: Path, schema: pa.Schema, kind: type[Any]) -> dict[str, str]:
    """Return the name of the column of each field that has one."""
    columns = {}
    for field in msgspec.structs.fields(kind):
        also = [name for name in _TIMESTAMP_COLUMNS.get(field.name, ()) if name in schema.names]
        also = [name for name in also if pa.types.is_timestamp(schema.field(name).type)]
        found = [name for name in (field.name, *also) if name in schema.names]
        if found:
            columns[field.name] = found[0]
        elif field.required:
            others = " or ".join(f"`{name}`" for name in _TIMESTAMP_COLUMNS.get(field.name, ()))
            raise InputError(
                f"{path}: no column for the required field {field.name}"
                + (f" (or a timestamp column {others})" if others else "")
                + f"; the columns are {', '.join(sorted(schema.names))}"
            )
    return columns


def _convert_column(column: pa.Array, path: Path, name: str) -> pa.Array:
    """Return a column whose values a field can be checked with: timestamps as milliseconds, decimals as floats."""
    try:
        if pa.types.is_timestamp(column.type):
            return pc.cast(
                pc.floor_temporal(column, unit="millisecond").cast(pa.timestamp("ms", column.type.tz)), "int64"
            )
        if pa.types.is_decimal(column.type):
            return pc.cast(column, "float64")
    except pa.ArrowException as error:
        raise InputError(f"{path}: column {name}: {' '.join(str(error).split())}") from None
    return column


@contextmanager
def _open(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: can't be read as Parquet: {' '.join(str(error).split())}") from None


#: Parquet files whose columns are named as the fields of an event.
FORMAT = Format("parquet", None, (Trade, Quote, Post), read=events)
