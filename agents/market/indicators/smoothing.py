"""Averages that follow each value: exponential ones and Wilder's. The state of a series changes in place.

In all of them, ``count`` says how many values a series has had, this one included. While it is below 1, nothing
happens.
"""

from math import ceil, log

import numpy as np

from tickertape.stream.engine.core.columns import Floats, Ints

# A value counts as forgotten once its weight is below this.
_FORGOTTEN = 1e-9


def exponential(average: Floats, value: Floats, count: Ints, period: int) -> None:
    """Move averages by 2 / (period + 1) of the way to the value.

    The first average is the mean of the first values, as many as the period, as in TA-Lib. Before that, the state is
    their sum.
    """
    _seeded_by_mean(average, value, count, period, average + 2 / (period + 1) * (value - average))


def exponential_from_first(average: Floats, value: Floats, count: Ints, period: int) -> None:
    """Move averages as `exponential` does. The first average is the first value, as in TradingView's ``ta.ema``."""
    average[:] = np.where(count <= 1, value, average + 2 / (period + 1) * (value - average))


def wilder(average: Floats, value: Floats, count: Ints, period: int) -> None:
    """Move averages by 1 / period of the way to the value. They begin as `exponential` does.

    It is the average of Wilder (1978), "New Concepts in Technical Trading Systems", and TradingView's ``ta.rma``.
    """
    _seeded_by_mean(average, value, count, period, (average * (period - 1) + value) / period)


def wilder_sum(total: Floats, value: Floats, count: Ints, period: int) -> None:
    """Take a part of 1 / period from sums, and add the value, as Wilder's directional movement does.

    The first values, one less than the period, are only added.
    """
    total[:] = np.where(count < period, total + np.where(count > 0, value, 0.0), total - total / period + value)


def _seeded_by_mean(average: Floats, value: Floats, count: Ints, period: int, later: Floats) -> None:
    if count.min(initial=period + 1) > period:
        average[:] = later
        return
    average[:] = np.where(count <= period, average + np.where(count > 0, value, 0.0), later)
    average[count == period] /= period


def exponential_memory(period: int) -> int:
    """Return after how many values an exponential average has forgotten a value."""
    return forgotten_after(1 - 2 / (period + 1))


def wilder_memory(period: int) -> int:
    """Return after how many values Wilder's average has forgotten a value."""
    return forgotten_after(1 - 1 / period)


def forgotten_after(kept: float) -> int:
    """Return after how many values a value is forgotten, if each later one leaves it this part of its weight."""
    return ceil(log(_FORGOTTEN) / log(kept)) if kept > 0 else 1
