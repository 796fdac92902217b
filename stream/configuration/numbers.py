"""Numbers that are none: not a number, and infinity. Both pass for numbers, and no comparison with them helps."""

import math
from collections.abc import Iterator
from typing import Any

import click
from msgspec import Struct, structs


def not_finite(values: Any, name: str = "") -> Iterator[str]:
    """Yield where a Struct, a dict or a list has a number that is not finite: ``signals[0].above``."""
    match values:
        case float():
            if not math.isfinite(values):
                yield name
        case Struct():
            for field, value in structs.asdict(values).items():
                yield from not_finite(value, f"{name}.{field}" if name else field)
        case dict():
            for key, value in values.items():
                yield from not_finite(value, f"{name}.{key}" if name else str(key))
        case list() | tuple():
            for at, value in enumerate(values):
                yield from not_finite(value, f"{name}[{at}]")


class FiniteRange(click.FloatRange):
    """A number in a range, and no other: click's own takes ``nan`` for one, and ``inf`` where there is no upper end."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"{value!r} is no number", param, ctx)
        return found
