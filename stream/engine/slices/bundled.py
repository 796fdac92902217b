"""Reads the events of bundles as columns, as far as they are what msgspec would read from the same events as JSON."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, overload

import msgspec
import numpy as np
from msgspec import inspect
from numpy.typing import NDArray

from tickertape.schemas.bundle import Decimals, Floats, Integers, Texts
from tickertape.schemas.fields import id_number
from tickertape.stream.bundles.unpacking import Unpacked
from tickertape.stream.engine.core.columns import Bools, Ints, ints
from tickertape.stream.engine.core.names import BadName, Names
from tickertape.stream.engine.core.records import FlatField, Records, default_bits, flat_fields, is_sound

_UNKNOWN = -1


class BundledRecords(Records):
    """n events of bundles, as columns. They are made objects only if somebody asks for them.

    Parameters
    ----------
    fields
        The fields of their Struct.
    columns, given
        By field: its column, and for nullable ones where it isn't null; shape (n,). A choice is its index.
    decoded
        Returns the i-th event.
    """

    def __init__(
        self,
        fields: dict[str, FlatField],
        columns: dict[str, NDArray[Any]],
        given: dict[str, Bools],
        decoded: Callable[[int], Any],
    ) -> None:
        self._fields = fields
        self.columns = columns
        self._given = given
        self._decoded = decoded

    def __len__(self) -> int:
        return len(self.columns["id"])

    def __iter__(self) -> Iterator[Any]:
        return map(self._decoded, range(len(self)))

    @overload
    def __getitem__(self, which: int) -> Any: ...
    @overload
    def __getitem__(self, which: slice) -> Sequence[Any]: ...
    def __getitem__(self, which: int | slice) -> Any:
        places = range(len(self))[which]
        return self._decoded(places) if isinstance(places, int) else list(map(self._decoded, places))

    def column(self, name: str) -> NDArray[Any]:
        if self._fields[name].kind not in ("integer", "float"):
            raise KeyError(f"{name} doesn't hold numbers")
        return self.columns[name]

    def given(self, name: str) -> Bools:
        return self._given[name] if self._fields[name].nullable else np.ones(len(self), np.bool_)

    def equals(self, name: str, choice: str) -> Bools:
        found: Bools = self.columns[name] == self._fields[name].choices.index(choice)
        return found & self._given[name] if self._fields[name].nullable else found


class BundleReader:
    """Reads bundles of one Struct. What it doesn't recognise is left to msgspec, event by event, as JSON.

    Parameters
    ----------
    record
        The Struct.
    names
        By field: where the codes of its names come from.
    """

    def __init__(self, record: type[msgspec.Struct], names: dict[str, Names]) -> None:
        self._fields = flat_fields(record)
        self._encoded = {field.name: field.encode_name for field in msgspec.structs.fields(record)}
        self._known = set(self._encoded.values())
        self._decode = msgspec.json.Decoder(record).decode
        self._names = names
        info = inspect.type_info(record)
        assert isinstance(info, inspect.StructType)
        plain = not info.array_like and info.tag is None and not hasattr(record, "__post_init__")
        #: Whether all of an event fits columns.
        self.reads = plain and len(self._fields) == len(info.fields) and all(map(is_sound, self._fields.values()))

    def read(self, bundles: Sequence[Unpacked]) -> tuple[BundledRecords, Bools]:
        """Return the events of bundles as records, and which of all n events msgspec has to read, shape (n,).

        The records are all others.
        """
        sizes = [len(bundle) for bundle in bundles]
        ends = np.cumsum(sizes)
        odd = np.zeros(int(ends[-1]), np.bool_)
        for bundle, end in zip(bundles, ends.tolist(), strict=True):
            if not bundle.columns.keys() <= self._known:
                # msgspec ignores unknown fields, but a Struct may forbid them.
                odd[end - len(bundle) : end] = True
        columns: dict[str, NDArray[Any]] = {}
        given: dict[str, Bools] = {}
        for name, field in self._fields.items():
            encoded = self._encoded[name]
            parts = [self._part(name, field, bundle, encoded) for bundle in bundles]
            column = np.concatenate([part for part, _, _ in parts])
            is_given = np.concatenate([there for _, there, _ in parts]) if field.nullable else None
            for (_, _, strange), size, end in zip(parts, sizes, ends.tolist(), strict=True):
                if strange is not None:
                    odd[end - size : end] |= strange
            bad = _out_of_bounds(field, column)
            if is_given is not None:
                given[name] = is_given
                bad &= is_given
            odd |= bad
            columns[name] = column
        places: Sequence[int] = range(len(odd))
        if odd.any():
            columns = {name: column[~odd] for name, column in columns.items()}
            given = {name: there[~odd] for name, there in given.items()}
            places = np.flatnonzero(~odd).tolist()
        for column in columns.values():
            # Nor are columns of objects for writing, and these the engine reads too.
            column.flags.writeable = False

        def decoded(i: int) -> Any:
            at = int(np.searchsorted(ends, places[i], side="right"))
            return self._decode(bundles[at].json(places[i] - int(ends[at]) + sizes[at]))

        return BundledRecords(self._fields, columns, given, decoded), odd

    def _part(
        self, name: str, field: FlatField, bundle: Unpacked, encoded: str
    ) -> tuple[NDArray[Any], Bools | None, Bools | bool | None]:
        """Return a bundle's column, where it is given if it is nullable, and which events msgspec has to read."""
        n, dtype = len(bundle), np.float64 if field.kind == "float" else np.int64
        column = bundle.columns.get(encoded)
        if column is None:
            bits = np.full(n, default_bits(field)).view(dtype)
            return bits, np.full(n, field.default is not None) if field.nullable else None, field.required or None
        there = bundle.given.get(encoded)
        strange: Bools | bool | None = None if there is None or field.nullable else ~there
        match field.kind, column:
            case "integer", Integers():
                found = bundle.array(encoded)
                if field.texts and int(found.min()) < field.low:
                    # Of texts, negative numbers are made.
                    strange = _either(strange, found < int(field.low))
            case "integer", Texts() if field.texts:
                found = ints([id_number(text) for text in column.texts])[bundle.array(encoded)]
                wrong = [not field.texts[0] <= len(text) <= field.texts[1] for text in column.texts]
                strange = _either(strange, np.array(wrong)[bundle.array(encoded)])
            case "float", Decimals() | Floats():
                found = bundle.array(encoded)
            case "choice", Texts():
                index = {choice: i for i, choice in enumerate(field.choices)}
                found = np.array([index.get(text, _UNKNOWN) for text in column.texts])[bundle.array(encoded)]
            case "name", Texts():
                found = self._codes(name, field, column.texts)[bundle.array(encoded)]
            case _:
                return np.zeros(n, dtype), np.ones(n, np.bool_) if field.nullable else None, True
        if field.nullable:
            if there is None:
                there = np.ones(n, np.bool_)
            else:
                found = np.where(there, found, dtype(0))
        return found, there, strange

    def _codes(self, name: str, field: FlatField, texts: list[str]) -> Ints:
        """Return the codes of names, `_UNKNOWN` for those that no event may have."""
        names = self._names[name]
        try:
            return ints(list(map(names.code.__getitem__, texts)))
        except KeyError:
            codes = []
            for text in texts:
                code = _UNKNOWN
                if field.low <= len(text) <= field.high:
                    with suppress(BadName):
                        code = names[text]
                codes.append(code)
            return ints(codes)


def _either(one: Bools | bool | None, other: Bools) -> Bools | None:
    found = other if one is None else one | other
    return found if found.any() else None


def _out_of_bounds(field: FlatField, column: NDArray[Any]) -> Bools:
    match field.kind:
        case "integer":
            # A text id is a negative number, and below every bound.
            found = (column > int(field.high)) | ((column < int(field.low)) & ((column >= 0) | (not field.texts)))
        case "float":
            above = column > field.low if field.above_low else column >= field.low
            below = column < field.high if field.below_high else column <= field.high
            found = ~(above & below & np.isfinite(column))
        case _:
            found = column < 0
    return np.asarray(found)
