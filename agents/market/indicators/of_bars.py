"""What all indicators with parameters share: the fields of their results, and the bars that they take."""

from collections.abc import Callable

from msgspec import Struct

from tickertape.agents.market.bars import TRADE_BARS
from tickertape.schemas.topics import INDICATORS
from tickertape.stream.engine.define.indicator import Formula, Indicator, Parameter


class OfBar(Struct, frozen=True):
    """An indicator at a bar.

    Attributes
    ----------
    symbol, source, resolution
        The bar's series.
    start_ms
        The start of the bar: event time since 1970 UTC.
    close
        The bar's close.
    ready
        Whether the warm-up is over, so all values are there.
    missing_bars
        How many bars are missing until then; 0 if it is ready.
    final
        True.
    revision
        The number of trades in all bars up to this one.
    incomplete
        True while missing trades still affect the values.
    """

    symbol: str
    source: str
    resolution: str
    start_ms: int
    close: float
    ready: bool
    missing_bars: int
    final: bool
    revision: int
    incomplete: bool


def of_bars(
    name: str,
    result: type[OfBar],
    formula: Callable[..., Formula],
    *parameters: Parameter,
    modes: tuple[str, ...] = (),
) -> Indicator:
    """Return an indicator of bars of trades."""
    return Indicator(
        name=name,
        of=TRADE_BARS,
        takes=("open", "high", "low", "close", "volume"),
        sink=INDICATORS,
        result=result,
        parameters=parameters,
        formula=formula,
        modes=modes,
    )


def period(default: int, name: str = "period", least: int = 1) -> Parameter:
    """Return a parameter that is a number of bars."""
    return Parameter(name, default, least)


#: The modes of an indicator that TradingView begins otherwise than TA-Lib.
MODES = ("talib", "tradingview")
