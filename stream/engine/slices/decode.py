"""Decodes the records of a block. No other module depends on how records are encoded."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from tickertape.schemas.fields import EARLIEST_MS, LATEST_MS
from tickertape.schemas.heartbeat import Heartbeat, from_headers
from tickertape.stream.engine.core.block import Block, Headers
from tickertape.stream.engine.core.columns import Bools, Ints, ids, ints
from tickertape.stream.engine.core.names import BadName, BadRecord, InputNames, Names, check
from tickertape.stream.engine.core.records import Records, StructRecords
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.core.values import PackedValues
from tickertape.stream.engine.slices.bundled import BundledColumns, BundleReader
from tickertape.stream.engine.slices.scanner import Scanner
from tickertape.stream.engine.slices.unbundling import EventValues, Unbundled, unbundled

_GONE = -1
# What msgspec raises for bytes that it can't decode. Its ValidationError is for JSON of the wrong form.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

# Where the scanner leaves more records than this, it is mostly for new names, as at the start. So many of them are read
# for their names, and then all are scanned again.
_MANY = 512
# This many records are decoded at a time. They stay in the processor's cache until their columns are made.
CHUNK = 2048
# The most names that a partition's decoder keeps from block to block. A real topic has fewer.
_MOST_SOURCES = 1 << 12
_MOST_SYMBOLS = 1 << 17
# The columns that the engine itself reads.
_OWN = ("source", "symbol", "id", "time_ms", "received_ms")


@dataclass(slots=True, frozen=True)
class Decoded:
    """The n valid records of a block as columns, and its heartbeats and rejects. A place is an index in the block.

    Attributes
    ----------
    at
        The places of the records, in offset order, shape (n,).
    source
        The codes of the records' sources, see `Decoder`; shape (n,).
    symbol
        The codes of the symbols that the records name, record by record; shape (sum of ``named``,).
    named
        How many symbols each record names, shape (n,); None if each has exactly one.
    id, time_ms, received_ms
        Each record's id, event time and receipt, shape (n,).
    columns
        The columns that the aggregate lifts, shape (n,).
    rejects
        The place of each rejected record, and the reason.
    heartbeats
        Each heartbeat with its place.
    """

    at: Ints
    source: Ints
    symbol: Ints
    named: Ints | None
    id: Ints
    time_ms: Ints
    received_ms: Ints
    columns: Columns
    rejects: list[tuple[int, str]]
    heartbeats: list[tuple[int, Heartbeat]]

    def __len__(self) -> int:
        return len(self.at)

    def where(self, mask: Bools) -> "Decoded":
        """Return the records that a mask of shape (n,) keeps."""
        return Decoded(
            self.at[mask],
            self.source[mask],
            self.symbol[mask if self.named is None else np.repeat(mask, self.named)],
            None if self.named is None else self.named[mask],
            self.id[mask],
            self.time_ms[mask],
            self.received_ms[mask],
            {name: column[mask] for name, column in self.columns.items()},
            self.rejects,
            self.heartbeats,
        )

    def between(self, first: int, last: int) -> "Decoded":
        """Return the records and heartbeats at places from ``first`` up to, not including, ``last``; no rejects."""
        start, end = np.searchsorted(self.at, (first, last)).tolist()
        some = slice(start, end)
        symbols = some
        if self.named is not None:
            ends = np.concatenate([[0], np.cumsum(self.named)])
            symbols = slice(int(ends[start]), int(ends[end]))
        return Decoded(
            self.at[some],
            self.source[some],
            self.symbol[symbols],
            None if self.named is None else self.named[some],
            self.id[some],
            self.time_ms[some],
            self.received_ms[some],
            {name: column[some] for name, column in self.columns.items()},
            [],
            [(at, beat) for at, beat in self.heartbeats if first <= at < last],
        )

    def without(self, places: Collection[int]) -> "Decoded":
        """Return the records and heartbeats without those at the given places."""
        if not places:
            return self
        found = self.where(~np.isin(self.at, list(places)))
        found.heartbeats[:] = [(at, beat) for at, beat in self.heartbeats if at not in places]
        return found

    def by_symbol(self) -> "Decoded":
        """Repeat each record once for each symbol that it names."""
        if self.named is None:
            return self
        row = np.repeat(np.arange(len(self)), self.named)
        return Decoded(
            self.at[row],
            self.source[row],
            self.symbol,
            None,
            self.id[row],
            self.time_ms[row],
            self.received_ms[row],
            {name: column[row] for name, column in self.columns.items()},
            self.rejects,
            self.heartbeats,
        )

    def symbols_of(self, i: int) -> Ints:
        """Return the codes of the symbols that the i-th record names."""
        if self.named is None:
            return self.symbol[i : i + 1]
        first = int(self.named[:i].sum())
        return self.symbol[first : first + int(self.named[i])]


class Decoder:
    """Decodes records of one Struct from JSON. A bad record is rejected with a one-line reason, and no other is lost.

    Parameters
    ----------
    record
        The Struct.
    columns
        Takes n records, a `Records`, and returns the aggregate's columns, each of shape (n,).
    names
        Returns the symbols that a record names, each once. None: each record names the symbol in its field ``symbol``.

    Attributes
    ----------
    sources, symbols
        The names, by code.
    """

    def __init__(
        self,
        record: type[Any],
        columns: Callable[[Records], Columns],
        names: Callable[[Any], Collection[str]] | None = None,
    ) -> None:
        self._record = record
        self._decode = msgspec.json.Decoder(record).decode
        self._more = columns
        self._names = names
        self.sources, self.symbols = InputNames(_MOST_SOURCES), InputNames(_MOST_SYMBOLS)
        coded: dict[str, Names] = {"source": self.sources, "symbol": self.symbols}
        self._scanner = Scanner.of(record, coded) if names is None else None
        bundles = BundleReader(record, coded, self._scanner)
        self._bundles = bundles if names is None and bundles.reads else None

    def unbundled(self, block: Block) -> Unbundled:
        """Take the bundles of a block apart, see `decode`."""
        return unbundled(block, self._bundles)

    def decode(self, taken: Block | Unbundled) -> Decoded:
        """Decode a block without bundles, or one whose bundles are taken apart."""
        taken = taken if isinstance(taken, Unbundled) else Unbundled(taken)
        block, rejects = taken.block, list(taken.rejects)
        heartbeats: list[tuple[int, Heartbeat]] = []
        values = block.values if taken.values is None else taken.values.values
        at = np.arange(len(values))
        for place, headers in block.headers.items():
            found = _heartbeat(headers)
            if isinstance(found, str):
                rejects.append((place, found))
            else:
                heartbeats.append((place, found))
        if taken.values is None or taken.single is None:
            if block.headers:
                at = np.delete(at, list(block.headers))
                values = _values_at(values, at)
            whole = self._read(values, at, rejects)
        else:
            taken.single[list(block.headers)] = False
            at = np.flatnonzero(taken.single)
            whole, at = self._with_bundles(taken.values, taken.columns, at, rejects)
        return Decoded(
            at=at[at != _GONE],
            source=whole.pop("_source"),
            symbol=whole.pop("_symbol"),
            named=whole.pop("_named", None),
            id=whole.pop("_id"),
            time_ms=whole.pop("_time_ms"),
            received_ms=whole.pop("_received_ms"),
            columns=whole,
            rejects=rejects,
            heartbeats=heartbeats,
        )

    def _read(self, values: Sequence[Any], places: Ints, rejects: list[tuple[int, str]]) -> Columns:
        """Return the columns of records. The places of rejected ones are set to `_GONE`."""
        whole = self._scanned(values, places, rejects) if self._scanner is not None and len(values) else None
        return self._decoded(values, places, rejects) if whole is None else whole

    def _with_bundles(
        self, values: EventValues, events: BundledColumns | None, places: Ints, rejects: list[tuple[int, str]]
    ) -> tuple[Columns, Ints]:
        """Return the columns of single records and of the events of bundles, in order, and their places.

        Parameters
        ----------
        values
            The values of the block.
        events
            The events of its bundles, as far as they fit columns.
        places
            The places of single records, shape (k,).
        rejects
            What is rejected is appended, and its place is `_GONE`.
        """
        ranges = [np.arange(first, first + len(bundle)) for first, bundle in values.bundles]
        theirs = np.concatenate([np.arange(0), *ranges])
        whole = self._bundled(events) if events is not None and len(theirs) else None
        odd = np.ones(len(theirs), np.bool_) if whole is None or events is None else events.odd
        some = _values_at(values.values, values.record[places])
        if odd is not None and odd.any():
            # As JSON, these are what such records would be.
            merged = [*some, *values.texts(theirs[odd])]
            places, theirs = np.concatenate([places, theirs[odd]]), theirs[~odd]
            order = np.argsort(places)
            places, some = places[order], [merged[at] for at in order.tolist()]
        if whole is not None and not len(places):
            return whole, theirs
        read = self._read(some, places, rejects)
        if whole is None:
            return read, places
        at = np.concatenate([places[places != _GONE], theirs])
        order = np.argsort(at)
        return {name: np.concatenate([read[name], whole[name]])[order] for name in read}, at[order]

    def _bundled(self, events: BundledColumns) -> Columns | None:
        """Return the columns of events that msgspec doesn't have to read; None if any is odd."""
        assert self._bundles is not None
        records = self._bundles.records(events)
        try:
            more = self._more(records)
        except Exception:  # which event it is, and what is wrong with it, is found where each is a Struct
            return None
        return {**{f"_{name}": records.columns[name] for name in _OWN}, **_arrays(more)}

    def _scanned(self, values: Sequence[Any], places: Ints, rejects: list[tuple[int, str]]) -> Columns | None:
        """Return the columns as the compiled scanner reads them, and msgspec what that leaves; None if any is odd.

        The places of rejected records are set to `_GONE`.
        """
        assert self._scanner is not None
        values = PackedValues.of(values)
        scan = self._scanner.scan(values)
        left = np.flatnonzero(~scan.scanned)
        if len(left) > _MANY:
            self._learn(values[left[:_MANY]])
            scan.scan_again(left)
            left = np.flatnonzero(~scan.scanned)
        left_at, reasons = places[left], list[tuple[int, str]]()
        try:
            if len(left):
                records = self._readable(values[left], left_at, reasons)
                codes = {
                    "source": self.sources.codes([record.source for record in records]),
                    "symbol": self.symbols.codes([record.symbol for record in records]),
                }
                scan.fill(left[left_at != _GONE], StructRecords(self._record, records), codes)
            if reasons:
                kept = np.ones(len(values), np.bool_)
                kept[left[left_at == _GONE]] = False
                scan = scan.where(kept)
            more = self._more(scan)
        except Exception:  # which record it is, and what is wrong with it, is found where each is a Struct
            return None
        if scan.iterated:
            self._scanner = None
        places[left] = left_at
        rejects += reasons
        columns = {
            "_source": scan.codes("source"),
            "_symbol": scan.codes("symbol"),
            "_id": scan.column("id"),
            "_time_ms": scan.column("time_ms"),
            "_received_ms": scan.column("received_ms"),
            **more,
        }
        return _arrays(columns)

    def _learn(self, values: Sequence[Any]) -> None:
        """Learn the names in values, as far as they are valid."""
        for value in values:
            with suppress(*_UNREADABLE, BadRecord):
                record = self._decode(value)
                self.sources[record.source], self.symbols[record.symbol]  # the look-up learns

    def _decoded(self, values: Sequence[Any], places: Ints, rejects: list[tuple[int, str]]) -> Columns:
        """Return the columns as msgspec reads the records. The places of rejected records are set to `_GONE`."""
        parts: list[Columns] = []
        for first in range(0, len(values) or 1, CHUNK):
            chunk, their = values[first : first + CHUNK], places[first : first + CHUNK]
            try:
                records = list(map(self._decode, chunk))
            except _UNREADABLE:
                records = self._readable(chunk, their, rejects)
            try:
                parts.append(self._columns(records))
            except Exception:
                parts.append(self._columns(self._usable(records, their, rejects)))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _columns(self, records: list[Any]) -> Columns:
        n = len(records)
        # Most chunks have one source.
        sources = {record.source for record in records}
        return {
            "_source": np.full(n, self.sources[sources.pop()])
            if len(sources) == 1
            else self.sources.codes([record.source for record in records]),
            **self._symbols(records),
            "_id": ids([record.id for record in records]),
            "_time_ms": ints([record.time_ms for record in records]),
            "_received_ms": ints([record.received_ms for record in records]),
            **self._more(StructRecords(self._record, records)),
        }

    def _symbols(self, records: list[Any]) -> Columns:
        if self._names is None:
            return {"_symbol": self.symbols.codes([record.symbol for record in records])}
        named = [self._names(record) for record in records]
        return {
            "_symbol": self.symbols.codes([name for names in named for name in names]),
            "_named": ints(list(map(len, named))),
        }

    def _readable(self, values: Sequence[Any], places: Ints, rejects: list[tuple[int, str]]) -> list[Any]:
        """Return the records that can be decoded; the others are rejected, and their places are set to `_GONE`."""
        records = []
        for i, value in enumerate(values):
            try:
                records.append(self._decode(value))
            except msgspec.ValidationError as error:
                rejects.append((int(places[i]), f"invalid record: {error}"))
                places[i] = _GONE
            except _UNREADABLE as error:
                rejects.append((int(places[i]), f"not JSON: {error}"))
                places[i] = _GONE
        return records

    def _usable(self, records: list[Any], places: Ints, rejects: list[tuple[int, str]]) -> list[Any]:
        """Return the records whose columns can be made; the others are rejected, and their places set to `_GONE`."""
        usable = []
        for i, record in zip(np.flatnonzero(places != _GONE).tolist(), records, strict=True):
            try:
                self._columns([record])
                usable.append(record)
            except BadRecord as error:
                rejects.append((int(places[i]), str(error)))
                places[i] = _GONE
            except Exception as error:
                rejects.append((int(places[i]), f"the agent failed on this record: {error!r}"))
                places[i] = _GONE
        return usable


def _arrays(columns: Columns) -> Columns:
    """Return columns as where there are several parts: arrays that nobody else has, also of what isn't an array."""
    return {name: np.array(column) for name, column in columns.items()}


def _values_at(values: Sequence[Any], places: Ints) -> Sequence[Any]:
    return values[places] if isinstance(values, PackedValues) else [values[place] for place in places.tolist()]


def heartbeats(block: Block) -> list[Heartbeat]:
    """Return the valid heartbeats of a block."""
    found = [_heartbeat(headers) for headers in block.headers.values()]
    return [heartbeat for heartbeat in found if not isinstance(heartbeat, str)]


def _heartbeat(headers: Headers) -> Heartbeat | str:
    """Return the heartbeat in a null record's headers, or what is wrong with them."""
    try:
        heartbeat = from_headers(headers)
    except _UNREADABLE as error:
        return f"the heartbeat header can't be read: {error}"
    if heartbeat is None:
        return "null value without a heartbeat header"
    try:
        check(heartbeat.source)
    except BadName as error:
        return f"heartbeat with a bad source: {error}"
    if not EARLIEST_MS <= heartbeat.time_ms <= LATEST_MS:
        return f"heartbeat time out of range: {heartbeat.time_ms} ms"
    return heartbeat
