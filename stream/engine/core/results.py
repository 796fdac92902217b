"""Results as records: a window's metrics as the JSON of a Struct, under a key that identifies the window."""

from collections.abc import Collection, Sequence
from types import NoneType
from typing import Any, NamedTuple, TypeAlias, get_args

import msgspec
import numpy as np
from msgspec import Struct

from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.table import Columns

#: Symbol, source or `all`, resolution, and start in ms.
WindowKey: TypeAlias = tuple[str, str, str, int]


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


class ResultWriter:
    """Encodes results of one kind as records.

    Parameters
    ----------
    output
        The kind. Its Struct has ``symbol``, ``source``, ``resolution``, ``start_ms``, and fields named as the columns.
    """

    def __init__(self, output: Output) -> None:
        self.output = output
        self._result: Any = output.result
        self._fields = output.result.__struct_fields__
        fields = msgspec.structs.fields(output.result)
        self._nullable = [field.name for field in fields if set(get_args(field.type)) == {int, NoneType}]
        self._ends = f"|{output.kind}" if output.kind else ""
        self._encode = msgspec.json.Encoder().encode

    def write(self, keys: list[WindowKey], columns: Columns) -> list[Result]:
        """Return a record for each window. Columns have shape (n,).

        NaN becomes null, and in a field that may be null a negative integer does.
        """
        values: dict[str, Sequence[Any]] = dict(
            zip(("symbol", "source", "resolution", "start_ms"), zip(*keys, strict=True), strict=True)
        )
        for name in self._fields:
            if name not in values:
                values[name] = columns[name].tolist()
        for name in self._nullable:
            values[name] = [None if value < 0 else value for value in values[name]]
        rows = zip(*[values[name] for name in self._fields], strict=True)
        output, ends, encode, result = self.output, self._ends, self._encode, self._result
        return [
            (output, symbol, f"{symbol}|{source}|{resolution}|{start_ms}{ends}".encode(), encode(result(*row)))
            for (symbol, source, resolution, start_ms), row in zip(keys, rows, strict=True)
        ]
