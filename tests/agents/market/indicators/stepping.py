"""Indicators stepped through bars without an engine, and what TA-Lib makes of the same bars."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import talib
from hypothesis import strategies as st

from tickertape.agents.market.indicators.averages.dema import DEMA
from tickertape.agents.market.indicators.averages.ema import EMA
from tickertape.agents.market.indicators.averages.kama import KAMA
from tickertape.agents.market.indicators.averages.sma import SMA
from tickertape.agents.market.indicators.averages.tema import TEMA
from tickertape.agents.market.indicators.averages.wma import WMA
from tickertape.agents.market.indicators.momentum.cci import CCI
from tickertape.agents.market.indicators.momentum.macd import MACD
from tickertape.agents.market.indicators.momentum.roc import ROC
from tickertape.agents.market.indicators.momentum.rsi import RSI
from tickertape.agents.market.indicators.momentum.stoch import STOCH
from tickertape.agents.market.indicators.momentum.stochf import STOCHF
from tickertape.agents.market.indicators.momentum.stochrsi import STOCHRSI
from tickertape.agents.market.indicators.momentum.willr import WILLR
from tickertape.agents.market.indicators.trend.adx import ADX
from tickertape.agents.market.indicators.trend.aroon import AROON
from tickertape.agents.market.indicators.trend.sar import SAR
from tickertape.agents.market.indicators.volatility.atr import ATR
from tickertape.agents.market.indicators.volatility.bbands import BBANDS
from tickertape.agents.market.indicators.volume.mfi import MFI
from tickertape.agents.market.indicators.volume.obv import OBV
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.indicator import Indicator
from tickertape.stream.engine.define.recipes import Recursion

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
PRICES = ("open", "high", "low", "close", "volume")


class Oracle(NamedTuple):
    """An indicator, parameters to try, and TA-Lib's answer for bars of one series.

    ``off`` is None where the answers are the same to the last bit. Otherwise they may be off by a billionth, of the
    answer and of the greatest price so far (``price``) or of a hundred (``percent``), because TA-Lib sums in another
    order. ``last_bars`` says that an answer depends only on as many bars as the warm-up takes.
    """

    indicator: Indicator
    tries: Sequence[tuple[float, ...]]
    answer: Callable[..., dict[str, Any]]
    off: str | None = None
    last_bars: bool = False

    @property
    def name(self) -> str:
        return self.indicator.name


def named(function: Callable[..., Any], *names: str) -> Callable[..., dict[str, Any]]:
    """Return a function of bars and parameters that names the answers of TA-Lib's."""

    def answer(bars: Columns, *parameters: float) -> dict[str, Any]:
        found = function(bars, *parameters)
        return dict(zip(names, found if isinstance(found, (tuple, list)) else (found,), strict=True))

    return answer


def hlc(bars: Columns) -> tuple[Floats, Floats, Floats]:
    return bars["high"], bars["low"], bars["close"]


def directional(bars: Columns, n: int) -> tuple[Floats, ...]:
    return talib.PLUS_DI(*hlc(bars), n), talib.MINUS_DI(*hlc(bars), n), talib.ADX(*hlc(bars), n)


