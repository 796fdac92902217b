"""Results as records: a window's metrics as the JSON of a Struct, under a key that identifies the window."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from types import NoneType
from typing import Any, NamedTuple, TypeAlias, get_args, overload

import msgspec
import numpy as np
from msgspec import Struct

from tickertape.stream.compiled.rows import Field, PackedRecords, RowWriter
from tickertape.stream.compiled.texts import Coded, Texts
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.kafka.partition import partition_for

#: Symbol, source or `all`, resolution, and start in ms.
WindowKey: TypeAlias = tuple[str, str, str, int]


class WindowKeys(Sequence[WindowKey]):
    """The keys of n windows, as columns.

    Parameters
    ----------
    symbol, source, resolution
        The names.
    start_ms
        Shape (n,).
    """

    __slots__ = ("resolution", "source", "start_ms", "symbol")

    def __init__(self, symbol: Coded, source: Coded, resolution: Coded, start_ms: Ints) -> None:
        self.symbol = symbol
        self.source = source
        self.resolution = resolution
        self.start_ms = start_ms

    @classmethod
    def of(cls, keys: Sequence[WindowKey]) -> "WindowKeys":
        """Return keys as columns."""
        *names, start_ms = zip(*keys, strict=True) if keys else ((), (), (), ())
        symbol, source, resolution = map(Coded.of, names)
        return cls(symbol, source, resolution, np.array(start_ms, np.int64))

    def __len__(self) -> int:
        return len(self.start_ms)

    @overload
    def __getitem__(self, which: int) -> WindowKey: ...
    @overload
    def __getitem__(self, which: slice | Ints) -> "WindowKeys": ...
    def __getitem__(self, which: int | slice | Ints) -> "WindowKey | WindowKeys":
        if isinstance(which, slice | np.ndarray):
            return WindowKeys(self.symbol[which], self.source[which], self.resolution[which], self.start_ms[which])
        return self.symbol[which], self.source[which], self.resolution[which], int(self.start_ms[which])

    def __iter__(self) -> Iterator[WindowKey]:
        return zip(self.symbol, self.source, self.resolution, self.start_ms.tolist(), strict=True)


class Output(Struct, frozen=True):
    """One kind of results.

    Attributes
    ----------
    sink
        The topic that they are published to.
    kind
        Separates them from other results on that topic, and ends their keys. Empty if there are no others.
    result
        The Struct of a result.
    """

    sink: str
    kind: str
    result: type[Struct]

    @property
    def name(self) -> str:
        """The output's name: ``bars``, or with a kind ``indicators/ema``."""
        return f"{self.sink}/{self.kind}" if self.kind else self.sink


#: A result's output, symbol, key and value.
Result: TypeAlias = tuple[Output, str, bytes, bytes]


def output_of(sink: str, result: type[Struct]) -> Output:
    """Return the output of a result's Struct; the Struct's tag is the kind."""
    return Output(sink, str(result.__struct_config__.tag or ""), result)


class Finals(NamedTuple):
    """Final results as columns, for the recipes that take final windows.

    Attributes
    ----------
    keys
        The keys of their windows.
    shards
        The shard of each, shape (n,).
    columns
        Metrics, with ``revision``, ``incomplete`` and ``width_ms``; shape (n,).
    """

    keys: list[WindowKey]
    shards: Ints
    columns: Columns

    def only(self, names: Collection[str]) -> "Finals":
        """Return these finals with only the named columns."""
        return Finals(self.keys, self.shards, {name: self.columns[name] for name in names} if self.keys else {})

    def and_(self, others: "Finals") -> "Finals":
        """Return these finals and others; the others have at least the same columns."""
        if not self.keys or not others.keys:
            return self if self.keys else others
        columns = {name: np.concatenate([column, others.columns[name]]) for name, column in self.columns.items()}
        return Finals(self.keys + others.keys, np.concatenate([self.shards, others.shards]), columns)


NOTHING = Finals([], np.empty(0, np.int64), {})
# Results that become records together: few enough for the processor's cache.
_BLOCK_RESULTS = 1024
_IDENTITY = ("symbol", "source", "resolution", "start_ms")


#: Records: the key and value of each.
Records: TypeAlias = Sequence[tuple[bytes, bytes]]


class ResultBlock(NamedTuple):
    """Results of one output.

    Attributes
    ----------
    symbols
        The symbol of each.
    write
        Returns their records, made anew with each call. A flush may bring a hundred thousand results: as records they
        are in memory only until they are sent.
    """

    output: Output
    symbols: Coded
    write: Callable[[], Records]


def records_at(records: Records, places: Ints) -> Records:
    """Return the records at these places."""
    return records[places] if isinstance(records, PackedRecords) else [records[at] for at in places.tolist()]


