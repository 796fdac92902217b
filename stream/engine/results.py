"""Results as records: what a window holds, written as its Struct's JSON, under the key that says which window it is."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from stream.engine.table import Columns

#: Symbol, source or `all`, resolution, and start in ms.
WindowKey: TypeAlias = tuple[str, str, str, int]
#: Symbol, key and value.
Result: TypeAlias = tuple[str, bytes, bytes]


class ResultWriter:
    """Writes results of one Struct.

    Parameters
    ----------
    result
        The Struct: ``symbol``, ``source``, ``resolution``, ``start_ms``, and fields that columns have.
    """

    def __init__(self, result: type[msgspec.Struct]) -> None:
        self._result: Any = result
        self._fields = result.__struct_fields__
        self._encode = msgspec.json.Encoder().encode

    def write(self, keys: list[WindowKey], columns: Columns) -> list[Result]:
        """Return a record of each window; columns have shape (n,), NaN becomes null."""
        values: dict[str, Sequence[Any]] = dict(
            zip(("symbol", "source", "resolution", "start_ms"), zip(*keys, strict=True), strict=True)
        )
        rows = zip(*[values[name] if name in values else columns[name].tolist() for name in self._fields], strict=True)
        encode, result = self._encode, self._result
        return [
            (symbol, f"{symbol}|{source}|{resolution}|{start_ms}".encode(), encode(result(*row)))
            for (symbol, source, resolution, start_ms), row in zip(keys, rows, strict=True)
        ]
