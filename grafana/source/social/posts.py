"""Rows of the page on posts: how many there are, and what they say."""

from collections.abc import Iterator

from grafana_foundation_sdk.models.dashboard import FieldColorModeId
from grafana_foundation_sdk.models.units import PercentUnit, Short

from grafana.source.parts.heat import Grid, grid
from grafana.source.parts.links import symbol_in_console, symbol_on
from grafana.source.parts.panels import AMBER, HALF, RED, Graph, Query, Stat, graph, newest, query, stat

# Label matchers for the choices at the top of the page: without and with the window.
CHOSEN = 'symbol=~"$symbol", source=~"$source", instance=~"$instance"'
POSTS = CHOSEN + ', resolution="$window"'
# Of final windows, against those before.
AGAINST = POSTS + ', kind="mentions"'


def now() -> Iterator[Stat]:
    yield stat(
        "Mentions",
        "Posts in the newest window that name the symbol; they grow until the window ends.",
        Short,
        newest("{{symbol}} {{source}}", "tickertape_social_mentions", POSTS),
        width=6,
    ).data_links([symbol_in_console(), symbol_on("market"), symbol_on("signals")])
    yield stat(
        "Sentiment",
        "Mean sentiment score of the posts in the newest window, from -1 (negative) to 1 (positive).",
        Short,
        newest("{{symbol}} {{source}}", "tickertape_social_sentiment", POSTS),
        width=6,
        decimals=2,
        levels={None: RED, -0.1: "text", 0.1: "green"},
        sparkline=False,
    )
    yield stat(
        "Burst",
        "Z-score of the mentions in the last final window against the windows before; above 3 is unusual.",
        Short,
        newest("{{symbol}} {{source}}", "tickertape_indicators_z_score", AGAINST),
        width=6,
        decimals=1,
        levels={None: "text", 2: AMBER, 3: RED},
        sparkline=False,
    )
    yield stat(
        "Copied",
        "Share of the posts in the newest window that are retweets or reposts.",
        PercentUnit,
        newest("{{symbol}} {{source}}", "tickertape_social_copy_share", POSTS),
        width=6,
        decimals=0,
        sparkline=False,
    )


def mentions() -> Iterator[Graph | Grid]:
    yield (
        graph(
            "Mentions",
            "Posts in the newest window that name the symbol, and an estimate of how many accounts wrote them.",
            Short,
            newest("{{symbol}} {{source}}", "tickertape_social_mentions", POSTS),
            newest("{{symbol}} {{source}} authors", "tickertape_social_unique_authors", POSTS),
        )
        .min(0)
        .span(HALF)
    )
    yield (
        graph(
            "Against the baseline",
            "Mentions in the last final window, the mean of the windows before, and three standard deviations more.",
            Short,
            newest("{{symbol}} {{source}}", "tickertape_indicators_mentions", AGAINST),
            newest("{{symbol}} {{source}} baseline", "tickertape_indicators_baseline", AGAINST),
            _unusual(),
        )
        .min(0)
        .span(HALF)
    )
    yield graph(
        "Mention bursts",
        "Z-score of the mentions in the last final window against the windows before; above 3 is unusual. "
        "There is no value before the twentieth window.",
        Short,
        newest("{{symbol}} {{source}}", "tickertape_indicators_z_score", AGAINST),
    ).span(HALF)
    yield grid(
        "Bursts, by symbol",
        "The same z-score as colours: red from 4 on, blue where there are far fewer mentions than usual.",
        Short,
        newest("{{symbol}} {{source}}", "tickertape_indicators_z_score", AGAINST),
        colours=FieldColorModeId.CONTINUOUS_BL_YL_RD,
        low=-4,
        high=4,
    ).decimals(1)


def _unusual() -> Query:
    baseline, deviation = (
        "max by (symbol, source) (tickertape_indicators_" + field + "{" + AGAINST + "})"
        for field in ("baseline", "deviation")
    )
    return query("{{symbol}} {{source}} unusual", f"{baseline} + 3 * clamp_min({deviation}, 1)")


def content() -> Iterator[Graph]:
    yield graph(
        "Sentiment",
        "Mean sentiment score of the posts, from -1 (negative) to 1 (positive).",
        Short,
        newest("{{symbol}} {{source}}", "tickertape_social_sentiment", POSTS),
    )
    yield graph(
        "Copied posts",
        "Share of the posts that are retweets or reposts.",
        PercentUnit,
        newest("{{symbol}} {{source}}", "tickertape_social_copy_share", POSTS),
    ).min(0)
    yield graph(
        "Engagement",
        "Likes, reposts and replies that the posts had when they were received.",
        Short,
        newest("{{symbol}} {{source}}", "tickertape_social_engagement", POSTS),
    ).min(0)
