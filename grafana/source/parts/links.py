"""Links from a value: to the console, and to other pages."""

from grafana_foundation_sdk.builders.dashboard import DashboardLink

# Of the series that was clicked.
SYMBOL = "${__field.labels.symbol}"


def symbol_in_console(symbol: str = SYMBOL) -> DashboardLink:
    """Return the link to the chart of a symbol in the console."""
    return DashboardLink("In the console").url(f"${{console:raw}}/?view=market&symbol={symbol}").target_blank(True)


def symbol_on(page: str) -> DashboardLink:
    """Return the link to another page, of the symbol of the series that was clicked, at the time that is shown."""
    return DashboardLink(f"On the page {page}").url(
        f"/d/tickertape-{page}?var-symbol={SYMBOL}&${{datasource:queryparam}}&${{__url_time_range}}"
    )
