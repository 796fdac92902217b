"""Kaufman's adaptive moving average: fast while closes go one way, slow while they go to and fro."""

import numpy as np

from tickertape.agents.market.indicators.of_bars import OfBar, of_bars, period
from tickertape.agents.market.indicators.smoothing import forgotten_after
from tickertape.agents.market.indicators.windows import pushed, window
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import FLOAT
from tickertape.stream.engine.define.indicator import Formula

FAST, SLOW = 2 / (2 + 1), 2 / (30 + 1)


class Kama(OfBar, frozen=True):
    """Kaufman's adaptive moving average at a bar, as JSON on the topic ``indicators``.

    The efficiency e is the change over the last n bars, without its sign, divided by the sum of the changes from bar to
    bar, without theirs; 1 if there are none. With ``s = (e · (2/3 − 2/31) + 2/31)²``, ``kama = kama + s · (c − kama)``
    [1]_. It begins with the n-th close, and the first result is at bar n + 1. TA-Lib's ``KAMA``, which takes an
    efficiency of 1 also where the change is at least the sum, as rounding may make it.

    Attributes
    ----------
    kama
        The average.

    References
    ----------
    .. [1] Kaufman (1995), "Smarter Trading".
    """

    kama: float | None


def formula(n: int) -> Formula:
    def step(state: Columns, bars: Columns) -> Columns:
        close, count, average = bars["close"], bars["n"], state["average"]
        closes = state["closes"] = pushed(state["closes"], close)
        change = close - closes[:, 0]
        moved = np.abs(closes[:, 1:] - closes[:, :-1]).sum(axis=1)
        known = (moved > 0) & (moved > change)
        efficiency = np.divide(np.abs(change), moved, out=np.ones_like(moved), where=known)
        speed = (efficiency * (FAST - SLOW) + SLOW) ** 2
        average[:] = np.where(count <= n, close, (close - average) * speed + average)
        return {"kama": average.copy()}

    # While prices go to and fro without end, an average moves by the slow share alone.
    memory = forgotten_after(1 - SLOW**2) + n
    return Formula({"closes": window(n + 1), "average": (FLOAT, 0.0)}, step, {"kama": n + 1}, memory)


KAMA = of_bars("kama", Kama, formula, period(30, least=2))
