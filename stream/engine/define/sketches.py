"""Sketches: the number of distinct items, and the frequent items, in bounded space and with a known error.

A sketch is held as bytes, in a column of objects. It is a partial that is never changed in place, and its bytes are the
same in memory, in frames and in snapshots. Both kinds are canonical: equal content has equal bytes.

Notes
-----
The tests compare with datasketches, but it can't be used here:

- damaged bytes crash its reader, and the worker with it;
- its HyperLogLog's estimate depends on the order of the items;
- its frequent items depend on whether a sketch was ever written and read again, so a result after a crash would differ
  from the replay's.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from tickertape.stream.engine.core.columns import Floats, Ints
from tickertape.stream.engine.core.table import SKETCH, Columns
from tickertape.stream.engine.define.aggregate import Reducer

Sketches = NDArray[Any]

_EMPTY = b""
_RANK_BITS = 6
_COUPON = np.dtype(np.uint32).newbyteorder("<")
_COUPON_BYTES = _COUPON.itemsize


_Count = Annotated[int, Meta(ge=0, le=2**53)]
_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_decode = msgspec.msgpack.Decoder(tuple[_Count, dict[str, _Count]]).decode


def _write(taken: int, counts: dict[str, int]) -> bytes:
    return _encode((taken, counts))


def _read(sketch: bytes) -> tuple[int, dict[str, int]]:
    return _decode(sketch) if sketch else (0, {})


def _cut(data: bytes, ends: Ints) -> Iterator[bytes]:
    """Split concatenated sketches at their ends, which are counted in coupons."""
    start = 0
    for end in (ends * _COUPON_BYTES).tolist():
        yield data[start:end]
        start = end


def column(values: Iterable[Any], n: int) -> Sketches:
    """Return n objects as a column."""
    return np.fromiter(values, SKETCH, n)


class Distinct(Reducer):
    """The number of distinct items: HyperLogLog [1]_, as the sorted list of registers that aren't zero.

    A register holds the highest rank of the hashes that fall into it; a rank is the place of a hash's first one bit.
    So a sketch takes four bytes per item until two items share a register, and never more than 4 · 2^lg_k bytes. A
    merge takes the maximum of each register, so its order doesn't matter. The estimate is Ertl's [2]_, which has no
    bias for few items.

    Parameters
    ----------
    name
        The column is named after it and ``lg_k``, so sketches of different sizes don't mix.
    lg_k
        The base-2 logarithm of the number of registers: 4 to 16.

    Attributes
    ----------
    error
        The relative standard error of `estimate`: 1.04 / √(2^lg_k) [1]_.

    References
    ----------
    .. [1] Flajolet, Fusy, Gandouet, Meunier (2007), "HyperLogLog: the analysis of a near-optimal cardinality estimation
       algorithm", Discrete Mathematics and Theoretical Computer Science AH.
    .. [2] Ertl (2017), "New cardinality estimation algorithms for HyperLogLog sketches", arXiv:1702.01284, algorithm 6.
    """

    def __init__(self, name: str, lg_k: int = 11) -> None:
        self.column = f"{name}_hll{lg_k}"
        self.schema = {self.column: (SKETCH, _EMPTY)}
        self.error = 1.04 / 2 ** (lg_k / 2)
        self._lg_k = lg_k
        self._highest = 65 - lg_k

    def lift(self, hashes: NDArray[np.uint64]) -> Columns:
        """Return a sketch for each item, given 64 bits of its hash; shape (n,)."""
        register = hashes & np.uint64(2**self._lg_k - 1)
        rest = hashes >> np.uint64(self._lg_k)
        lowest = rest & (~rest + np.uint64(1))
        # A power of two, so its logarithm is exact.
        rank = np.log2(np.maximum(lowest, 1).astype(np.float64)).astype(np.uint64) + np.uint64(1)
        rank[rest == 0] = self._highest
        coupons = (register << np.uint64(_RANK_BITS) | rank).astype(_COUPON).tobytes()
        return {self.column: column(_cut(coupons, np.arange(1, len(hashes) + 1)), len(hashes))}

    def merge(self, into: Columns, rows: Ints, partials: Columns) -> None:
        stored, new = into[self.column], partials[self.column]
        touched, local = np.unique(rows, return_inverse=True)
        sketches = [*stored[touched].tolist(), *new.tolist()]
        sizes = np.fromiter(map(len, sketches), np.int64, len(sketches)) // _COUPON_BYTES
        owner = np.repeat(np.concatenate([np.arange(len(touched)), local]), sizes)
        coupons = np.frombuffer(b"".join(sketches), _COUPON).astype(np.int64) | owner << 32
        coupons.sort()
        # A register's highest rank is sorted last.
        register = coupons >> _RANK_BITS
        coupons = coupons[np.diff(register, append=-1) != 0]
        ends = np.searchsorted(coupons >> 32, np.arange(len(touched)), side="right")
        merged = (coupons & 0xFFFF_FFFF).astype(_COUPON).tobytes()
        stored[touched] = column(_cut(merged, ends), len(touched))

    def check(self, partials: Columns) -> None:
        sketches = partials[self.column].tolist()
        sizes = np.fromiter(map(len, sketches), np.int64, len(sketches))
        if (sizes % _COUPON_BYTES).any():
            raise ValueError(f"column {self.column}: a sketch ends within a register")
        coupons = np.frombuffer(b"".join(sketches), _COUPON).astype(np.int64)
        owner = np.repeat(np.arange(len(sketches)), sizes // _COUPON_BYTES)
        register, rank = coupons >> _RANK_BITS, coupons & (2**_RANK_BITS - 1)
        if (register >= 2**self._lg_k).any() or (rank < 1).any() or (rank > self._highest).any():
            raise ValueError(f"column {self.column}: a register or its rank is out of range")
        if (np.diff(owner << 32 | register) <= 0).any():
            raise ValueError(f"column {self.column}: registers are out of order")

    def estimate(self, sketches: Sketches) -> Floats:
        """Return the estimated number of distinct items in each sketch, shape (n,)."""
        n, m, levels = len(sketches), 2**self._lg_k, self._highest + 1
        sizes = np.fromiter(map(len, sketches), np.int64, n) // _COUPON_BYTES
        rank = np.frombuffer(b"".join(sketches), _COUPON).astype(np.int64) & (2**_RANK_BITS - 1)
        counts = np.bincount(np.repeat(np.arange(n), sizes) * levels + rank, minlength=n * levels).reshape(n, levels)
        z = m * _tau(1 - counts[:, -1] / m)
        for level in range(levels - 2, 0, -1):
            z = (z + counts[:, level]) / 2
        zero = (m - sizes) / m
        some = zero < 1
        z[some] += m * _sigma(zero[some])
        estimates: Floats = np.zeros(n)
        estimates[some] = m * m / (2 * np.log(2)) / z[some]
        return estimates


def _sigma(x: Floats) -> Floats:
    """Return Ertl's sigma: x + the sum of x^(2^k) · 2^(k−1) over k ≥ 1, for x < 1."""
    total, power = x.copy(), 1.0
    while x.any():
        x = x * x
        before, total = total, total + x * power
        power *= 2
        if (total == before).all():
            break
    return total


