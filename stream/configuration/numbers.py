"""Check that numbers are finite: NaN and infinity are floats too, and pass comparisons that should stop them."""

import math
from collections.abc import Iterator
from typing import Any

import click
from msgspec import Struct, structs


def not_finite(values: Any, name: str = "") -> Iterator[str]:
    """Yield the path of each number in a Struct, dict or list that isn't finite: ``signals[0].above``."""
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
    """A finite number in a range. click's own type accepts ``nan``, and ``inf`` if the range has no upper end."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"{value!r} isn't a finite number", param, ctx)
        return found
