"""Make Arrow tables from Structs: the Struct's fields define the schema."""

from collections.abc import Sequence
from operator import attrgetter

import msgspec
import pyarrow as pa
from msgspec import inspect

from tickertape.stream.errors import ConfigError

_TYPES: dict[type[inspect.Type], pa.DataType] = {
    inspect.StrType: pa.string(),
    inspect.LiteralType: pa.string(),
    inspect.IntType: pa.int64(),
    inspect.FloatType: pa.float64(),
    inspect.BoolType: pa.bool_(),
    inspect.BytesType: pa.binary(),
}


def schema_of(row: type[msgspec.Struct]) -> pa.Schema:
    """Return the schema for rows of a Struct.

    Raises
    ------
    ConfigError
        A field's type has no Arrow equivalent.
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
            f"{row.__name__}.{field.name}: a column can't hold this type; use str, int, float, bool, bytes, or a list "
            "of one of these or of pairs"
        )
    return pa.field(field.name, of, nullable=len(some) < len(kinds))


def _type(kind: inspect.Type) -> pa.DataType | None:
    match kind:
        case inspect.ListType(item_type=inspect.TupleType(item_types=(first, second))):
            # A list of pairs, for example of items and their counts, is a map, which keeps their order.
            key, value = _TYPES.get(type(first)), _TYPES.get(type(second))
            return pa.map_(key, value) if key and value else None
        case inspect.ListType(item_type=item):
            of = _TYPES.get(type(item))
            return pa.list_(of) if of else None
        case _:
            return _TYPES.get(type(kind))


def table_of(row: type[msgspec.Struct], rows: Sequence[msgspec.Struct]) -> pa.Table:
    """Return a table with a Struct's fields; the rows may have further ones."""
    schema = schema_of(row)
    columns = [list(map(attrgetter(name), rows)) for name in schema.names]
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )
