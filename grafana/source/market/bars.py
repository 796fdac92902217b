"""Rows of the market's page on bars: of trades, and of quotes."""

from collections.abc import Iterator

from grafana_foundation_sdk.models.units import LocaleFormat, PercentUnit, Seconds, Short

from grafana.source.parts.links import symbol_in_console, symbol_on
from grafana.source.parts.panels import HALF, Graph, Stat, graph, newest, query, stat

# Label matchers for the choices at the top of the page: without a resolution, of all sources combined, and with one.
CHOSEN = 'symbol=~"$symbol", source=~"$source", instance=~"$instance"'
ALL_SOURCES = 'symbol=~"$symbol", source="all", instance=~"$instance"'
BARS = 'symbol=~"$symbol", source=~"$source", resolution=~"$resolution", instance=~"$instance"'

BASIS_POINTS = "suffix: bps"


def now() -> Iterator[Stat]:
    yield stat(
        "Price",
        "Price of the last trade.",
        LocaleFormat,
        newest("{{symbol}} {{source}}", "tickertape_bars_close", BARS),
        width=6,
    ).data_links([symbol_in_console(), symbol_on("social"), symbol_on("signals")])
    yield stat(
        "Volume",
        "Volume of the newest bar; it grows until the bar ends.",
        Short,
        newest("{{symbol}} {{source}}", "tickertape_bars_volume", BARS),
        width=6,
        decimals=2,
        sparkline=False,
    )
    yield stat(
        "Buy share",
        "Share of the newest bar's volume in which the aggressor was the buyer.",
        PercentUnit,
        newest("{{symbol}} {{source}}", "tickertape_bars_buy_share", BARS),
        width=6,
        decimals=0,
        sparkline=False,
    )
    yield stat(
        "Spread",
        "Spread of the last quote, in basis points of the mid price.",
        BASIS_POINTS,
        newest("{{symbol}} {{source}}", "tickertape_quote_bars_spread_bps", BARS),
        width=6,
        decimals=2,
        sparkline=False,
    )


def trades() -> Iterator[Graph]:
    yield graph(
        "Price",
        "Price of the last trade, and the volume-weighted average price (VWAP) of the newest bar.",
        LocaleFormat,
        newest("{{symbol}} {{source}}", "tickertape_bars_close", BARS),
        newest("{{symbol}} {{source}} VWAP", "tickertape_bars_vwap", BARS),
    ).span(HALF)
    yield graph(
        "High and low",
        "Highest and lowest price of the newest bar.",
        LocaleFormat,
        newest("{{symbol}} {{source}} high", "tickertape_bars_high", BARS),
        newest("{{symbol}} {{source}} low", "tickertape_bars_low", BARS),
    ).span(HALF)
    yield graph(
        "Volume",
        "Volume of the newest bar as it grows, and the part bought by aggressors.",
        Short,
        newest("{{symbol}} {{source}}", "tickertape_bars_volume", BARS),
        newest("{{symbol}} {{source}} bought", "tickertape_bars_buy_volume", BARS),
    ).min(0)
    yield graph(
        "Buy share",
        "Share of the newest bar's volume in which the aggressor was the buyer.",
        PercentUnit,
        newest("{{symbol}} {{source}}", "tickertape_bars_buy_share", BARS),
    ).min(0)
    volatility = graph(
        "Realised volatility",
        "Square root of the sum of squared log returns between the closes of the bar's seconds.",
        PercentUnit,
        newest("{{symbol}} {{source}}", "tickertape_bars_realised_volatility", BARS),
    )
    yield volatility.min(0).decimals(3)
    yield graph(
        "Trades",
        "Number of trades in the newest bar.",
        Short,
        newest("{{symbol}} {{source}}", "tickertape_bars_count", BARS),
    ).min(0)
    yield graph(
        "Largest trade",
        "Quantity of the largest trade in the newest bar, in units of the symbol.",
        Short,
        newest("{{symbol}} {{source}}", "tickertape_bars_largest", BARS),
    ).min(0)
    yield graph(
        "Age of the newest trade",
        "Time since the last trade, by its event time.",
        Seconds,
        query(
            "{{symbol}} {{source}}", "time() - max by (symbol, source) (tickertape_bars_close_seconds{" + BARS + "})"
        ),
    )


def quotes() -> Iterator[Graph]:
    yield graph(
        "Bid and ask",
        "Best bid and ask of the last quote.",
        LocaleFormat,
        newest("{{symbol}} {{source}} bid", "tickertape_quote_bars_bid", BARS),
        newest("{{symbol}} {{source}} ask", "tickertape_quote_bars_ask", BARS),
    ).span(HALF)
    yield graph(
        "Spread",
        "Time-weighted mean and widest spread of the newest bar, in basis points of the mid price.",
        BASIS_POINTS,
        newest("{{symbol}} {{source}} time-weighted", "tickertape_quote_bars_time_weighted_spread_bps", BARS),
        newest("{{symbol}} {{source}} widest", "tickertape_quote_bars_max_spread_bps", BARS),
    ).span(HALF)
    yield graph(
        "Imbalance",
        "Imbalance of quantities at the top of the book, of the last quote and on average: 1 is all bid, -1 all ask.",
        Short,
        newest("{{symbol}} {{source}}", "tickertape_quote_bars_imbalance", BARS),
        newest("{{symbol}} {{source}} mean", "tickertape_quote_bars_mean_imbalance", BARS),
    )
    yield graph(
        "Quantities",
        "Bid and ask quantities at the top of the book.",
        Short,
        newest("{{symbol}} {{source}} bid", "tickertape_quote_bars_bid_quantity", BARS),
        newest("{{symbol}} {{source}} ask", "tickertape_quote_bars_ask_quantity", BARS),
    ).min(0)
    yield graph(
        "Quotes",
        "Number of quotes in the newest bar.",
        Short,
        newest("{{symbol}} {{source}}", "tickertape_quote_bars_count", BARS),
    ).min(0)
