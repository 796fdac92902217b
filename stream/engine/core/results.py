"""Results as records: what a window holds, written as its Struct's JSON, under the key that says which window it is."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec
import numpy as np
from msgspec import Struct

from tickertape.stream.engine.core.block import Ints
from tickertape.stream.engine.core.table import Columns

#: Symbol, source or `all`, resolution, and start in ms.
WindowKey: TypeAlias = tuple[str, str, str, int]


class Output(Struct, frozen=True):
    """One kind of results.

    Attributes
    ----------
    sink
        The topic that they go to.
    kind
        Tells them from others there, and ends their keys; empty where there are no others.
    result
        Their Struct.
    """

    sink: str
    kind: str
    result: type[Struct]

    @property
    def name(self) -> str:
        """``bars``, or with its kind ``indicators/ema``."""
        return f"{self.sink}/{self.kind}" if self.kind else self.sink


#: What it is, its symbol, key and value.
Result: TypeAlias = tuple[Output, str, bytes, bytes]


def output_of(sink: str, result: type[Struct]) -> Output:
    """Return the output of a Struct, whose tag is the kind."""
    return Output(sink, str(result.__struct_config__.tag or ""), result)


class Finals(NamedTuple):
    """Final results as columns: what follows them takes these.

    Attributes
    ----------
    keys
        Which they are.
    shards
        Of each, shape (n,).
    columns
        Metrics, with ``revision``, ``incomplete`` and ``width_ms``; shape (n,).
    """

    keys: list[WindowKey]
    shards: Ints
    columns: Columns

    def only(self, names: Collection[str]) -> "Finals":
        """Return them with some of their columns."""
        return Finals(self.keys, self.shards, {name: self.columns[name] for name in names} if self.keys else {})

    def and_(self, others: "Finals") -> "Finals":
        """Return these and others, which have the same columns or more."""
        if not self.keys or not others.keys:
            return self if self.keys else others
        columns = {name: np.concatenate([column, others.columns[name]]) for name, column in self.columns.items()}
        return Finals(self.keys + others.keys, np.concatenate([self.shards, others.shards]), columns)


NOTHING = Finals([], np.empty(0, np.int64), {})


class ResultWriter:
    """Writes results of one kind.

    Parameters
    ----------
    output
        Its Struct has ``symbol``, ``source``, ``resolution``, ``start_ms``, and fields that columns have.
    """

    def __init__(self, output: Output) -> None:
        self.output = output
        self._result: Any = output.result
        self._fields = output.result.__struct_fields__
        self._ends = f"|{output.kind}" if output.kind else ""
        self._encode = msgspec.json.Encoder().encode

    def write(self, keys: list[WindowKey], columns: Columns) -> list[Result]:
        """Return a record of each window; columns have shape (n,), NaN becomes null."""
        values: dict[str, Sequence[Any]] = dict(
            zip(("symbol", "source", "resolution", "start_ms"), zip(*keys, strict=True), strict=True)
        )
        rows = zip(*[values[name] if name in values else columns[name].tolist() for name in self._fields], strict=True)
        output, ends, encode, result = self.output, self._ends, self._encode, self._result
        return [
            (output, symbol, f"{symbol}|{source}|{resolution}|{start_ms}{ends}".encode(), encode(result(*row)))
            for (symbol, source, resolution, start_ms), row in zip(keys, rows, strict=True)
        ]
