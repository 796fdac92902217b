"""The rules of the exchanges; facts and sources are in docs/books.md."""

from tickertape.stream.feeds.books import checksums
from tickertape.stream.feeds.define.book_rule import BookRule

#: Binance's spot market: the stream begins anywhere, the snapshot of 5,000 levels comes over REST.
BINANCE = BookRule(ways=("fetch",), is_numbered=True, snapshot_levels=5000)
#: Binance's USD-M futures: a change names the last number of the one before it. Snapshots have 1,000 levels.
BINANCE_USDM = BookRule(ways=("fetch",), is_numbered=True, snapshot_levels=1000)
#: Coinbase Exchange, and Coinbase Advanced, whose numbers are those of all messages of a connection; see `Books.count`.
COINBASE = BookRule(ways=("subscribe",))
#: OKX: numbers may fall after maintenance. The stream's snapshots are to end. Checksums are in old recordings alone.
OKX = BookRule(
    ways=("subscribe", "fetch"),
    is_numbered=True,
    may_fall=True,
    depth=400,
    checksum=checksums.okx,
    checksum_levels=25,
)


def bybit(depth: int) -> BookRule:
    """Return Bybit's rule for books of a depth: 1, 50, 200 or 1000 levels a side. Its number 1 is a new beginning."""
    return BookRule(ways=("subscribe",), is_numbered=True, restarts_at=1, depth=depth)


def kraken(depth: int) -> BookRule:
    """Return Kraken's rule for books of a depth: 10, 25, 100, 500 or 1000 levels a side."""
    return BookRule(ways=("subscribe",), depth=depth, checksum=checksums.kraken, checksum_levels=10)


def rule_of(source: str, depth: int) -> BookRule | None:
    """Return the rule of a feed's books, by the feed's name and the depth that is asked for; None if there is none."""
    if source.startswith("bybit"):
        return bybit(depth)
    if source == "kraken":
        return kraken(depth)
    rules = {"binance": BINANCE, "binanceusdm": BINANCE_USDM, "coinbase": COINBASE, "coinbaseadvanced": COINBASE}
    return (rules | {"okx": OKX, "okxswap": OKX}).get(source)
