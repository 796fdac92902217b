"""The last values of each series, oldest first, and what is made of them. Sums are in time order."""

from typing import Any

import numpy as np

from tickertape.stream.engine.core.columns import Floats, Ints


def window(length: int) -> tuple[np.dtype[Any], float]:
    """Return a column of a state: the last values of each series, zeros at first."""
    return np.dtype((np.float64, (length,))), 0.0


def pushed(values: Floats, newest: Floats) -> Floats:
    """Return windows without their oldest value, and with a newest one."""
    moved = np.empty_like(values)
    moved[:, :-1] = values[:, 1:]
    moved[:, -1] = newest
    return moved


def mean(values: Floats) -> Floats:
    """Return the mean of each window. Rounding doesn't move it out of the range of the values."""
    found: Floats = np.clip(values.sum(axis=1) / values.shape[1], values.min(axis=1), values.max(axis=1))
    return found


def position(close: Floats, highs: Floats, lows: Floats) -> Floats:
    """Return where closes are between the lowest low and the highest high, from 0 to 100; 0 if these are equal."""
    lowest = lows.min(axis=1)
    return ratio(close - lowest, (highs.max(axis=1) - lowest) / 100)


def bars_since(values: Floats) -> Ints:
    """Return how many values ago each window has its maximum; of equal ones, the newest counts."""
    found: Ints = values[:, ::-1].argmax(axis=1)
    return found


def ratio(part: Floats, whole: Floats) -> Floats:
    """Return part / whole, 0 where the whole is 0."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole != 0)
