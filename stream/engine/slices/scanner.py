"""Scans records of a flat Struct to columns with the compiled hot path."""

import secrets
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, overload

import msgspec
import numpy as np
from msgspec import inspect
from numpy.typing import NDArray

from tickertape.stream.compiled.library import address_of, library
from tickertape.stream.engine.core.columns import Bools, Ints
from tickertape.stream.engine.core.names import Names
from tickertape.stream.engine.core.records import FlatField, Records, StructRecords, default_bits, flat_fields, is_sound
from tickertape.stream.engine.core.values import PackedValues

_KINDS = {"name": 0, "integer": 1, "float": 2, "choice": 3}
# The compiled code reads a name in words of eight bytes.
_PADDING = bytes(8)


class Scanner:
    """Reads what it can of n values, and leaves the others to msgspec.

    Parameters
    ----------
    record
        The Struct, of which every field is flat.
    fields
        Its fields, see `flat_fields`.
    names
        By field: where the codes of its names come from.
    """

    def __init__(
        self, compiled: Any, record: type[msgspec.Struct], fields: dict[str, FlatField], names: dict[str, Names]
    ) -> None:
        self._compiled = compiled
        self.record = record
        self.fields = fields
        self.rows = {name: row for row, name in enumerate(fields)}
        nullable = [name for name, field in fields.items() if field.nullable]
        self.given_rows = {name: row for row, name in enumerate(nullable)}
        self._names = {name: _KnownNames(compiled, of) for name, of in names.items()}
        self._plan = compiled.tt_plan_new()
        if not self._plan:
            raise MemoryError
        weakref.finalize(self, compiled.tt_plan_free, self._plan)
        for name, field in fields.items():
            self._add(name, field)

    @staticmethod
    def of(record: type[msgspec.Struct], names: dict[str, Names]) -> "Scanner | None":
        """Return a scanner, or None if nothing is compiled here, or the Struct isn't flat."""
        compiled = library()
        info = inspect.type_info(record)
        assert isinstance(info, inspect.StructType)
        fields = flat_fields(record)
        plain = not info.array_like and info.tag is None and not hasattr(record, "__post_init__")
        encoded = {field.name: field.encode_name for field in info.fields}
        if compiled is None or not plain or len(fields) != len(info.fields) or len(fields) > _MOST_FIELDS:
            return None
        if any(len(name) > _MOST_LETTERS or not name.isidentifier() or not name.isascii() for name in encoded.values()):
            return None
        if any(len(choice.encode()) > _MOST_LETTERS for field in fields.values() for choice in field.choices):
            return None
        if not all(map(is_sound, fields.values())):
            return None
        if any(name not in fields or fields[name].kind != "name" for name in names):
            return None
        if any(name not in fields or fields[name].kind != "integer" or fields[name].nullable for name in _NUMBERS):
            return None
        return Scanner(compiled, record, fields, names)

    def _add(self, name: str, field: FlatField) -> None:
        encoded = msgspec.structs.fields(self.record)[self.rows[name]].encode_name.encode()
        floating = field.kind == "float"
        known = self._names[name].handle if field.kind == "name" else None
        added = self._compiled.tt_plan_field(
            self._plan,
            encoded,
            len(encoded),
            _KINDS[field.kind],
            field.required,
            field.nullable,
            *((0, 0) if floating else (int(field.low), int(field.high))),
            *((field.low, field.high) if floating else (0.0, 0.0)),
            field.above_low,
            field.below_high,
            default_bits(field),
            field.default is not None,
            known,
        )
        for choice in field.choices:
            text = choice.encode()
            added = added and self._compiled.tt_plan_choice(self._plan, text, len(text))
        if not added:
            raise MemoryError

    def learn(self) -> None:
        """Learn the names that came since, for all calls that follow."""
        for known in self._names.values():
            known.learn()

    def unbundle(self, address: int, size_bytes: int, n: int, columns: Ints, given: Bools, first: int) -> bool:
        """Read the n events of a bundle to the columns' places from a first one on; False if they are left to Python.

        Parameters
        ----------
        address, size_bytes
            Where the bundle lies.
        columns, given
            A row for each field, and for each nullable one; shape (k, m).
        """
        return bool(
            self._compiled.tt_unbundle(
                self._plan,
                address,
                size_bytes,
                n,
                address_of(columns) + columns.itemsize * first,
                address_of(given) + first,
                columns.shape[1],
            )
        )

    def scan(self, values: PackedValues) -> "Scan":
        """Scan n values, none of them null."""
        self.learn()
        n = len(values)
        columns = np.empty((len(self.rows), n), np.int64)
        given = np.empty((len(self.given_rows), n), np.bool_)
        scanned = np.empty(n, np.bool_)
        at, sizes = np.ascontiguousarray(values.at), np.ascontiguousarray(values.size_bytes)
        self._compiled.tt_scan(
            self._plan,
            values.buffer.ctypes.data,
            len(values.buffer),
            address_of(at),
            address_of(sizes),
            n,
            address_of(columns),
            address_of(given),
            address_of(scanned),
        )
        return Scan(self, values, columns, given, scanned)


