"""Prices of one bar, and ranges from one bar to the next."""

import numpy as np

from tickertape.stream.engine.core.columns import Floats
from tickertape.stream.engine.core.table import Columns


def typical_price(bars: Columns) -> Floats:
    price: Floats = (bars["high"] + bars["low"] + bars["close"]) / 3
    return price


def true_range(bars: Columns, previous_close: Floats) -> Floats:
    """Return the range of each bar and the close before it."""
    high, low = bars["high"], bars["low"]
    found: Floats = np.maximum(high - low, np.maximum(np.abs(high - previous_close), np.abs(low - previous_close)))
    return found


def directional_movement(bars: Columns, high: Floats, low: Floats) -> tuple[Floats, Floats]:
    """Return how far bars go above the high before, and below the low before; the lesser of the two counts as 0."""
    up, down = bars["high"] - high, low - bars["low"]
    return np.where((up > 0) & (up > down), up, 0.0), np.where((down > 0) & (down > up), down, 0.0)
