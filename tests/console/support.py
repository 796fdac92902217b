"""What tests of the page share."""

from tickertape.agents.market.bars import Bar

VIEWS = ("market", "social", "signals", "pipeline", "results")


def bar(symbol: str, start_ms: int, close: float, *, revision: int = 1, final: bool = True) -> Bar:
    """Return a bar of a second in which one trade happened."""
    return Bar(
        symbol=symbol,
        source="all",
        resolution="1s",
        start_ms=start_ms,
        open=close,
        high=close,
        low=close,
        close=close,
        open_ms=start_ms,
        close_ms=start_ms,
        volume=1.0,
        notional=close,
        vwap=close,
        count=1,
        buy_volume=1.0,
        buy_share=1.0,
        largest=1.0,
        realised_volatility=0.0,
        missing=0,
        final=final,
        revision=revision,
        incomplete=False,
        trades=1,
    )


def key(of: Bar) -> bytes:
    return f"{of.symbol}|{of.source}|{of.resolution}|{of.start_ms}".encode()