class SinkPartitions:
    """Says where each result belongs: a symbol's partition is looked up once, and not for each result.

    Parameters
    ----------
    sinks
        The number of partitions of each sink, by name.
    """

    def __init__(self, sinks: Mapping[str, int]) -> None:
        self._sinks = sinks
        #: By sink: the names of the last call, and the partition of each.
        self._known: dict[str, tuple[Sequence[str], Ints]] = {}

    def split(self, sink: str, symbols: Coded) -> Iterator[tuple[int, Ints]]:
        """Yield each partition of a sink that some of n symbols belong to, and their places."""
        partition_of = self._partitions(sink, symbols.names)[symbols.codes]
        for partition in np.flatnonzero(np.bincount(partition_of)).tolist():
            yield partition, (partition_of == partition).nonzero()[0]

    def _partitions(self, sink: str, names: Sequence[str]) -> Ints:
        known, partitions = self._known.get(sink, (None, np.empty(0, np.int64)))
        if known is not names:
            partitions = np.empty(0, np.int64)
        if len(partitions) < len(names):
            n = self._sinks[sink]
            new = [partition_for(name, n) for name in names[len(partitions) :]]
            partitions = np.concatenate([partitions, np.array(new, np.int64)])
            self._known[sink] = names, partitions
        return partitions


class Results:
    """Results in the order in which they are published.

    Attributes
    ----------
    blocks
        The same, in parts of one output each.
    """

    __slots__ = ("blocks",)

    def __init__(self, blocks: Sequence[ResultBlock] = ()) -> None:
        self.blocks = list(blocks)

    def __len__(self) -> int:
        return sum(len(block.symbols) for block in self.blocks)

    def __iter__(self) -> Iterator[Result]:
        for output, symbols, write in self.blocks:
            for symbol, (key, value) in zip(symbols, write(), strict=True):
                yield output, symbol, key, value


class ResultTexts:
    """The symbols, sources and resolutions of results as bytes, for writers that write the same ones one by one."""

    def __init__(self) -> None:
        self.by_name = {
            (name, form): Texts(form) for name in _IDENTITY[:-1] for form in (str.encode, msgspec.json.encode)
        }


class ResultWriter:
    """Encodes results of one kind as records.

    Parameters
    ----------
    output
        The kind. Its Struct has ``symbol``, ``source``, ``resolution``, ``start_ms``, and fields named as the columns.
    texts
        What it shares with other writers, or None.
    """

    def __init__(self, output: Output, texts: ResultTexts | None = None) -> None:
        self.output = output
        self._result: Any = output.result
        self._fields = output.result.__struct_fields__
        fields = msgspec.structs.fields(output.result)
        self._nullable = [field.name for field in fields if set(get_args(field.type)) == {int, NoneType}]
        self._ends = f"|{output.kind}" if output.kind else ""
        self._encode = msgspec.json.Encoder().encode
        self._rows = _row_writer(output.result, self._nullable, self._ends, texts)

    def write(self, keys: Sequence[WindowKey], columns: Columns) -> list[ResultBlock]:
        """Return a record for each window, in blocks. Columns have shape (n,).

        NaN becomes null, and in a field that may be null a negative integer does.
        """
        if not len(keys):
            return []
        if not isinstance(keys, WindowKeys):
            keys = WindowKeys.of(keys)
        rows = None
        if self._rows is not None:
            rows = self._rows.rows({**columns, **{name: getattr(keys, name) for name in _IDENTITY}})
        blocks = []
        for first in range(0, len(keys), _BLOCK_RESULTS):
            part = slice(first, first + _BLOCK_RESULTS)
            of = keys.symbol[part]
            write = partial(rows.write, first, len(of)) if rows else partial(self._one_by_one, keys, columns, part)
            blocks.append(ResultBlock(self.output, of, write))
        return blocks

    def _one_by_one(self, keys: WindowKeys, columns: Columns, part: slice) -> list[tuple[bytes, bytes]]:
        keys = keys[part]
        values: dict[str, Sequence[Any]] = dict(zip(_IDENTITY, zip(*keys, strict=True), strict=True))
        for name in self._fields:
            if name not in values:
                values[name] = columns[name][part].tolist()
        for name in self._nullable:
            values[name] = [None if value < 0 else value for value in values[name]]
        rows = zip(*[values[name] for name in self._fields], strict=True)
        ends, encode, result = self._ends, self._encode, self._result
        return [
            (f"{symbol}|{source}|{resolution}|{start_ms}{ends}".encode(), encode(result(*row)))
            for (symbol, source, resolution, start_ms), row in zip(keys, rows, strict=True)
        ]


def _row_writer(
    result: type[Struct], nullable: Collection[str], ends: str, texts: ResultTexts | None
) -> RowWriter | None:
    """Return a writer of a result's records as msgspec writes them, or None for a Struct that isn't a plain object."""
    config = result.__struct_config__
    if config.array_like or config.omit_defaults or not isinstance(config.tag, str | None):
        return None
    shared = (texts or ResultTexts()).by_name
    key = [Field(b"|" if i else b"", name, shared.get((name, str.encode))) for i, name in enumerate(_IDENTITY)]
    before, value, json = b"{", [], msgspec.json.encode
    if config.tag is not None:
        before += json(config.tag_field) + b":" + json(config.tag) + b","
    for name, encoded in zip(result.__struct_fields__, result.__struct_encode_fields__, strict=True):
        value.append(Field(before + json(encoded) + b":", name, shared.get((name, json)), name in nullable))
        before = b","
    return RowWriter((key, ends.encode()), (value, b"}"))
