"""Takes the bundles of a block apart, so that each of their events has a place like a record's."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np

from tickertape.stream.bundles.unpacking import BadBundle, header_of
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.core.columns import Bools, Ints
from tickertape.stream.engine.slices.bundled import BundledColumns, BundleReader, PackedBundle

# More events of a bundle than these are made JSON all at once.
_FEW = 16


class EventValues(Sequence[bytes | None]):
    """The values of a block whose bundles are taken apart; that of an event in a bundle is made when it is asked for.

    Parameters
    ----------
    values
        The records' values.
    record
        The record of each place, as an index of ``values``; shape (n,).
    bundles
        The first place of each bundle, and the bundle.
    """

    def __init__(self, values: Sequence[bytes | None], record: Ints, bundles: list[tuple[int, PackedBundle]]) -> None:
        self.values = values
        self.record = record
        self.bundles = bundles
        self._of = {int(record[first]): (first, bundle) for first, bundle in bundles}

    def __len__(self) -> int:
        return len(self.record)

    def texts(self, places: Ints) -> list[bytes]:
        """Return events of bundles as JSON; their places rise, shape (k,)."""
        found: list[bytes] = []
        for first, bundle in self.bundles:
            since, until = np.searchsorted(places, [first, first + len(bundle)]).tolist()
            mine = (places[since:until] - first).tolist()
            if len(mine) > _FEW:
                texts = bundle.unpacked.texts
                found += [texts[at] for at in mine]
            else:
                found += map(bundle.json, mine)
        return found

    @overload
    def __getitem__(self, which: int) -> bytes | None: ...
    @overload
    def __getitem__(self, which: slice) -> list[bytes | None]: ...
    def __getitem__(self, which: int | slice) -> bytes | list[bytes | None] | None:
        if isinstance(which, slice):
            return [self[at] for at in range(*which.indices(len(self)))]
        record = int(self.record[which])
        if (found := self._of.get(record)) is None:
            return self.values[record]
        first, bundle = found
        return bundle.json(which - first)


@dataclass(slots=True, frozen=True)
class Unbundled:
    """A block whose bundles are taken apart.

    Attributes
    ----------
    block
        Each event of a bundle has a place here, with the offset of its record; so have all other records.
    values
        The block's values, if it has bundles; else None.
    single
        Which places hold a record with a single event, or with something that is none; shape (n,). None: all but
        those with headers.
    columns
        The events of all bundles; None if they don't fit columns.
    rejects
        The places of records that say that they are bundles and can't be unpacked, and the reasons.
    """

    block: Block
    values: EventValues | None = None
    single: Bools | None = None
    columns: BundledColumns | None = None
    rejects: Sequence[tuple[int, str]] = ()

    @property
    def bundles(self) -> list[tuple[int, PackedBundle]]:
        """The first place of each bundle, and the bundle."""
        return [] if self.values is None else self.values.bundles

    @property
    def bundled(self) -> int:
        """The number of events in bundles."""
        return sum(len(bundle) for _, bundle in self.bundles)


def unbundled(block: Block, reader: BundleReader | None) -> Unbundled:
    """Take the bundles of a block apart. One that can't be unpacked is rejected as a whole, and none of it is read.

    Parameters
    ----------
    block
        The block.
    reader
        Reads the columns of the events; None if they don't fit columns.
    """
    if not block.bundles:
        return Unbundled(block)
    found: dict[int, PackedBundle] = {}
    broken: dict[int, str] = {}
    for at, headers in block.bundles.items():
        try:
            header = header_of(headers)
            assert header is not None
            found[at] = bundle = PackedBundle(block.values, at, header.events)
            if reader is None:
                assert bundle.unpacked
        except BadBundle as error:
            found.pop(at, None)
            broken[at] = str(error)
    columns = None
    if reader is not None:
        columns, refused = reader.read(found.values())
        for bundle, why in refused:
            del found[bundle.at]
            broken[bundle.at] = why
    counts = np.ones(len(block), np.int64)
    counts[list(found)] = [len(bundle) for bundle in found.values()]
    firsts = np.cumsum(counts) - counts
    record = np.repeat(np.arange(len(block)), counts)
    is_single = np.ones(len(block), np.bool_)
    is_single[[*found, *broken]] = False
    # By record: what is subtracted from a place for its index, which is -1 for all that are no bundle.
    below = firsts + 1
    below[list(found)] -= 1
    values = EventValues(block.values, record, [(int(firsts[at]), bundle) for at, bundle in found.items()])
    apart = replace(
        block,
        offsets=np.repeat(block.offsets, counts),
        values=values,
        appended_ms=np.repeat(block.appended_ms, counts),
        headers={int(firsts[at]): headers for at, headers in block.headers.items()},
        bundles={},
        index=np.arange(len(record)) - np.repeat(below, counts),
    )
    rejects = [(int(firsts[at]), why) for at, why in broken.items()]
    return Unbundled(apart, values, np.repeat(is_single, counts), columns, rejects)
