"""All order books of one source: what they take, what they publish, and the snapshots that they ask for."""

import logging
from collections import Counter
from collections.abc import Callable, Hashable, Sequence

from msgspec import Struct, field

from tickertape.schemas.book import Depth
from tickertape.schemas.quote import Quote
from tickertape.stream.errors import counted
from tickertape.stream.feeds.books.book import Book, Broken, State
from tickertape.stream.feeds.books.told import Told
from tickertape.stream.feeds.define.book_rule import BookRule, Way
from tickertape.stream.feeds.define.change import Change

log = logging.getLogger(__name__)

#: The most levels a side that a book keeps.
MOST_LEVELS = 5000
#: The levels a side that are published.
SHOWN_LEVELS = 20
# How often a log line tells of broken books.
TOLD_SECONDS = 10.0


class Request(Struct, frozen=True):
    """A snapshot that a book asks for.

    Attributes
    ----------
    symbol
        The book's symbol.
    way
        How to get it: subscribe to its stream again, or fetch it over REST.
    connection
        The connection that the book's last change came from; None if none has come.
    """

    symbol: str
    way: Way
    connection: Hashable = None


class BookTally(Struct):
    """Counts of what became of changes.

    Attributes
    ----------
    changes
        Changes taken, snapshots included.
    refused
        Changes of other symbols than were asked for.
    broken
        How often a book broke, or a snapshot was no use, by reason.
    requests
        Snapshots asked for, by way.
    quotes, depths
        Records made.
    """

    changes: int = 0
    refused: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    quotes: int = 0
    depths: int = 0


class _Kept:
    """A book, and what is published of it."""

    __slots__ = ("book", "told")

    def __init__(self, book: Book, told: Told) -> None:
        self.book = book
        self.told = told


def _one(_: str) -> float:
    return 1.0


class Books:
    """The order books of one source. All times ``now`` are of one monotonic clock, s.

    Parameters
    ----------
    source
        The source's name in records.
    rule
        How its books are kept.
    symbols
        The symbols whose books were asked for. Changes of others are refused, so that no source can make it grow.
    quotes
        True to make quotes: for sources that send none.
    base_per_unit
        Returns how much of the base currency one unit of a symbol's quantities is. By default all are in it.
    most_levels
        The most levels a side that a book keeps, at least 500.
    now
        The time.

    Attributes
    ----------
    tally
        Counts so far.
    """

    def __init__(
        self,
        source: str,
        rule: BookRule,
        symbols: Sequence[str],
        *,
        quotes: bool,
        base_per_unit: Callable[[str], float] = _one,
        most_levels: int = MOST_LEVELS,
        now: float,
    ) -> None:
        self._source = source
        self._rule = rule
        self._quotes = quotes
        self._kept: dict[str, _Kept] = {}
        # By connection: the number of its last message.
        self._counts: dict[Hashable, int] = {}
        # The symbols whose books may need a snapshot, in the order in which they began to.
        self._wanting: dict[str, None] = {}
        self._told_at = -TOLD_SECONDS
        self._second = 0
        self.tally = BookTally()
        for symbol in symbols:
            told = Told(symbol, source, base_per_unit(symbol))
            self._kept[symbol] = _Kept(Book(rule, most_levels, now), told)
            self._wanting[symbol] = None

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def states(self) -> Counter[str]:
        """The number of books in each state."""
        states = Counter({state.value: 0 for state in State})
        states.update(kept.book.state.value for kept in self._kept.values())
        return states

    @property
    def ignored(self) -> int:
        """How many changes were repeats, or came from another connection than the book's."""
        return sum(kept.book.ignored for kept in self._kept.values())

    def state(self, symbol: str) -> str | None:
        """Return the state of a symbol's book; None if there is no such book."""
        kept = self._kept.get(symbol)
        return None if kept is None else kept.book.state.value

    def take(self, change: Change, now: float, connection: Hashable = None) -> Quote | None:
        """Take a change of a book, in the order received. Return a quote if that changes the best bid or ask.

        Parameters
        ----------
        change
            A change from the stream, or a snapshot that was fetched.
        now
            The time.
        connection
            The connection that it came from, by any name that no other has; for a snapshot that was fetched, it doesn't
            matter.
        """
        self.tally.changes += 1
        kept = self._kept.get(change.symbol)
        if kept is None:
            self.tally.refused += 1
            return None
        try:
            has_changed = kept.book.take(change, now, connection)
        except Broken as why:
            self._broke(change.symbol, str(why), now)
            return None
        if kept.book.pace.due is not None:
            self._wanting[change.symbol] = None
        if not (has_changed and self._quotes):
            return None
        quote = kept.told.quote(kept.book)
        self.tally.quotes += quote is not None
        return quote

    def count(self, number: int, now: float, connection: Hashable = None) -> None:
        """Take the number of a message, of a source that counts all messages of a connection from 0 or 1 on.

        Call it for each message, before `take`. A gap may have hit any book of the connection, so all begin anew.
        """
        before = self._counts.get(connection)
        self._counts[connection] = number
        if before is not None and number != before + 1:
            for symbol, kept in self._kept.items():
                if kept.book.connection == connection and kept.book.state is State.LIVE:
                    kept.book.doubt(now)
                    self._broke(symbol, "messages lost", now)

    def miss(self, now: float) -> None:
        """Say that messages were dropped before they came here. Books without numbers can't know, and begin anew."""
        for symbol, kept in self._kept.items():
            if not self._rule.is_numbered and kept.book.state is State.LIVE:
                kept.book.doubt(now)
                self._broke(symbol, "messages lost", now)

    def lose(self, connection: Hashable, now: float) -> None:
        """Say that a connection has ended. Books that it carried are not used until they are known to be right."""
        self._counts.pop(connection, None)
        for symbol, kept in self._kept.items():
            kept.book.lose(connection, now)
            if kept.book.pace.due is not None:
                self._wanting[symbol] = None

    def look(self, now: float) -> None:
        """Check what takes time; call it about once a second."""
        for symbol, kept in self._kept.items():
            try:
                kept.book.look(now)
            except Broken as why:
                self._broke(symbol, str(why), now)

    def requests(self, now: float) -> list[Request]:
        """Return the snapshots to ask for now; call it after `take` and after `look`.

        A request that isn't answered comes again, less and less often.
        """
        requests = []
        for symbol in [*self._wanting]:
            book = self._kept[symbol].book
            if book.pace.due is None:
                del self._wanting[symbol]
            elif (way := book.pace.request(now)) is not None:
                requests.append(Request(symbol, way, book.connection))
                self.tally.requests[way] += 1
        return requests

    def depths(self, now_ms: int) -> list[Depth]:
        """Return the depth of each live book, if there was none yet in this second.

        Parameters
        ----------
        now_ms
            The feed's clock, ms since 1970 UTC.
        """
        if now_ms // 1000 <= self._second:
            return []
        self._second = now_ms // 1000
        all_ = (kept.told.depth(kept.book, now_ms, SHOWN_LEVELS) for kept in self._kept.values())
        found = [depth for depth in all_ if depth is not None]
        self.tally.depths += len(found)
        return found

    def _broke(self, symbol: str, why: str, now: float) -> None:
        self._wanting[symbol] = None
        self.tally.broken[why] += 1
        if now - self._told_at >= TOLD_SECONDS:
            self._told_at = now
            log.warning(
                "%s: the book of %s can't be trusted (%s), and begins anew; %s so far",
                self._source,
                symbol,
                why,
                counted(self.tally.broken.total(), "times"),
            )
