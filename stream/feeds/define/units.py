"""Recognising times in another unit than milliseconds."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from tickertape.schemas.fields import EARLIEST_MS, LATEST_MS

T = TypeVar("T", bound=msgspec.Struct)

_MS_IN = {"seconds": 1e3, "microseconds": 1e-3, "nanoseconds": 1e-6}


def unit_of(time: float) -> str | None:
    """Return the unit in which a number is a time between 2000 and 2100; None for milliseconds, or if none fits.

    Examples
    --------
    >>> unit_of(1_700_000_000), unit_of(1_700_000_000_000)
    ('seconds', None)
    """
    for unit, ms in _MS_IN.items():
        if EARLIEST_MS <= time * ms <= LATEST_MS:
            return unit
    return None


def with_unit(reason: str, fields: Mapping[str, Any]) -> str:
    """Return the reason why fields are not an event; if it is a time in another unit, with that unit."""
    for name, value in fields.items():
        if name in reason and isinstance(value, int | float) and (unit := unit_of(value)):
            return f"{reason}: {value} looks like {unit}"
    return reason


def convert(fields: Mapping[str, Any], kind: type[T]) -> T:
    """Convert fields into an event.

    Raises
    ------
    ValueError
        The fields are not a valid event.
    """
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise ValueError(with_unit(str(error), fields)) from None
