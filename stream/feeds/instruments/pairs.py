"""Binance's pairs without Binance's list: ``BTCUSDT`` as ``BTC-USDT``, by a table of assets."""

import tomllib
from functools import cache
from importlib.resources import files

from tickertape.stream.feeds.instruments.lists.entry import is_name


def parted(symbol: str) -> tuple[str, str]:
    """Return the base and the quote of a pair, such as ``BTCUSDT``.

    If there are several ways to split it, its first part is a known asset: ``BNBUSD`` begins with the asset BNB, so it
    is priced in USD and not in BUSD. If none is known, the longest quote decides.

    Raises
    ------
    ValueError
        The symbol is invalid, or doesn't end in a known quote asset.
    """
    if not is_name(symbol):
        raise ValueError(
            f"symbol {symbol[:60]!r} has a character that is not allowed, or is not 1 to 30 characters long"
        )
    quotes, assets = _table()
    parts = [(symbol.removesuffix(q), q) for q in quotes if symbol.endswith(q) and len(symbol) > len(q)]
    if not parts:
        raise ValueError(f"symbol {symbol!r} doesn't end in a known quote asset")
    known = [part for part in parts if part[0] in assets]
    return known[0] if known else min(parts, key=lambda part: len(part[0]))


@cache
def _table() -> tuple[list[str], set[str]]:
    """Return the built-in quote assets, the likeliest first, and all built-in assets."""
    table = tomllib.loads(files("tickertape.stream.feeds.instruments").joinpath("binance.toml").read_text())
    return table["quotes"].split(), set(table["assets"].split())
