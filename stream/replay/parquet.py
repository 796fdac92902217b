"""Parquet: a table's schema follows from the Struct of its rows, and the same rows give the same bytes."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import inspect

from tickertape.stream.errors import ConfigError

COMPRESSION = "zstd"

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
