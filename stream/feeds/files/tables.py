"""Events in Parquet: one column per field, times as milliseconds or as timestamps of any unit and zone."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
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
from tickertape.stream.feeds.sources.units import convert

BATCH_ROWS = 8192
# Other names of a field's column, if that holds timestamps.
_ALSO = {"time_ms": ("time", "timestamp"), "received_ms": ("received",)}


def events(path: Path, turn_down: Callable[[str], None]) -> Generator[Event, None, None]:
    """Yield the events of a file, in the order of its rows.

    Parameters
    ----------
    path
        The file. Its columns decide whether it holds trades, quotes or posts; columns that are no field are ignored.
    turn_down
        Called with ``file: row: reason`` for each row that is not an event.

    Raises
    ------
    InputError
        The file can't be read, or has no column for a required field.
    """
    with _opened(path) as file:
        schema = file.schema_arrow
        there = set(schema.names)
        kind = Quote if "bid" in there else Post if "author" in there else Trade
        columns = _columns(path, schema, kind)
        optional = {field.name for field in msgspec.structs.fields(kind) if not field.required}
        number = 0
        for batch in file.iter_batches(BATCH_ROWS, columns=list(columns.values())):
            found = [_plain(batch.column(column), path, column) for column in columns.values()]
            rows = pa.RecordBatch.from_arrays(found, names=list(columns)).to_pylist()
            if any(one.null_count for one in found):
                rows = [{k: v for k, v in row.items() if v is not None or k not in optional} for row in rows]
            yield from _converted(path, rows, kind, number, turn_down)
            number += len(rows)


def _converted(
    path: Path, rows: list[dict[str, Any]], kind: type[Any], before: int, turn_down: Callable[[str], None]
) -> Iterator[Event]:
    try:
        yield from msgspec.convert(rows, list[kind])  # type: ignore[valid-type]  # a type that is chosen here
    except msgspec.ValidationError:
        for number, row in enumerate(rows, before + 1):
            try:
                yield convert(row, kind)
            except ValueError as error:
                turn_down(f"{path}: row {number}: {error}")


def _columns(path: Path, schema: pa.Schema, kind: type[Any]) -> dict[str, str]:
    """Return the name of the column of each field that has one."""
    columns = {}
    for field in msgspec.structs.fields(kind):
        also = [name for name in _ALSO.get(field.name, ()) if name in schema.names]
        also = [name for name in also if pa.types.is_timestamp(schema.field(name).type)]
        found = [name for name in (field.name, *also) if name in schema.names]
        if found:
            columns[field.name] = found[0]
        elif field.required:
            raise InputError(f"{path}: there is no column {field.name}; it has {', '.join(sorted(schema.names))}")
    return columns


def _plain(column: pa.Array, path: Path, name: str) -> pa.Array:
    """Return a column with values for its field: timestamps as milliseconds, decimals as floats."""
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
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: can't be read as Parquet: {' '.join(str(error).split())}") from None


#: Parquet files whose columns are named as the fields of an event.
FORMAT = Format("parquet", None, (Trade, Quote, Post))
