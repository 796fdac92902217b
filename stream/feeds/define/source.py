"""A live source: what one exchange or network needs to know."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from tickertape.schemas.events import Event
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.define.other import Other


class Source(ABC):
    """What one exchange or network needs to know; reconnecting, gaps and recording are the same for all.

    Attributes
    ----------
    name
        The source's name, in each record.
    setting
        The one that has its address, as messages name it: ``TICKERTAPE_BINANCE_URL``.
    kinds
        What events it has.
    contiguous
        Those of them whose ids count up by one within a symbol: what is left out is missing, and named.
    rising
        Those whose ids rise within a symbol, but not by one. An id of either that comes again is left out.
    symbols
        What is asked for, as events of these kinds name it: it is told of which of them nothing comes.
    hello
        What is sent first over each line: subscriptions, where they aren't in the address.
    resumes
        True where it can go on from a `position`, so that nothing needs to be lost.
    leap
        Positions that are so far apart, one after the other, have a gap between them: the source didn't keep so much.
    """

    name: str
    setting: str
    kinds: tuple[type, ...]
    contiguous: tuple[type[Trade | Quote], ...] = ()
    rising: tuple[type[Trade | Quote], ...] = ()
    symbols: Sequence[str] = ()
    hello: Sequence[str] = ()
    resumes: bool = False
    leap: int = 0

    @abstractmethod
    def urls(self, position: int) -> Sequence[str]:
        """Return the address of each line, as many each time.

        Parameters
        ----------
        position
            Where to go on from; 0: from now on, as always where it doesn't resume.
        """

    @abstractmethod
    def normalise(self, frame: bytes, received_ms: int) -> Event | Other:
        """Return the event that a message tells of, or what else it is.

        Raises
        ------
        ValueError
            It can't be read.
        """

    def position(self, frame: bytes) -> int:  # noqa: ARG002 - for those that resume
        """Return where a message is, so as to go on from there; 0 where it doesn't say."""
        return 0

    def leaves(self, frame: bytes) -> bool:  # noqa: ARG002 - for those that say so
        """Return whether a message says that the server is about to hang up."""
        return False
