"""From bytes to records: block in, records and rejects out. The one place that knows how a record is written."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from tickertape.schemas.fields import EARLIEST_MS, LATEST_MS
from tickertape.schemas.heartbeat import Heartbeat, from_headers
from tickertape.stream.engine.core.block import Block, Bools, Headers, Ints
from tickertape.stream.engine.core.columns import ints
from tickertape.stream.engine.core.names import BadName, InputNames, check
from tickertape.stream.engine.core.table import Columns

_GONE = -1
# What msgspec raises for bytes that aren't JSON; a ValidationError is a DecodeError too, and JSON of another shape.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


# Records are read this many at a time: so many stay in the processor's cache until their columns are made.
CHUNK = 2048
# Names that a partition's decoder keeps from block to block; a topic has fewer, unless somebody makes them up.
_MOST_SOURCES = 1 << 12
_MOST_SYMBOLS = 1 << 17


@dataclass(slots=True, frozen=True)
class Decoded:
    """What a block held.

    Attributes
    ----------
    at
        The places in the block of the records that could be read, in offset order, shape (n,).
    source
        Codes of their sources, see `Decoder`; shape (n,).
    symbol
        Codes of the symbols that they name, one record's after another's; shape (sum of ``named``,).
    named
        How many symbols each of them names, shape (n,); None where each has one.
    id, time_ms, received_ms
        The other columns that the engine needs, shape (n,).
    columns
        Those that the aggregate lifts, shape (n,).
    rejects
        (place, reason) of those that could not be read.
    heartbeats
        (place, heartbeat).
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
        """Return the records and heartbeats at places from ``first`` up to ``last``; rejects stay with the whole."""
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
        """Return the records and heartbeats that are not at some places."""
        if not places:
            return self
        found = self.where(~np.isin(self.at, list(places)))
        found.heartbeats[:] = [(at, beat) for at, beat in self.heartbeats if at not in places]
        return found

    def by_symbol(self) -> "Decoded":
        """Return each record as often as it names symbols, each time with one of them."""
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
    """Reads the JSON of one Struct; what is wrong with a record is said in one line, and costs no other record.

    Parameters
    ----------
    record
        The Struct.
    columns
        Makes the aggregate's columns from records, shape (n,) each.
    names
        Returns the symbols that a record names, each once; None: the one in its field ``symbol``.

    Attributes
    ----------
    sources, symbols
        What the codes stand for.
    """

    def __init__(
        self,
        record: type[Any],
        columns: Callable[[list[Any]], Columns],
        names: Callable[[Any], Collection[str]] | None = None,
    ) -> None:
        self._decode = msgspec.json.Decoder(record).decode
        self._more = columns
        self._names = names
        self.sources, self.symbols = InputNames(_MOST_SOURCES), InputNames(_MOST_SYMBOLS)

    def decode(self, block: Block) -> Decoded:
        self.sources.begin()
        self.symbols.begin()
        rejects: list[tuple[int, str]] = []
        heartbeats: list[tuple[int, Heartbeat]] = []
        values: list[Any] = block.values
        at = np.arange(len(values))
        if block.headers:
            for place, headers in block.headers.items():
                found = _heartbeat(headers)
                if isinstance(found, str):
                    rejects.append((place, found))
                else:
                    heartbeats.append((place, found))
            at = np.delete(at, list(block.headers))
            values = [value for value in values if value is not None]
        parts: list[Columns] = []
        for first in range(0, len(values) or 1, CHUNK):
            chunk, places = values[first : first + CHUNK], at[first : first + CHUNK]
            try:
                records = list(map(self._decode, chunk))
            except _UNREADABLE:
                records = self._readable(chunk, places, rejects)
            try:
                parts.append(self._columns(records))
            except Exception:
                parts.append(self._columns(self._usable(records, places, rejects)))
        whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
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

    def _columns(self, records: list[Any]) -> Columns:
        n = len(records)
        # A chunk is mostly of one source.
        sources = {record.source for record in records}
        return {
            "_source": np.full(n, self.sources[sources.pop()])
            if len(sources) == 1
            else self.sources.codes([record.source for record in records]),
            **self._symbols(records),
            "_id": ints([record.id for record in records]),
            "_time_ms": ints([record.time_ms for record in records]),
            "_received_ms": ints([record.received_ms for record in records]),
            **self._more(records),
        }

    def _symbols(self, records: list[Any]) -> Columns:
        if self._names is None:
            return {"_symbol": self.symbols.codes([record.symbol for record in records])}
        named = [self._names(record) for record in records]
        return {
            "_symbol": self.symbols.codes([name for names in named for name in names]),
            "_named": ints(list(map(len, named))),
        }

    def _readable(self, values: list[bytes], places: Ints, rejects: list[tuple[int, str]]) -> list[Any]:
        """Return the records that can be read; the places of the others are marked as gone."""
        records = []
        for i, value in enumerate(values):
            try:
                records.append(self._decode(value))
            except msgspec.ValidationError as error:
                rejects.append((int(places[i]), f"another shape: {error}"))
                places[i] = _GONE
            except _UNREADABLE as error:
                rejects.append((int(places[i]), f"not JSON: {error}"))
                places[i] = _GONE
        return records

    def _usable(self, records: list[Any], places: Ints, rejects: list[tuple[int, str]]) -> list[Any]:
        """Return the records that columns can be made of; the places of the others are marked as gone."""
        usable = []
        for i, record in zip(np.flatnonzero(places != _GONE).tolist(), records, strict=True):
            try:
                self._columns([record])
                usable.append(record)
            except BadName as error:
                rejects.append((int(places[i]), str(error)))
                places[i] = _GONE
            except Exception as error:
                rejects.append((int(places[i]), f"the agent failed on it: {error!r}"))
                places[i] = _GONE
        return usable


def heartbeats(block: Block) -> list[Heartbeat]:
    """Return the heartbeats of a block that can be read."""
    found = [_heartbeat(headers) for headers in block.headers.values()]
    return [heartbeat for heartbeat in found if not isinstance(heartbeat, str)]


def _heartbeat(headers: Headers) -> Heartbeat | str:
    """Return what a null record says, or what is wrong with it."""
    try:
        heartbeat = from_headers(headers)
    except _UNREADABLE as error:
        return f"a heartbeat's header can't be read: {error}"
    if heartbeat is None:
        return "a null without a heartbeat's header"
    try:
        check(heartbeat.source)
    except BadName as error:
        return f"a heartbeat: {error}"
    if not EARLIEST_MS <= heartbeat.time_ms <= LATEST_MS:
        return f"a heartbeat with an absurd time: {heartbeat.time_ms} ms"
    return heartbeat
