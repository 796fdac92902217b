"""One side of an order book: its levels by price, the best last."""

import math
from bisect import bisect_left, insort
from collections.abc import Sequence

from tickertape.stream.feeds.define.change import Level

#: The highest price and quantity, as in records.
MOST = 1e18
#: The most levels a side in one change.
MOST_CHANGED = 200_000
#: The longest text of a price or quantity.
MOST_LETTERS = 64
# Decimals of up to 15 digits differ as doubles, so a double is as good a key as the decimal. Texts of up to 16 letters
# with a point have no more.
EXACT_DIGITS = 15
PLAIN_LETTERS = 16


class Side:
    """The levels of one side, each with its decimal texts.

    A level's key is its price as a double, negative for asks: `63376` and `63376.0` are one level, and the best key is
    always the highest. Keys are in a sorted list with the best one last, as most changes are near it: little then has
    to be moved.

    Parameters
    ----------
    sign
        1 for bids, -1 for asks.
    most_levels
        How many levels to keep. Worse ones are dropped, and then unknown.
    """

    __slots__ = ("_keys", "_levels", "_most_levels", "_sign", "_worst")

    def __init__(self, sign: int, most_levels: int) -> None:
        self._sign = float(sign)
        self._most_levels = most_levels
        self._levels: dict[float, Level] = {}
        self._keys: list[float] = []
        # Levels with a lower key are unknown: they are not kept, as others between may be missing.
        self._worst = -math.inf

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def is_whole(self) -> bool:
        """True if no level is unknown."""
        return self._worst == -math.inf

    @property
    def best_price(self) -> float | None:
        """The best price; None if the side is empty."""
        return abs(self._keys[-1]) if self._keys else None

    def best(self) -> Level | None:
        """Return the best level; None if the side is empty."""
        return self._levels[self._keys[-1]] if self._keys else None

    def top(self, count: int) -> list[Level]:
        """Return the best levels, the best first, at most so many."""
        levels = self._levels
        return [levels[key] for key in self._keys[: -count - 1 : -1]]

    def apply(self, changes: Sequence[Level]) -> None:
        """Change levels. If it fails, some are changed.

        Raises
        ------
        ValueError
            A level is not a price above zero and a quantity of zero or more, or there are too many.
        """
        if len(changes) > MOST_CHANGED:
            raise ValueError(f"{len(changes)} levels in one change")
        levels, keys, sign, worst = self._levels, self._keys, self._sign, self._worst
        # For a snapshot it is faster to sort all keys at the end than to insert each.
        in_bulk = len(changes) > len(keys)
        for level in changes:
            price_text, quantity_text = level
            if len(price_text) > PLAIN_LETTERS or len(quantity_text) > PLAIN_LETTERS:
                _check_letters(price_text, quantity_text)
            price, quantity = float(price_text), float(quantity_text)
            if not (0.0 < price <= MOST and 0.0 <= quantity <= MOST):
                raise ValueError(f"a quantity of {quantity_text} at {price_text}")
            key = price * sign
            if key < worst:
                continue
            if quantity:
                if not in_bulk and key not in levels:
                    insort(keys, key)
                levels[key] = level
            elif levels.pop(key, None) is not None and not in_bulk:
                del keys[bisect_left(keys, key)]
        if in_bulk:
            self._keys = sorted(levels)
        if len(self._keys) > self._most_levels:
            self.cut(self._most_levels)
            self._worst = self._keys[0]

    def end_here(self) -> None:
        """Say that levels behind the present ones are unknown."""
        if self._keys:
            self._worst = self._keys[0]

    def cut(self, depth: int) -> None:
        """Drop all but the best levels."""
        for key in self._keys[:-depth]:
            del self._levels[key]
        del self._keys[:-depth]


def _check_letters(price: str, quantity: str) -> None:
    """Raise ValueError if a text is too long, or the price has more digits than a double can tell apart."""
    if len(price) > MOST_LETTERS or len(quantity) > MOST_LETTERS:
        raise ValueError(f"a price or quantity has more than {MOST_LETTERS} letters")
    mantissa = price.lower().partition("e")[0]
    if len(mantissa.replace(".", "").strip("0")) > EXACT_DIGITS:
        raise ValueError(f"the price {price} has more than {EXACT_DIGITS} digits")
