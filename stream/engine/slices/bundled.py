"""Reads the events of bundles as columns, as far as they are what msgspec would read from the same events as JSON."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, NamedTuple, overload

import msgspec
import numpy as np
from msgspec import inspect
from numpy.typing import NDArray

from tickertape.schemas.bundle import MOST_BYTES, Decimals, Floats, Integers, Texts
from tickertape.schemas.fields import id_number
from tickertape.stream.bundles.unpacking import BadBundle, Unpacked
from tickertape.stream.engine.core.columns import Bools, Ints, ints
from tickertape.stream.engine.core.names import BadName, Names
from tickertape.stream.engine.core.records import FlatField, Records, default_bits, flat_fields, is_sound
from tickertape.stream.engine.core.values import PackedValues
from tickertape.stream.engine.slices.scanner import Scanner

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


class PackedBundle:
    """A bundle as it lies in a block: it is unpacked only if its columns can't be read without.

    Parameters
    ----------
    values
        The values of the block.
    at
        The place of the bundle's record.
    n
        The number of events that its header says.
    """

    def __init__(self, values: Sequence[bytes | None], at: int, n: int) -> None:
        self.values = values
        self.at = at
        self._n = n

    def __len__(self) -> int:
        return self._n

    @cached_property
    def unpacked(self) -> Unpacked:
        """The bundle, unpacked.

        Raises
        ------
        BadBundle
            It can't be.
        """
        return Unpacked(self.values[self.at] or b"", self._n)

    def json(self, at: int) -> bytes:
        """Return an event as JSON."""
        return self.unpacked.json(at)


class BundledColumns(NamedTuple):
    """The n events of some bundles.

    Attributes
    ----------
    bundles
        The bundles.
    columns, given
        A row for each field, and for each nullable one where it isn't null; shape (k, n). Floats are by their bits.
    odd
        Which events msgspec has to read, shape (n,); None: none. Their columns hold nothing.
    """

    bundles: Sequence[PackedBundle]
    columns: Ints
    given: Bools
    odd: Bools | None


class BundleReader:
    """Reads bundles of one Struct. What it doesn't recognise is left to msgspec, event by event, as JSON.

    Parameters
    ----------
    record
        The Struct.
    names
        By field: where the codes of its names come from.
    scanner
        Reads what it can with compiled code; None where that isn't built.
    """

    def __init__(self, record: type[msgspec.Struct], names: dict[str, Names], scanner: Scanner | None) -> None:
        self._fields = flat_fields(record)
        self._nullable = {
            name: row for row, name in enumerate(name for name, field in self._fields.items() if field.nullable)
        }
        self._encoded = {field.name: field.encode_name for field in msgspec.structs.fields(record)}
        self._known = set(self._encoded.values())
        self._decode = msgspec.json.Decoder(record).decode
        self._names = names
        self._scanner = scanner
        info = inspect.type_info(record)
        assert isinstance(info, inspect.StructType)
        plain = not info.array_like and info.tag is None and not hasattr(record, "__post_init__")
        #: Whether all of an event fits columns.
        self.reads = plain and len(self._fields) == len(info.fields) and all(map(is_sound, self._fields.values()))

    def read(self, bundles: Iterable[PackedBundle]) -> tuple[BundledColumns, list[tuple[PackedBundle, str]]]:
        """Return the events of all bundles that can be unpacked, and for each other bundle why it can't be."""
        bundles = list(bundles)
        n, address = sum(map(len, bundles)), 0
        columns, given = np.empty((len(self._fields), n), np.int64), np.empty((len(self._nullable), n), np.bool_)
        odd: Bools | None = None
        kept: list[PackedBundle] = []
        broken: list[tuple[PackedBundle, str]] = []
        first = 0
        values = bundles[0].values if bundles else ()
        if self._scanner is not None and isinstance(values, PackedValues):
            self._scanner.learn()
            address = values.buffer.ctypes.data
        for bundle in bundles:
            if not (address and self._is_read(bundle, address, columns, given, first)):
                try:
                    strange = self._fill(bundle.unpacked, columns, given, first)
                except BadBundle as error:
                    broken.append((bundle, str(error)))
                    continue
                if strange.any():
                    odd = np.zeros(n, np.bool_) if odd is None else odd
                    odd[first : first + len(bundle)] = strange
                if address:
                    assert self._scanner is not None
                    self._scanner.learn()
            kept.append(bundle)
            first += len(bundle)
        return BundledColumns(kept, columns[:, :first], given[:, :first], None if odd is None else odd[:first]), broken

    def _is_read(self, bundle: PackedBundle, address: int, columns: Ints, given: Bools, first: int) -> bool:
        """Read a bundle with compiled code, and return whether that was able to."""
        values = bundle.values
        assert isinstance(values, PackedValues)
        assert self._scanner is not None
        at, size_bytes = int(values.at[bundle.at]), int(values.size_bytes[bundle.at])
        if size_bytes > MOST_BYTES:
            return False
        return self._scanner.unbundle(address + at, size_bytes, len(bundle), columns, given, first)

    def _fill(self, bundle: Unpacked, columns: Ints, given: Bools, first: int) -> Bools:
        """Write the columns of a bundle, and return which events msgspec has to read, shape (n,)."""
        some = slice(first, first + len(bundle))
        # msgspec ignores unknown fields, but a Struct may forbid them.
        odd = np.full(len(bundle), not bundle.columns.keys() <= self._known)
        for row, (name, field) in enumerate(self._fields.items()):
            column, there, strange = self._part(name, field, bundle, self._encoded[name])
            columns[row, some] = column.view(np.int64)
            bad = _out_of_bounds(field, column)
            if there is not None:
                given[self._nullable[name], some] = there
                bad &= there
            odd |= bad
            if strange is not None:
                odd |= strange
        return odd

    def records(self, events: BundledColumns) -> "BundledRecords":
        """Return all events that msgspec doesn't have to read."""
        columns, given, places = events.columns, events.given, None
        if events.odd is not None:
            places = np.flatnonzero(~events.odd)
            columns, given = columns[:, places], given[:, places]
        ends = np.cumsum([len(bundle) for bundle in events.bundles])

        def decoded(i: int) -> Any:
            place = i if places is None else int(places[i])
            at = int(np.searchsorted(ends, place, side="right"))
            bundle = events.bundles[at]
            return self._decode(bundle.json(place - int(ends[at]) + len(bundle)))

        rows = {
            name: row.view(np.float64) if field.kind == "float" else row
            for (name, field), row in zip(self._fields.items(), columns, strict=True)
        }
        for row in rows.values():
            # Nor are columns of objects for writing, and these the engine reads too.
            row.flags.writeable = False
        return BundledRecords(self._fields, rows, {name: given[row] for name, row in self._nullable.items()}, decoded)

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
        if not field.nullable:
            return found, None, strange
        if there is None:
            return found, np.ones(n, np.bool_), strange
        return np.where(there, found, dtype(0)), there, strange

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