def _tau(x: Floats) -> Floats:
    """Return Ertl's tau: (1 − x − the sum of (1 − x^(2^−k))² · 2^−k over k ≥ 1) / 3."""
    total, power = 1 - x, 1.0
    while True:
        x = np.sqrt(x)
        power /= 2
        before, total = total, total - (1 - x) ** 2 * power
        if (total == before).all():
            return total / 3


class Frequent(Reducer):
    """Frequent items, with a lower bound of each count: the summary of Misra and Gries, in its mergeable form [1]_.

    It keeps the counts of at most ``size`` items. If there are more, the count ranked ``size`` + 1 is subtracted from
    all counts, and items with nothing left are dropped. So a count may be too low, but by no more than the sum of what
    was subtracted. That is at most N / (size + 1) for N items in all, however they were split and merged. Up to
    ``size`` distinct items the counts are exact. With more, what is kept depends on the order of merges; results merge
    in the canonical order.

    Parameters
    ----------
    name
        The column is named after it and ``size``, so sketches of different sizes don't mix.
    size
        The most items that are kept.

    References
    ----------
    .. [1] Agarwal, Cormode, Huang, Phillips, Wei, Yi (2012), "Mergeable summaries", PODS, section 3.
    """

    def __init__(self, name: str, size: int = 64) -> None:
        self.column = f"{name}_top{size}"
        self.schema = {self.column: (SKETCH, _EMPTY)}
        self._size = size

    def lift(self, items: Iterable[Iterable[str]], n: int) -> Columns:
        """Return a sketch for each event, which counts each of the event's items once; shape (n,)."""
        sketches = (_write(*self._shrunk(0, dict.fromkeys(own, 1))) if own else _EMPTY for own in items)
        return {self.column: column(sketches, n)}

    def merge(self, into: Columns, rows: Ints, partials: Columns) -> None:
        stored, new = into[self.column], partials[self.column]
        filled = np.flatnonzero(new != _EMPTY)
        gathered: dict[int, list[bytes]] = {}
        for row, sketch in zip(rows[filled].tolist(), new[filled].tolist(), strict=True):
            if row in gathered:
                gathered[row].append(sketch)
            else:
                gathered[row] = [stored[row], sketch] if stored[row] else [sketch]
        # Windows of one source and of all, or of two widths, often merge the same sketches: these are merged once.
        done: dict[tuple[bytes, ...], bytes] = {}
        for row, sketches in gathered.items():
            same = tuple(sketches)
            if same not in done:
                done[same] = sketches[0] if len(sketches) == 1 else self._merged(sketches)
            stored[row] = done[same]

    def _merged(self, sketches: list[bytes]) -> bytes:
        """Return the left fold of sketches."""
        taken, counts = _decode(sketches[0])
        known, size = counts.get, self._size
        for sketch in sketches[1:]:
            more_taken, more = _decode(sketch)
            taken += more_taken
            for item, count in more.items():
                counts[item] = known(item, 0) + count
            if len(counts) > size:
                taken, counts = self._shrunk(taken, counts)
                known = counts.get
        return _write(taken, counts)

    def _shrunk(self, taken: int, counts: dict[str, int]) -> tuple[int, dict[str, int]]:
        if len(counts) <= self._size:
            return taken, counts
        least = sorted(counts.values(), reverse=True)[self._size]
        return taken + least, {item: count - least for item, count in counts.items() if count > least}

    def check(self, partials: Columns) -> None:
        for sketch in partials[self.column].tolist():
            try:
                taken, counts = _read(sketch)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise ValueError(f"column {self.column}: {error}") from None
            if len(counts) > self._size:
                raise ValueError(
                    f"column {self.column}: a sketch has {len(counts)} items, at most {self._size} are kept"
                )
            if sketch and sketch != _write(taken, counts):
                raise ValueError(f"column {self.column}: a sketch's bytes aren't canonical")

    def top(self, sketches: Sketches, most: int) -> Sketches:
        """Return up to ``most`` of each sketch's items with their counts, the most frequent first; shape (n,).

        Items with equal counts are in alphabetical order.
        """
        return column((_top(_read(sketch)[1], most) for sketch in sketches), len(sketches))

    def error(self, sketches: Sketches) -> Ints:
        """Return by how much each sketch's counts may be too low, shape (n,)."""
        return np.fromiter((_read(sketch)[0] for sketch in sketches), np.int64, len(sketches))


def _top(counts: dict[str, int], most: int) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:most]
