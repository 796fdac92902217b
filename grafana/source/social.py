"""The row of the market's page on posts."""

from collections.abc import Iterator

from grafana_foundation_sdk.models.units import PercentUnit, Short

from grafana.source.panels import TWO_THIRDS, WHOLE, Graph, graph, newest, query

# Label matchers for the choices at the top of the page.
POSTS = 'symbol=~"$symbol", source=~"$source", resolution="$window", instance=~"$instance"'


def social() -> Iterator[Graph]:
    yield graph(
        "Mentions",
        "Posts in the newest window that name the symbol, and an estimate of how many accounts wrote them.",
        Short,
        newest("{{symbol}} {{source}}", "tickertape_social_mentions", POSTS),
        newest("{{symbol}} {{source}} authors", "tickertape_social_unique_authors", POSTS),
    ).min(0)
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
        "Mentions and price",
        "Mentions of the symbol and its price, each as a share of its maximum over the time range shown.",
        PercentUnit,
        query(
            "{{symbol}} mentions",
            "max by (symbol) (tickertape_social_mentions"
            '{symbol=~"$symbol", source="all", resolution="$window", instance=~"$instance"})'
            " / max_over_time(max by (symbol) (tickertape_social_mentions"
            '{symbol=~"$symbol", source="all", resolution="$window", instance=~"$instance"})[$__range:])',
        ),
        query(
            "{{symbol}} price",
            "max by (symbol) (tickertape_bars_close"
            '{symbol=~"$symbol", source="all", resolution=~"$resolution", instance=~"$instance"})'
            " / max_over_time(max by (symbol) (tickertape_bars_close"
            '{symbol=~"$symbol", source="all", resolution=~"$resolution", instance=~"$instance"})[$__range:])',
        ),
    ).span(TWO_THIRDS)
    yield graph(
        "Engagement",
        "Likes, reposts and replies that the posts had when they were received.",
        Short,
        newest("{{symbol}} {{source}}", "tickertape_social_engagement", POSTS),
    ).min(0)
    yield graph(
        "Mention bursts",
        "Z-score of the mentions in the last final window against the windows before; above 3 is unusual. "
        "There is no value before the twentieth window.",
        Short,
        query(
            "{{symbol}} {{source}}",
            "max by (symbol, source) (tickertape_indicators_z_score"
            '{symbol=~"$symbol", source=~"$source", resolution="$window", kind="mentions", instance=~"$instance"})',
        ),
    ).span(WHOLE)
