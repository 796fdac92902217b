"""What a live source does about missing trades: it asks for them, and holds back what is later."""

import time
from collections.abc import Callable, Sequence

from tickertape.schemas.events import Event
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.hosts.request import getter
from tickertape.stream.feeds.live.inbox import Inbox, Mark
from tickertape.stream.feeds.live.source_end import SourceEnd
from tickertape.stream.feeds.refill.filling import Filling
from tickertape.stream.feeds.refill.refill import Patience


class Gaps:
    """Tells a `Filling` of the lines of a source, and passes trades through it.

    Parameters
    ----------
    source
        A source that refills.
    ends
        Its lines, by number. With two connections for each line, the second ones follow the first ones.
    inbox
        Where its messages wait.
    is_new
        Returns whether a trade hasn't come before.
    patience
        How long missing trades are waited for.

    Attributes
    ----------
    filling
        What asks for missing trades.
    """

    def __init__(
        self,
        source: Source,
        ends: Sequence[SourceEnd],
        inbox: Inbox,
        is_new: Callable[[Trade, float], bool],
        patience: Patience,
    ) -> None:
        self._source = source
        self._ends = ends
        self._distinct = len(source.urls(0))
        # By the number of the first of two lines with the same streams: those of them that stand.
        self._standing: dict[int, set[int]] = {}
        get = getter(source.limits, patience.most_seconds)
        self.filling = Filling(source, get, lambda trade: is_new(trade, time.monotonic()), inbox.wake, patience)

    def missed(self) -> None:
        """Take note that messages of any symbol were dropped, while the lines stand."""
        self.filling.disconnected(self._source.symbols)
        self.filling.connected(self._source.symbols)

    def marked(self, mark: Mark) -> None:
        """Take note that a line stands, or doesn't. With two of each, symbols lack a connection if neither does."""
        if mark.stands is None:
            return
        symbols = self._ends[mark.line].symbols
        standing = self._standing.setdefault(mark.line % self._distinct, set())
        stood = bool(standing)
        (standing.add if mark.stands else standing.discard)(mark.line)
        if standing and not stood:
            self.filling.connected(symbols)
        elif not standing:
            # Also if it never stood: it may have brought something.
            self.filling.disconnected(symbols)

    def through(self, events: Sequence[Event]) -> list[Event]:
        """Return the events to send: those given but for trades that are held back, and trades that no longer are."""
        trades = [event for event in events if isinstance(event, Trade)]
        sent = self.filling.take(trades)
        if len(sent) == len(trades) and all(one is other for one, other in zip(sent, trades, strict=True)):
            return list(events)
        return [*(event for event in events if not isinstance(event, Trade)), *sent]