ORACLES = [
    Oracle(
        SMA, [(30,), (1,), (3,)], named(lambda b, n: b["close"] if n == 1 else talib.SMA(b["close"], n), "sma"), "price"
    ),
    Oracle(EMA, [(12,), (26,), (2,)], named(lambda b, n: talib.EMA(b["close"], n), "ema")),
    Oracle(WMA, [(30,), (2,)], named(lambda b, n: talib.WMA(b["close"], n), "wma"), "price", True),
    Oracle(DEMA, [(30,), (5,)], named(lambda b, n: talib.DEMA(b["close"], n), "dema")),
    Oracle(TEMA, [(30,), (5,)], named(lambda b, n: talib.TEMA(b["close"], n), "tema")),
    Oracle(KAMA, [(30,), (5,)], named(lambda b, n: talib.KAMA(b["close"], n), "kama"), "price"),
    Oracle(
        MACD,
        [(12, 26, 9), (3, 7, 4)],
        named(lambda b, *n: talib.MACD(b["close"], *n), "macd", "signal", "histogram"),
    ),
    Oracle(RSI, [(14,), (2,)], named(lambda b, n: talib.RSI(b["close"], n), "rsi")),
    Oracle(
        BBANDS,
        [(20, 2), (5, 2.5)],
        named(lambda b, n, w: talib.BBANDS(b["close"], n, w, w), "upper", "middle", "lower"),
        "price",
        True,
    ),
    Oracle(ATR, [(14,), (3,), (1,)], named(lambda b, n: talib.ATR(*hlc(b), n), "atr")),
    Oracle(ADX, [(14,), (2,)], named(directional, "plus_di", "minus_di", "adx")),
    Oracle(
        STOCH,
        [(5, 3, 3), (14, 1, 2)],
        named(lambda b, k, s, d: talib.STOCH(*hlc(b), k, s, 0, d, 0), "slow_k", "slow_d"),
        "percent",
    ),
    Oracle(
        STOCHF, [(5, 3), (14, 1)], named(lambda b, k, d: talib.STOCHF(*hlc(b), k, d, 0), "fast_k", "fast_d"), "percent"
    ),
    Oracle(
        STOCHRSI,
        [(14, 5, 3), (3, 2, 1)],
        named(lambda b, n, k, d: talib.STOCHRSI(b["close"], n, k, d, 0), "fast_k", "fast_d"),
        "percent",
    ),
    Oracle(CCI, [(14,), (3,)], named(lambda b, n: talib.CCI(*hlc(b), n), "cci"), "percent", True),
    Oracle(WILLR, [(14,), (2,)], named(lambda b, n: talib.WILLR(*hlc(b), n), "willr")),
    Oracle(MFI, [(14,), (2,)], named(lambda b, n: talib.MFI(*hlc(b), b["volume"], n), "mfi"), "percent", True),
    Oracle(OBV, [()], named(lambda b: talib.OBV(b["close"], b["volume"]), "obv")),
    Oracle(SAR, [(0.02, 0.2), (0.1, 0.05)], named(lambda b, a, m: talib.SAR(b["high"], b["low"], a, m), "sar")),
    Oracle(AROON, [(14,), (2,)], named(lambda b, n: talib.AROON(b["high"], b["low"], n), "down", "up")),
    Oracle(ROC, [(10,), (1,)], named(lambda b, n: talib.ROC(b["close"], n), "roc")),
]


def fresh(recursion: Recursion, series: int) -> Columns:
    """Return the state of series that have had no bar."""
    return {
        name: np.full((series, *dtype.shape), start, dtype.base) for name, (dtype, start) in recursion.state.items()
    }


def step(recursion: Recursion, bars: Columns, state: Columns | None = None) -> Columns:
    """Step through bars, each of shape (bars, series); return metrics of that shape."""
    rows = len(bars["close"])
    state = fresh(recursion, bars["close"].shape[1]) if state is None else state
    made = [recursion.step(state, {name: bars[name][row] for name in PRICES}) for row in range(rows)]
    return {name: np.array([one[name] for one in made]) for name in made[0]}


#: The kinds of random walks.
KINDS = ("calm", "wild", "flat", "no volume", "jumps", "ticks", "rising", "one price a bar")


def walk(kind: str, bars: int, series: int, seed: int) -> Columns:
    """Return bars of random walks, each column of shape (bars, series)."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(0, {"wild": 0.1, "flat": 0.0}.get(kind, 0.002), (bars, series))
    if kind == "jumps":
        # To and fro: where a price has lost many orders of magnitude, TA-Lib takes its changes and flows for none.
        jumps = rng.random((bars, series)) < 0.1
        moves += np.where(jumps, 3.0 * (-1.0) ** np.cumsum(jumps, axis=0), 0.0)
    close = 100 * np.exp(np.cumsum(np.abs(moves) if kind == "rising" else moves, axis=0))
    if kind == "ticks":
        # Few prices, so many are equal.
        close = np.round(close * 4) / 4
    spread = 0.0 if kind in ("flat", "one price a bar") else 0.003
    opened = np.vstack([close[:1], close[:-1]])
    high = np.maximum(opened, close) * (1 + spread * rng.random((bars, series)))
    low = np.minimum(opened, close) * (1 - spread * rng.random((bars, series)))
    if kind == "ticks":
        high, low = np.ceil(high * 4) / 4, np.floor(low * 4) / 4
    if kind == "one price a bar":
        high = low = opened = close
    volume = np.zeros((bars, series)) if kind == "no volume" else 10 + rng.integers(0, 1000, (bars, series)) / 8
    return {"open": opened, "high": high, "low": low, "close": close, "volume": volume}


def walks(longest: int = 130) -> st.SearchStrategy[Columns]:
    return st.builds(
        walk, st.sampled_from(KINDS), st.integers(1, longest), st.integers(1, 4), st.integers(0, 2**32 - 1)
    )


def series_of(bars: Columns, place: int) -> Columns:
    """Return one series' bars, as TA-Lib wants them."""
    return {name: np.ascontiguousarray(column[:, place]) for name, column in bars.items()}