# As in scan.c.
_MOST_FIELDS, _MOST_LETTERS = 64, 64
# Each record has these, and they are columns as they are.
_NUMBERS = ("id", "time_ms", "received_ms")


class _KnownNames:
    """A copy of names and their codes where compiled code finds them."""

    def __init__(self, compiled: Any, names: Names) -> None:
        self._compiled = compiled
        self._names = names
        # Nobody outside can know the seed, and choose names that collide.
        self.handle = compiled.tt_names_new(secrets.randbits(64))
        if not self.handle:
            raise MemoryError
        weakref.finalize(self, compiled.tt_names_free, self.handle)
        self._known = 0
        self._cleared = names.cleared

    def learn(self) -> None:
        """Copy the names that came since."""
        if self._cleared != self._names.cleared:
            self._compiled.tt_names_clear(self.handle)
            self._known, self._cleared = 0, self._names.cleared
        for name in self._names.names[self._known :]:
            text = name.encode()
            if self._compiled.tt_names_add(self.handle, text + _PADDING, len(text)) < 0:
                raise MemoryError
            self._known += 1


class Scan(Records):
    """n values, and their fields as columns, as far as they were scanned.

    Attributes
    ----------
    scanned
        Which values were read, shape (n,). The columns of the others hold nothing until `fill` is called.
    iterated
        Whether somebody asked for the records themselves, so that scanning was in vain.
    """

    def __init__(self, scanner: Scanner, values: PackedValues, columns: Ints, given: Bools, scanned: Bools) -> None:
        self._scanner = scanner
        self._values = values
        self._columns = columns
        self._given = given
        self.scanned = scanned
        self.iterated = False

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        self.iterated = True
        return map(msgspec.json.Decoder(self._scanner.record).decode, self._values)  # type: ignore[arg-type]  # none is null

    @overload
    def __getitem__(self, which: int) -> Any: ...
    @overload
    def __getitem__(self, which: slice) -> Sequence[Any]: ...
    def __getitem__(self, which: int | slice) -> Any:
        self.iterated = True
        decode = msgspec.json.Decoder(self._scanner.record).decode
        return list(map(decode, self._values[which])) if isinstance(which, slice) else decode(self._values[which])  # type: ignore[arg-type]  # none is null

    def column(self, name: str) -> NDArray[Any]:
        kind = self._scanner.fields[name].kind
        if kind not in ("integer", "float"):
            raise KeyError(f"{name} doesn't hold numbers")
        row: NDArray[Any] = self._columns[self._scanner.rows[name]].view(np.float64 if kind == "float" else np.int64)
        # Nor are columns of objects for writing, and this one the engine reads too.
        row.flags.writeable = False
        return row

    def given(self, name: str) -> Bools:
        if not self._scanner.fields[name].nullable:
            return np.ones(len(self), np.bool_)
        given: Bools = self._given[self._scanner.given_rows[name]]
        return given

    def equals(self, name: str, choice: str) -> Bools:
        field = self._scanner.fields[name]
        found: Bools = self._columns[self._scanner.rows[name]] == field.choices.index(choice)
        return found & self.given(name) if field.nullable else found

    def codes(self, name: str) -> Ints:
        """Return the codes of a field that holds names, shape (n,)."""
        codes: Ints = self._columns[self._scanner.rows[name]]
        return codes

    def fill(self, places: Ints, records: StructRecords, codes: dict[str, Ints]) -> None:
        """Fill in k records that were not scanned, at these places; ``codes`` are those of their names, by field."""
        for name, field in self._scanner.fields.items():
            row = self._columns[self._scanner.rows[name]]
            match field.kind:
                case "name":
                    row[places] = codes[name]
                case "choice":
                    row[places] = sum(records.equals(name, choice) * i for i, choice in enumerate(field.choices))
                case _:
                    row[places] = records.column(name).view(np.int64)
            if field.nullable:
                self._given[self._scanner.given_rows[name]][places] = records.given(name)

    def scan_again(self, places: Ints) -> None:
        """Scan k of the values again, at these places: more names are known by now."""
        again = self._scanner.scan(self._values[places])
        self._columns[:, places] = again._columns
        self._given[:, places] = again._given
        self.scanned[places] = again.scanned

    def where(self, mask: Bools) -> "Scan":
        """Return the records that a mask of shape (n,) keeps."""
        kept = np.flatnonzero(mask)
        return Scan(self._scanner, self._values[kept], self._columns[:, kept], self._given[:, kept], self.scanned[kept])
