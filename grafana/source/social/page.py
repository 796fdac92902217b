"""The page of results on posts, for the symbols on the watch list."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.source.parts import choices, marks
from grafana.source.parts.dashboard import Rows, filled, headed
from grafana.source.social import beside, posts


def page() -> Dashboard:
    head = headed("social", "What posts say of the symbols on the watch list, beside their prices.")
    variables = [
        choices.prometheus(),
        choices.symbol("label_values(tickertape_social_mentions, symbol)"),
        choices.source('label_values(tickertape_social_mentions{symbol=~"$symbol"}, source)'),
        choices.single(
            "window",
            "Post window",
            "Length of a window over posts.",
            "label_values(tickertape_social_mentions, resolution)",
            chosen=choices.MINUTE,
        ),
        choices.single(
            "resolution",
            "Bar",
            "Length of the bars that posts are compared with.",
            "label_values(tickertape_bars_close, resolution)",
            chosen=choices.MINUTE,
        ),
        choices.worker(),
        choices.console(),
    ]
    rows: Rows = {
        "Now": posts.now(),
        "Mentions": posts.mentions(),
        "What they say": posts.content(),
        "Beside the market": beside.market(),
    }
    page = head.variables(variables).time("now-1h", "now").refresh("5s").annotation(marks.signals(posts.CHOSEN))
    return filled(page, rows)
