"""What is published of one book: quotes when its top changes, and its depth."""

from decimal import Decimal

from tickertape.schemas.book import Depth
from tickertape.schemas.fields import EARLIEST_MS, LATEST_MS
from tickertape.schemas.quote import Quote
from tickertape.stream.feeds.books.book import Book, State
from tickertape.stream.feeds.books.side import MOST
from tickertape.stream.feeds.define.change import Level

# How many numbers a millisecond has, for books without numbers. A feed that starts again goes on with higher ones.
NUMBERS_PER_MS = 1024

Top = tuple[float, float, float, float]


class Told:
    """Makes the records of one book.

    Parameters
    ----------
    symbol, source
        As in the records.
    base_per_unit
        How much of the base currency one unit of quantity is.
    """

    def __init__(self, symbol: str, source: str, base_per_unit: float) -> None:
        self._symbol = symbol
        self._source = source
        self._base_per_unit = base_per_unit
        self._top: Top | None = None
        self._texts: tuple[Level, Level] | None = None
        self._quote_id = -1
        self._depth_id = -1

    def quote(self, book: Book) -> Quote | None:
        """Return a quote if the book has another best bid or ask than the last quote."""
        texts = book.best()
        if texts is None or texts == self._texts:
            return None
        (bid, bid_quantity), (ask, ask_quantity) = texts
        top = float(bid), self._in_base(bid_quantity), float(ask), self._in_base(ask_quantity)
        self._texts = texts
        if top == self._top or not _are_sane(top) or not EARLIEST_MS <= book.time_ms <= LATEST_MS:
            return None
        self._top = top
        self._quote_id = max(_number(book), self._quote_id + 1)
        return Quote(
            symbol=self._symbol,
            source=self._source,
            id=self._quote_id,
            time_ms=book.time_ms,
            bid=top[0],
            bid_quantity=top[1],
            ask=top[2],
            ask_quantity=top[3],
            received_ms=book.received_ms,
        )

    def depth(self, book: Book, now_ms: int, levels: int) -> Depth | None:
        """Return the depth of a live book in this second; None if the book is not to be trusted."""
        if book.state is not State.LIVE or book.is_crossed or not EARLIEST_MS <= book.time_ms <= LATEST_MS:
            return None
        bids, asks = book.depth(levels)
        self._depth_id = max(_number(book), self._depth_id)
        found = Depth(
            symbol=self._symbol,
            source=self._source,
            id=self._depth_id,
            time_ms=now_ms // 1000 * 1000,
            changed_ms=book.time_ms,
            bids=[float(price) for price, _ in bids],
            bid_quantities=[self._in_base(quantity) for _, quantity in bids],
            asks=[float(price) for price, _ in asks],
            ask_quantities=[self._in_base(quantity) for _, quantity in asks],
            received_ms=now_ms,
        )
        return found if _are_sane((*found.bid_quantities, *found.ask_quantities)) else None

    def _in_base(self, quantity: str) -> float:
        if self._base_per_unit == 1:
            return float(quantity)
        # As doubles, 34.95 × 0.01 would be 0.34950000000000003.
        return float(Decimal(quantity) * Decimal(repr(self._base_per_unit)))


def _number(book: Book) -> int:
    return max(book.number, 0) if book.number is not None else book.received_ms * NUMBERS_PER_MS


def _are_sane(numbers: tuple[float, ...]) -> bool:
    return all(0 < number <= MOST for number in numbers)
