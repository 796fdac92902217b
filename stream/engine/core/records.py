"""Records of one Struct as columns of their fields, whether a record is an object or was never made one."""

import struct
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple, TypeAlias, overload

import msgspec
import numpy as np
from msgspec import inspect
from numpy.typing import NDArray

from tickertape.stream.engine.core.columns import Bools, floats, ids
from tickertape.stream.engine.core.values import Bytes

Kind: TypeAlias = Literal["name", "integer", "float", "choice"]
_MOST_INT = 2**63 - 1


class FlatField(NamedTuple):
    """A field whose values fit a column.

    Attributes
    ----------
    kind
        What the column holds: numbers, or the index of the field's choice. Names have no column here.
    required, nullable
        Whether the field may be absent, and whether it may be None.
    default
        Its value where it is absent.
    low, high
        The least and the greatest value, or the least and the greatest number of letters of a name.
    above_low, below_high
        Whether these bounds themselves are outside. Never so for integers and names.
    choices
        The texts that a choice may be.
    texts
        For an id that may be a text too, the least and the greatest number of letters; else empty.
    """

    kind: Kind
    required: bool
    nullable: bool
    default: Any
    low: float
    high: float
    above_low: bool = False
    below_high: bool = False
    choices: tuple[str, ...] = ()
    texts: tuple[float, ...] = ()


@cache
def flat_fields(record: type[msgspec.Struct]) -> dict[str, FlatField]:
    """Return the flat fields of a Struct by name, in their order.

    Numbers are flat, and texts that are one of a few (`Literal`), and the names ``source`` and ``symbol``; each may be
    optional. An id may be a text too: it becomes a number, see `tickertape.schemas.fields.id_number`.
    """
    info = inspect.type_info(record)
    assert isinstance(info, inspect.StructType)
    found = {field.name: _flat(field) for field in info.fields}
    return {name: field for name, field in found.items() if field is not None}


def _flat(field: inspect.Field) -> FlatField | None:
    if field.default_factory is not msgspec.NODEFAULT:
        return None
    kinds = list(field.type.types) if isinstance(field.type, inspect.UnionType) else [field.type]
    nullable = any(isinstance(kind, inspect.NoneType) for kind in kinds)
    kinds = [kind for kind in kinds if not isinstance(kind, inspect.NoneType)]
    texts: tuple[float, ...] = ()
    if len(kinds) == 2 and any(isinstance(kind, inspect.IntType) for kind in kinds):
        text = next((kind for kind in kinds if isinstance(kind, inspect.StrType)), None)
        if text is not None and text.pattern is None:
            texts = text.min_length or 0, _MOST_INT if text.max_length is None else text.max_length
        kinds = [kind for kind in kinds if kind is not text]
    if len(kinds) != 1:
        return None
    default = None if field.required else field.default
    (kind,) = kinds
    match kind:
        case inspect.IntType(multiple_of=None):
            least = kind.ge if kind.ge is not None else -_MOST_INT if kind.gt is None else kind.gt + 1
            most = kind.le if kind.le is not None else _MOST_INT if kind.lt is None else kind.lt - 1
            return FlatField("integer", field.required, nullable, default, least, most, texts=texts)
        case inspect.FloatType(multiple_of=None):
            above, below = kind.gt is not None, kind.lt is not None
            low = kind.gt if kind.gt is not None else -np.inf if kind.ge is None else kind.ge
            high = kind.lt if kind.lt is not None else np.inf if kind.le is None else kind.le
            return FlatField("float", field.required, nullable, default, low, high, above, below)
        case inspect.LiteralType() if all(isinstance(value, str) for value in kind.values) and len(kind.values) < 255:
            choices = tuple(str(value) for value in kind.values)
            return FlatField("choice", field.required, nullable, default, 0, len(choices) - 1, choices=choices)
        case inspect.StrType(pattern=None) if field.name in ("source", "symbol") and not nullable and field.required:
            high = _MOST_INT if kind.max_length is None else kind.max_length
            return FlatField("name", True, False, None, kind.min_length or 0, high)
    return None


def default_bits(field: FlatField) -> int:
    """Return what a column holds where the field is absent, as an integer of the same bits."""
    if field.default is None:
        return 0
    if field.kind == "choice":
        return field.choices.index(field.default)
    (bits,) = struct.unpack("q", struct.pack("d" if field.kind == "float" else "q", field.default))
    return int(bits)


def is_sound(field: FlatField) -> bool:
    """Return whether a column can hold the field's default: msgspec checks no default."""
    if field.required or field.default is None:
        return field.required or field.nullable
    try:
        default_bits(field)
    except (ValueError, OverflowError, struct.error):
        return False
    return True


class Records(Sequence[Any]):
    """n records of one Struct: a sequence of them, and their fields as columns.

    A column costs less than the records do, so ask for columns where they are enough.
    """

    @abstractmethod
    def column(self, name: str) -> NDArray[Any]:
        """Return a field's numbers, shape (n,), float64 or int64; 0 where it is None.

        An id that is a text becomes a negative number, see `tickertape.schemas.fields.id_number`.

        Raises
        ------
        KeyError
            The field doesn't hold numbers.
        """

    @abstractmethod
    def given(self, name: str) -> Bools:
        """Return where a field that may be None isn't, shape (n,)."""

    @abstractmethod
    def equals(self, name: str, choice: str) -> Bools:
        """Return where a field that is one of a few texts is this one, shape (n,)."""


@cache
def _getter(name: str) -> Callable[[list[Any]], list[Any]]:
    """Return a function that returns a field of each record: half the time of an `attrgetter` that is mapped."""
    assert name.isidentifier()
    getter: Callable[[list[Any]], list[Any]] = eval(f"lambda records: [record.{name} for record in records]")
    return getter


class StructRecords(Records):
    """Records that are objects."""

    def __init__(self, record: type[msgspec.Struct], records: list[Any]) -> None:
        self._fields = flat_fields(record)
        self._records = records
        self._indices: dict[str, Bytes] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._records)

    @overload
    def __getitem__(self, which: int) -> Any: ...
    @overload
    def __getitem__(self, which: slice) -> Sequence[Any]: ...
    def __getitem__(self, which: int | slice) -> Any:
        return self._records[which]

    def column(self, name: str) -> NDArray[Any]:
        field, values = self._fields[name], _getter(name)(self._records)
        if field.nullable and (absent := values.count(None)):
            if absent == len(values):
                return np.zeros(len(values), np.float64 if field.kind == "float" else np.int64)
            values = [0 if value is None else value for value in values]
        if field.kind == "float":
            return floats(values)
        if field.kind == "integer":
            return ids(values)
        raise KeyError(f"{name} doesn't hold numbers")

    def given(self, name: str) -> Bools:
        field = self._fields[name]
        if field.kind == "choice":
            return self._choices(name) < len(field.choices)
        values = _getter(name)(self._records)
        absent = values.count(None)
        if absent in (0, len(values)):
            return np.full(len(values), not absent)
        return np.array([value is not None for value in values], np.bool_)

    def equals(self, name: str, choice: str) -> Bools:
        found: Bools = self._choices(name) == self._fields[name].choices.index(choice)
        return found

    def _choices(self, name: str) -> Bytes:
        """Return the index of each record's choice, shape (n,); that of None is one above the last."""
        found = self._indices.get(name)
        if found is None:
            choices = self._fields[name].choices
            index: dict[str | None, int] = {choice: i for i, choice in enumerate((*choices, None))}
            values = _getter(name)(self._records)
            found = self._indices[name] = np.frombuffer(bytes(map(index.__getitem__, values)), np.uint8)
        return found
