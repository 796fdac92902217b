"""The path with the compiled library and the one without, side by side in one process."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any, Literal
from unittest.mock import patch

import numpy as np
import pytest
from msgspec import Meta, Struct
from numpy.typing import NDArray

from tickertape.schemas.fields import Id, Name, Source, TextId, TimeMs
from tickertape.stream.compiled.library import library
from tickertape.stream.compiled.rows import PackedRecords
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.core.records import Records, flat_fields
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.core.values import PackedValues
from tickertape.stream.engine.fetch import splitting
from tickertape.stream.engine.slices.decode import Decoded, Decoder
from tickertape.stream.engine.slices.scanner import Scanner

needs_library = pytest.mark.skipif(
    library() is None, reason="the compiled hot path isn't built: python -m tickertape.stream.compiled.build"
)


class Odd(
    Struct,
    gc=False,
    kw_only=True,
    rename={"time_ms": "t", "rate": "Rate", "one_of_two_very_long_names": "one_of_two_very_long_names_but_another"},
):
    """Every kind of flat field."""

    symbol: Name
    source: Source
    id: Id | TextId
    time_ms: TimeMs
    whole: int
    number: float
    side: Literal["buy", "sell"]
    received_ms: int = 0
    small: Annotated[int, Meta(gt=-5, lt=100)] = 7
    maybe: int | None = None
    maybe_two: Annotated[int, Meta(ge=-3, le=3)] | None = 2
    above: Annotated[float, Meta(gt=-1.5)] = -1.0
    below: Annotated[float, Meta(lt=1e300)] = 0.1
    least: Annotated[float, Meta(ge=0.1)] = 0.3
    most: Annotated[float, Meta(le=2.5e-300)] | None = None
    rate: float | None = 0.5
    kind: Literal["a", "b", "ab", "", "\t", "é", '"', "\\", "\\t"] | None = None
    state: Literal["on", "off"] | None = "off"
    phase: Literal["x", "y"] = "y"
    one_of_two_very_long_names: int = 1
    one_of_two_very_long_name: float = 2.0


def everything(record: type[Struct], records: Records) -> Columns:
    """Return all columns that records have, and where they are given, as the columns of an aggregate."""
    found: Columns = {}
    for name, field in flat_fields(record).items():
        found[f"{name} given"] = records.given(name)
        if field.kind in ("integer", "float"):
            found[name] = records.column(name)
        for choice in field.choices:
            found[f"{name} is {choice}"] = records.equals(name, choice)
    return found


def decoders(record: type[Struct]) -> tuple[Decoder, Decoder]:
    """Return a decoder with a scanner, and one without."""
    columns: Any = partial(everything, record)
    with without_library():
        without = Decoder(record, columns)
    return Decoder(record, columns), without


@contextmanager
def without_library() -> Iterator[None]:
    """Do without the compiled library inside."""
    with patch.object(splitting, "library", lambda: None), patch.object(Scanner, "of", lambda *_: None):
        yield


def block(values: Sequence[bytes | None]) -> Block:
    """Return a block of values that lie in one buffer."""
    n = len(values)
    return Block("read", 0, 0, n, np.arange(n), PackedValues.of(values), np.zeros(n, np.int64))


def packed(records: Sequence[tuple[bytes, bytes]]) -> PackedRecords:
    """Return keys and values as they lie in one buffer."""
    sizes = np.array([[len(key), len(value)] for key, value in records], np.int64).reshape(-1, 2)
    ends = sizes.ravel().cumsum().reshape(-1, 2)
    buffer = np.frombuffer(b"".join(key + value for key, value in records), np.uint8)
    return PackedRecords(buffer, ends[:, 0] - sizes[:, 0], sizes[:, 0], ends[:, 1] - sizes[:, 1], sizes[:, 1])


def bits(column: NDArray[Any]) -> NDArray[Any]:
    """Return a column such that equal means the same: zeros of two signs differ."""
    return column.view(np.int64) if column.dtype == np.float64 else column


def difference(one: Decoded, other: Decoded, decoder: Decoder, another: Decoder) -> str | None:
    """Return what differs in what two decoders made of one block, or None."""
    if one.rejects != other.rejects:
        return f"rejects: {sorted(set(one.rejects) ^ set(other.rejects))[:4]}"
    if one.heartbeats != other.heartbeats:
        return "heartbeats"
    names = (
        ("source", one.source, decoder.sources.names, other.source, another.sources.names),
        ("symbol", one.symbol, decoder.symbols.names, other.symbol, another.symbols.names),
    )
    for what, codes, known, codes_too, known_too in names:
        if [known[code] for code in codes.tolist()] != [known_too[code] for code in codes_too.tolist()]:
            return what
    if one.columns.keys() != other.columns.keys():
        return "the columns' names"
    columns = {
        "at": (one.at, other.at),
        "id": (one.id, other.id),
        "time_ms": (one.time_ms, other.time_ms),
        "received_ms": (one.received_ms, other.received_ms),
        **{name: (column, other.columns[name]) for name, column in one.columns.items()},
    }
    for name, (mine, theirs) in columns.items():
        if mine.dtype != theirs.dtype or not np.array_equal(bits(mine), bits(theirs)):
            return name
    return None
