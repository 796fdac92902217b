"""A format of recorded files: CSV with a trade a line, as ``time_ms,symbol,id,price,quantity,side``.

Run it: tickertape --agents examples replay --format csv-trades --out results trades.csv
"""

from tickertape import Event, Format, Other, Trade


def parse(line: bytes) -> Event | Other:
    """Parse one line; a ValueError gives the reason if it can't be parsed."""
    text = line.decode().strip()
    if text.startswith("time_ms"):
        return Other("header")
    time_ms, symbol, number, price, quantity, side = text.split(",")
    if side not in ("buy", "sell"):
        raise ValueError(f"side {side!r} must be buy or sell")
    return Trade(
        symbol=symbol,
        source="csv",
        id=int(number),
        time_ms=int(time_ms),
        price=float(price),
        quantity=float(quantity),
        side="buy" if side == "buy" else "sell",
    )


FORMAT = Format(name="csv-trades", parse=parse, kinds=(Trade,))
