"""The open slices of one partition: a row each, with the aggregate's columns and what a commit needs."""

import numpy as np

from tickertape.stream.compiled import fold
from tickertape.stream.engine.core.columns import Bools, Ints
from tickertape.stream.engine.core.lanes import Lanes
from tickertape.stream.engine.core.names import InputNames
from tickertape.stream.engine.core.table import Columns, Table
from tickertape.stream.engine.define.aggregate import INT, Aggregate, Extreme
from tickertape.stream.engine.define.recipes import Slicing
from tickertape.stream.engine.frames.packing import SHOWN
from tickertape.stream.engine.slices.decode import Decoded
from tickertape.stream.engine.slices.repeats import Repeats

_FAR = np.iinfo(np.int64).max


class _FirstOffset(Aggregate):
    reducers = (Extreme(("first_offset", "min", INT)),)


_FIRST_OFFSET = _FirstOffset()


class OpenSlices:
    """Slices that may still change, or that no frame has carried yet.

    Parameters
    ----------
    slicing
        The recipe of the slices.
    slice_ms
        A slice's width, ms.
    sources, symbols
        The names behind the codes of decoded records; both grow as records are decoded, see `forget_names`.
    """

    def __init__(self, slicing: Slicing, slice_ms: int, sources: InputNames, symbols: InputNames) -> None:
        own = {
            **dict.fromkeys(("source", "symbol", "slice_ms"), (INT, 0)),
            "first_offset": (INT, _FAR),
            "highest_id": (INT, -1),
            "serial": (INT, 0),
            "dirty": (np.dtype(np.bool_), False),
            **SHOWN,
        }
        self._aggregate = slicing.aggregate
        self._slice_ms = slice_ms
        self._sources, self._symbols = sources, symbols
        self._table = Table(slicing.aggregate.schema | own)
        self._serial = 0
        self._repeats = Repeats()

    def __len__(self) -> int:
        return len(self._table)

    @property
    def columns(self) -> Columns:
        return self._table.columns

    @property
    def is_dirty(self) -> bool:
        """Whether a slice has changed since it was last published."""
        return bool(self._table.columns["dirty"].any())

    def needed_offset(self, read: int) -> int:
        """Return the oldest offset that an open slice was made from, at most ``read``."""
        live = self._table.live()
        return min(int(self._table.columns["first_offset"][live].min()), read) if len(live) else read

    def merge(self, decoded: Decoded, end_ms: Ints, wanted: Bools, offsets: Ints) -> int:
        """Fold the wanted records into their slices, except repeats; return how many were folded.

        Parameters
        ----------
        decoded
            n records.
        end_ms
            The end of each record's slice, ms, shape (n,).
        wanted
            Which records to fold, shape (n,).
        offsets
            The offsets of the block that the records are from.
        """
        if not (n_wanted := np.count_nonzero(wanted)):
            return 0
        if n_wanted < len(wanted):
            decoded, end_ms = decoded.where(wanted), end_ms[wanted]
        if (named := decoded.named) is not None:
            decoded, end_ms = decoded.by_symbol(), np.repeat(end_ms, named)
        local, rows = self._rows(decoded.source, decoded.symbol, end_ms)
        row = rows[local]
        columns = self._table.columns
        if fold.rise(columns["highest_id"], row, decoded.id):
            repeated = None
            self._repeats.hold(columns["serial"][row], decoded.id)
        else:
            repeated = self._repeats.find(columns, rows, local, decoded.id)
        if repeated is not None:
            decoded, row = decoded.where(~repeated), row[~repeated]
        partials = self._aggregate.lift({"time_ms": decoded.time_ms, "id": decoded.id} | decoded.columns)
        self._aggregate.merge(columns, row, partials)
        _FIRST_OFFSET.merge(columns, row, {"first_offset": offsets[decoded.at]})
        columns["dirty"][rows] = True
        columns["shown"][rows] = 0
        # A record that names several symbols is there once for each of them, in adjacent places.
        return len(decoded) if named is None else int(np.count_nonzero(np.diff(decoded.at, prepend=-1)))

    def _rows(self, source: Ints, symbol: Ints, end_ms: Ints) -> tuple[Ints, Ints]:
        """Return each record's index in the block's slices, and the table's row of each of these slices."""
        first = int(end_ms.min())
        series = source * len(self._symbols.names) + symbol
        width = len(self._sources.names) * len(self._symbols.names)
        code = (end_ms - first) // self._slice_ms * width + series
        span = int(code.max()) + 1
        if span <= 8 * len(code) + 4096:
            # Where the codes are dense, a look-up table is several times faster than a sort.
            seen = np.zeros(span, np.bool_)
            seen[code] = True
            codes = np.flatnonzero(seen)
            place = np.empty(span, np.int64)
            place[codes] = np.arange(len(codes))
            local = place[code]
        else:
            codes, local = np.unique(code, return_inverse=True)
        n = len(self._symbols.names)
        slices = {
            "source": codes % width // n,
            "symbol": codes % width % n,
            "slice_ms": first - self._slice_ms + codes // width * self._slice_ms,
        }
        rows, added = self._table.rows(*_keys(slices))
        if len(added):
            columns, new = self._table.columns, rows[added]
            for name, column in slices.items():
                columns[name][new] = column[added]
            columns["serial"][new] = np.arange(self._serial, self._serial + len(added))
            self._serial += len(added)
        return local, rows

    def find(self, source: int, symbols: Ints, starts_ms: Ints) -> Ints:
        """Return the rows of a source's slices by the codes of symbols and by starts, `NO_ROW` for one without."""
        return self._table.find(symbols << 32 | source, starts_ms)

    def forget_names(self) -> None:
        """Forget the names that no open slice has, if there are too many; the other names get new codes."""
        if not (self._sources.is_full or self._symbols.is_full):
            return
        live, columns = self._table.live(), self._table.columns
        for name, known in (("source", self._sources), ("symbol", self._symbols)):
            used, codes = np.unique(columns[name][live], return_inverse=True)
            known.keep([known.names[code] for code in used.tolist()])
            columns[name][live] = codes
        self._table.rename(*_keys(self._table.columns_at(live)))

    def changed(self) -> Ints:
        """Return the rows of the slices that have changed since the last `pop_dirty`, shape (k,)."""
        return self._table.columns["dirty"].nonzero()[0]

    def pop_dirty(self) -> Ints:
        """Return the rows of the slices that have changed since the last call, shape (k,)."""
        rows = self.changed()
        self._table.columns["dirty"][rows] = False
        return rows

    def release(self, lanes: Lanes) -> None:
        """Forget the slices whose end their lane's frontier has reached; all of them must have been published."""
        if not len(self._table):
            return
        live, columns = self._table.live(), self._table.columns
        sources, of = np.unique(columns["source"][live], return_inverse=True)
        closed_ms = np.array([lanes.closed_ms(self._sources.names[code]) for code in sources.tolist()])[of]
        closed = live[columns["slice_ms"][live] + self._slice_ms <= closed_ms]
        if len(closed):
            self._table.release(closed)
            self._repeats.forget(columns["serial"][self._table.live()])


def _keys(slices: Columns) -> tuple[Ints, Ints]:
    """Return the halves of the keys of slices in the table, from their columns."""
    return slices["symbol"] << 32 | slices["source"], slices["slice_ms"]
