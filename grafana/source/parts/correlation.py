"""Pearson's correlation in PromQL."""


def correlation(one: str, other: str, window: str, *, one_for_all: bool = False) -> str:
    """Return a query for the correlation of two queries over a window.

    Parameters
    ----------
    one, other
        The queries, whose series are matched by their labels.
    window
        The range and the step of a subquery: ``[5m:10s]``.
    one_for_all
        True if the other has a single series, without labels, with which each series of the first is correlated.
    """
    match = "* on () group_left ()" if one_for_all else "*"
    products = f"avg_over_time(({one} {match} {other}){window})"
    means = f"avg_over_time(({one}){window}) {match} avg_over_time(({other}){window})"
    deviations = f"stddev_over_time(({one}){window}) {match} stddev_over_time(({other}){window})"
    # Rounding alone would carry it beyond.
    return f"clamp(({products} - {means}) / ({deviations}), -1, 1)"
