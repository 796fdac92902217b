"""Parquet: a table's schema follows from the Struct of its rows, and the same rows give the same bytes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import inspect

from stream.errors import ConfigError, InputError

COMPRESSION = "zstd"
BATCH_ROWS = 8192

_TYPES: dict[type[inspect.Type], pa.DataType] = {
    inspect.StrType: pa.string(),
    inspect.LiteralType: pa.string(),
    inspect.IntType: pa.int64(),
    inspect.FloatType: pa.float64(),
    inspect.BoolType: pa.bool_(),
    inspect.BytesType: pa.binary(),
}


def schema_of(row: type[msgspec.Struct]) -> pa.Schema:
    """Return the columns of rows of a Struct.

    Raises
    ------
    ConfigError
        A field is of a kind that has no column.
    """
    info = inspect.type_info(row)
    assert isinstance(info, inspect.StructType)
    return pa.schema([_field(row, field) for field in info.fields])


def _field(row: type[msgspec.Struct], field: inspect.Field) -> pa.Field:
    kinds = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
    some = [kind for kind in kinds if not isinstance(kind, inspect.NoneType)]
    of = _type(some[0]) if len(some) == 1 else None
    if of is None:
        raise ConfigError(
            f"{row.__name__}.{field.name}: there is no column for such a field; str, int, float, bool, bytes, or a "
            "list of one of these or of pairs"
        )
    return pa.field(field.name, of, nullable=len(some) < len(kinds))


def _type(kind: inspect.Type) -> pa.DataType | None:
    match kind:
        case inspect.ListType(item_type=inspect.TupleType(item_types=(first, second))):
            # Pairs, such as an item and its count, read as they were written.
            key, value = _TYPES.get(type(first)), _TYPES.get(type(second))
            return pa.map_(key, value) if key and value else None
        case inspect.ListType(item_type=item):
            of = _TYPES.get(type(item))
            return pa.list_(of) if of else None
        case _:
            return _TYPES.get(type(kind))


def table_of(row: type[msgspec.Struct], rows: Sequence[msgspec.Struct]) -> pa.Table:
    """Return rows of a Struct as a table."""
    schema = schema_of(row)
    columns = list(zip(*map(msgspec.structs.astuple, rows), strict=True)) or [()] * len(schema)
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


def write(path: Path, tables: Sequence[pa.Table], order: Sequence[str]) -> pa.Table:
    """Write tables of one schema as one file, in the order of some columns, and return what was written.

    The file is there as a whole or not at all.
    """
    whole = pa.concat_tables(tables).sort_by([(name, "ascending") for name in order]).combine_chunks()
    made = path.with_name(f".{path.name}.new")
    pq.write_table(whole, made, compression=COMPRESSION)
    made.replace(path)
    return whole


def names(path: Path) -> set[str]:
    """Return the names of a file's columns.

    Raises
    ------
    InputError
        It can't be read.
    """
    with _read(path) as file:
        return set(file.schema_arrow.names)


def rows(path: Path, row: type[msgspec.Struct]) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a file, by the batch; columns that the Struct doesn't have are left out.

    Raises
    ------
    InputError
        It can't be read, or has no column for a field that must be there.
    """
    with _read(path) as file:
        there = set(file.schema_arrow.names)
        fields = msgspec.structs.fields(row)
        for field in fields:
            if field.name not in there and field.required:
                raise InputError(f"{path}: there is no column {field.name}; it has {', '.join(sorted(there))}")
        columns = [field.name for field in fields if field.name in there]
        for batch in file.iter_batches(BATCH_ROWS, columns=columns):
            yield batch.to_pylist()


@contextmanager
def _read(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: can't be read as Parquet: {' '.join(str(error).split())}") from None
