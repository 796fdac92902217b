"""A bar in plain Python, for the engines whose windows are folded by Python functions."""

from typing import Any


def first(trade: Any) -> list[Any]:
    """Return a bar of one trade: open, high, low, close, volume, notional, buy volume and count."""
    price, quantity = trade["price"], trade["quantity"]
    bought = quantity if trade["side"] == "buy" else 0.0
    return [price, price, price, price, quantity, price * quantity, bought, 1]


def add(bar: list[Any], trade: Any) -> list[Any]:
    """Add a trade to a bar, and return the bar."""
    price, quantity = trade["price"], trade["quantity"]
    if price > bar[1]:
        bar[1] = price
    if price < bar[2]:
        bar[2] = price
    bar[3] = price
    bar[4] += quantity
    bar[5] += price * quantity
    if trade["side"] == "buy":
        bar[6] += quantity
    bar[7] += 1
    return bar


def row(symbol: str, start_ms: int, bar: list[Any]) -> dict[str, Any]:
    """Return a bar as it is published."""
    return {
        "symbol": symbol,
        "start_ms": start_ms,
        "open": bar[0],
        "high": bar[1],
        "low": bar[2],
        "close": bar[3],
        "volume": bar[4],
        "vwap": bar[5] / bar[4],
        "buy_volume": bar[6],
        "count": bar[7],
    }
