"""Rows of the market's page on what is derived from bars: sliding windows and indicators."""

from collections.abc import Iterator

from grafana_foundation_sdk.models.units import LocaleFormat, PercentUnit, Short

from grafana.source.market.bars import BARS, BASIS_POINTS, CHOSEN
from grafana.source.parts.panels import HALF, Graph, Query, graph, newest

# As the setting `rolling_ms` names them by default.
WIDTHS = ("10s", "1m", "5m")


def by_width(metric: str, matchers: str) -> list[Query]:
    """Return a query for each width of a metric of sliding windows."""
    return [newest("{{symbol}} {{source}} " + width, f"{metric}_{width}", matchers) for width in WIDTHS]


def sliding_windows() -> Iterator[Graph]:
    of_trades = CHOSEN + ', kind="trades"'
    of_quotes = CHOSEN + ', kind="quotes"'
    yield graph(
        "VWAP",
        "VWAP over the last 10 seconds, minute and 5 minutes, updated every second.",
        LocaleFormat,
        *by_width("tickertape_rolling_vwap", of_trades),
    )
    yield graph(
        "Change",
        "Price change over the last 10 seconds, minute and 5 minutes: the last price divided by the first, minus 1.",
        PercentUnit,
        *by_width("tickertape_rolling_change", of_trades),
    )
    yield graph(
        "Realised volatility",
        "Square root of the sum of squared one-second log returns, over the last 10 seconds, minute and 5 minutes.",
        PercentUnit,
        *by_width("tickertape_rolling_realised_volatility", of_trades),
    ).min(0)
    yield graph(
        "Volume",
        "Volume traded over the last 10 seconds, minute and 5 minutes.",
        LocaleFormat,
        *by_width("tickertape_rolling_volume", of_trades),
    ).min(0)
    share = graph(
        "Buy share",
        "Share of the volume of the last 10 seconds, minute and 5 minutes in which the aggressor was the buyer.",
        PercentUnit,
        *by_width("tickertape_rolling_buy_share", of_trades),
    )
    yield share.min(0).max(1)
    yield graph(
        "Spread",
        "Time-weighted mean spread over the last 10 seconds, minute and 5 minutes, in basis points of the mid price.",
        BASIS_POINTS,
        *by_width("tickertape_rolling_time_weighted_spread_bps", of_quotes),
    ).min(0)


def indicators() -> Iterator[Graph]:
    of_ema = BARS + ', kind="ema"'
    of_bollinger = BARS + ', kind="bollinger"'
    of_rsi = BARS + ', kind="rsi"'
    yield graph(
        "Moving averages",
        "Exponential moving averages over 12 and 26 final bars, beside the close.",
        LocaleFormat,
        newest("{{symbol}} {{source}} close", "tickertape_indicators_close", of_ema),
        newest("{{symbol}} {{source}} 12 bars", "tickertape_indicators_fast", of_ema),
        newest("{{symbol}} {{source}} 26 bars", "tickertape_indicators_slow", of_ema),
    ).span(HALF)
    yield graph(
        "Bollinger bands",
        "Mean of the last 20 final closes, and two standard deviations above and below it.",
        LocaleFormat,
        newest("{{symbol}} {{source}} upper", "tickertape_indicators_upper", of_bollinger),
        newest("{{symbol}} {{source}} middle", "tickertape_indicators_middle", of_bollinger),
        newest("{{symbol}} {{source}} lower", "tickertape_indicators_lower", of_bollinger),
    ).span(HALF)
    strength = graph(
        "RSI",
        "Wilder's relative strength index over 14 price changes. Above 70 counts as overbought, below 30 as oversold.",
        Short,
        newest("{{symbol}} {{source}}", "tickertape_indicators_rsi", of_rsi),
    )
    yield strength.min(0).span(HALF)
    yield graph(
        "%b",
        "Position of the close between the Bollinger bands: 0 on the lower band, 1 on the upper.",
        Short,
        newest("{{symbol}} {{source}}", "tickertape_indicators_percent_b", of_bollinger),
    ).span(HALF)
