"""Finds where the path with the compiled library and the one without differ, and the smallest input that shows it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np
from msgspec import Struct

from tests.compiled.both import bits, block, decoders, difference, everything
from tests.compiled.generated import SOURCES, SYMBOLS, generated
from tickertape.stream.engine.core.records import StructRecords
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.core.values import PackedValues
from tickertape.stream.engine.slices.decode import Decoded, Decoder
from tickertape.stream.engine.slices.scanner import Scanner


@dataclass
class Counts:
    """How many records were compared, how many of them the scanner read, and how many blocks it read in part."""

    records: int = 0
    scanned: int = 0
    blocks: int = 0
    merged: int = 0
    batches: int = 0
    split: int = 0
    bundles: int = 0
    unbundled: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


class Pair:
    """Decoders of one Struct, with and without the library. They know the usual names."""

    def __init__(self, record: type[Struct]) -> None:
        self.record = record
        self.decoder, self.plain = decoders(record)
        self._decode: Any = msgspec.json.Decoder(record).decode
        self._first = generated(record, Random(1), 4 * len(SOURCES) * len(SYMBOLS))
        self.counts = Counts()
        self.prime()

    @property
    def scanner(self) -> Scanner:
        assert self.decoder._scanner is not None, "somebody asked for the records themselves"
        return self.decoder._scanner

    def prime(self) -> None:
        for each in (self.decoder, self.plain):
            each.decode(block(self._first))

    def scans_differ(self, values: Sequence[bytes | None]) -> str | None:
        """Return how the scanner reads otherwise than msgspec what it reads, or None."""
        packed = PackedValues.of(values)
        scan = self.scanner.scan(packed)
        self.counts.records += len(values)
        self.counts.scanned += int(scan.scanned.sum())
        scan = scan.where(scan.scanned)
        try:
            records = list(map(self._decode, packed[np.flatnonzero(self.scanner.scan(packed).scanned)]))
        except Exception as error:
            return f"the scanner reads it, and msgspec says: {error}"
        objects = StructRecords(self.record, records)
        mine, theirs = everything(self.record, scan), everything(self.record, objects)
        if (column := _differing(mine, theirs)) is not None:
            return f"{column}: {_shown(mine[column])} instead of {_shown(theirs[column])}"
        for field, known in (("source", self.decoder.sources), ("symbol", self.decoder.symbols)):
            if [known.names[code] for code in scan.codes(field).tolist()] != [getattr(each, field) for each in records]:
                return field
        return None

    def blocks_differ(self, values: list[bytes]) -> str | None:
        """Return how the Decoded with the scanner differs from the one without, or None."""
        scanned, self.counts.blocks = self.decoder._scanned, self.counts.blocks + 1

        def watched(*arguments: Any) -> Columns | None:
            found = scanned(*arguments)
            self.counts.merged += found is not None
            return found

        with patch.object(self.decoder, "_scanned", watched):
            mine, theirs = _made(self.decoder, values), _made(self.plain, values)
        if isinstance(mine, str) or isinstance(theirs, str):
            return None if mine == theirs else f"{mine} instead of {theirs}"
        return difference(mine, theirs, self.decoder, self.plain)

    def differ(self, values: list[bytes]) -> str | None:
        return self.scans_differ(values) or self.blocks_differ(values)


def _made(decoder: Decoder, values: list[bytes]) -> Decoded | str:
    try:
        return decoder.decode(block(values))
    except Exception as error:
        return repr(error)


def _differing(mine: Columns, theirs: Columns) -> str | None:
    for name, column in mine.items():
        other = theirs[name]
        if column.dtype != other.dtype or not np.array_equal(bits(column), bits(other)):
            return name
    return None


def _shown(column: Any) -> str:
    return ", ".join(map(repr, column[:3].tolist()))


def told(record: type[Struct], values: list[bytes], found: str) -> str:
    """Return the smallest records found that still make a difference, and which."""

    def still(some: list[bytes]) -> bool:
        return Pair(record).differ(some) is not None

    if not still(values):
        return f"{record.__name__}: {found} (only after the records before; not made smaller)"
    fewest = smallest(values, still)
    for i, value in enumerate(fewest):

        def still_with(less: list[int], i: int = i) -> bool:
            return still([*fewest[:i], bytes(less), *fewest[i + 1 :]])

        fewest[i] = bytes(smallest(list(value), still_with))
    return f"{record.__name__}: {Pair(record).differ(fewest)}\n" + "\n".join(map(repr, fewest))


def smallest(items: list[Any], still: Callable[[list[Any]], bool]) -> list[Any]:
    """Return the items without those that don't matter, in halves, quarters, and so on."""
    step = len(items)
    while step:
        at = 0
        while at < len(items):
            less = items[:at] + items[at + step :]
            if still(less):
                items = less
            else:
                at += step
        step //= 2
    return items
