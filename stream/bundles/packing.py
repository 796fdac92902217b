"""Packs events into a bundle: the columns follow from the fields of the events' Struct."""

from collections.abc import Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tickertape.schemas.bundle import Bundle, Column, Decimals, Floats, Integers, Texts, Values
from tickertape.stream.bundles.unpacking import EXACT_DIGITS, TENS

# What a column of decimals may have.
MOST_EXPONENT, MOST_DIGITS = 400, 19
_INT64 = range(-(2**63), 2**63)

_encode = msgspec.msgpack.Encoder().encode
_json = msgspec.json.Encoder(decimal_format="number").encode


def pack(events: Sequence[Any]) -> bytes:
    """Return the value of a bundle's record; `tickertape.schemas.bundle.to_headers` makes its header.

    Parameters
    ----------
    events
        n events of one Struct, which is encoded as a plain JSON object; at least one.
    """
    columns: dict[str, Column] = {}
    given: dict[str, bytes] = {}
    for field in msgspec.structs.fields(type(events[0])):
        values = list(map(attrgetter(field.name), events))
        # Zeros of two signs are equal.
        if not isinstance(field.default, float) and values.count(field.default) == len(values):
            continue
        if (nulls := values.count(None)) and nulls < len(values):
            given[field.encode_name] = np.packbits([value is not None for value in values], bitorder="little").tobytes()
            some = next(value for value in values if value is not None)
            values = [some if value is None else value for value in values]
        columns[field.encode_name] = _column(values)
    return _encode(Bundle(columns, given))


def _column(values: list[Any]) -> Column:
    kinds = set(map(type, values))
    if kinds == {int} and min(values) in _INT64 and max(values) in _INT64:
        return integers(np.array(values, np.int64))
    if kinds == {float}:
        return floats(np.array(values, np.float64))
    if kinds == {Decimal} and (found := _exactly(values)) is not None:
        return found
    if kinds == {str}:
        codes: dict[str, int] = {}
        indices = [codes.setdefault(value, len(codes)) for value in values]
        return Texts(list(codes), integers(np.array(indices, np.int64)))
    return Values(b"\n".join(map(_json, values)))


def _exactly(values: list[Decimal]) -> Decimals | None:
    """Return decimals as a column; None if they have too many digits for it."""
    if not all(value.is_finite() for value in values):
        return None
    exponent = min(int(value.as_tuple().exponent) for value in values)
    if abs(exponent) > MOST_EXPONENT or max(value.adjusted() for value in values) - exponent > MOST_DIGITS:
        return None
    mantissas = [int(value.scaleb(-exponent)) for value in values]
    if min(mantissas) not in _INT64 or max(mantissas) not in _INT64:
        return None
    return Decimals(integers(np.array(mantissas, np.int64)), exponent)


def integers(values: NDArray[np.int64]) -> Integers:
    """Return integers of shape (n,) as a column, in the fewest bytes."""
    least, most = int(values.min()), int(values.max())
    width = next(each for each in (0, 1, 2, 4, 8) if most - least < 1 << 8 * each)
    if width > 1:
        # Where a step is larger than 64 bits it wraps around, and so does the sum.
        steps = np.diff(values, prepend=values[:1])
        low, high = int(steps.min()), int(steps.max())
        signed = next(each for each in (1, 2, 4, 8) if -(1 << 8 * each - 1) <= low and high < 1 << 8 * each - 1)
        if signed < width:
            return Integers(int(values[0]), steps.astype(f"<i{signed}").tobytes(), steps=True)
    if not width:
        return Integers(least)
    return Integers(least, (values.view(np.uint64) - np.uint64(least % 2**64)).astype(f"<u{width}").tobytes())


def floats(values: NDArray[np.float64]) -> Column:
    """Return doubles of shape (n,) as a column: as decimals, if they are short ones."""
    left = values
    with np.errstate(over="ignore", invalid="ignore"):
        for places, ten in enumerate(TENS):
            left = left[~_are_decimals(left, ten)]
            if not len(left):
                if not _are_decimals(values, ten).all():
                    break
                return Decimals(integers(np.rint(values * ten).astype(np.int64)), -places)
            if not (np.abs(left) * ten < EXACT_DIGITS).all():
                break
    return Floats(values.astype("<f8").tobytes())


def _are_decimals(values: NDArray[np.float64], ten: float) -> NDArray[np.bool_]:
    """Return where a double is exactly what mantissa / ten is read as. Minus zero is no decimal."""
    mantissas = np.rint(values * ten)
    again = mantissas.astype(np.int64) / ten
    found: NDArray[np.bool_] = (np.abs(mantissas) < EXACT_DIGITS) & (again.view(np.int64) == values.view(np.int64))
    return found
