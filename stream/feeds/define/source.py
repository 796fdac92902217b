"""A live source: what is specific to one exchange or network."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import date

from tickertape.schemas.events import Event
from tickertape.schemas.instrument import Instrument
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.define.archive import Archive
from tickertape.stream.feeds.define.book_rule import BookRule
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.page import Get, Page
from tickertape.stream.feeds.define.stream import Answer, Stream
from tickertape.stream.feeds.hosts.limit import Limits


class Source(ABC):
    """What is specific to one exchange or network. Reconnecting, gaps and recording are the same for all.

    Attributes
    ----------
    name
        The source's name in each record.
    setting
        The environment variable that sets its address, for error messages: ``TICKERTAPE_BINANCE_URL``.
    kinds
        The kinds of events that it sends.
    contiguous
        Kinds whose ids count up by one within a symbol. Ids that are left out are missing events, and are reported.
    rising
        Kinds whose ids rise within a symbol, but not by one. What comes after a higher one is dropped. Of trades and
        quotes that are in neither, those with one of the last `MOST_RECENT` ids are.
    symbols
        The requested symbols, as events of these two groups name them. A warning lists those without any event.
    instruments
        What is known of the symbols; published when the feed connects.
    hello
        The first messages to send on each connection, such as subscriptions that are not in the address.
    resumes
        True if the source can resume from a `position`, so that no event needs to be lost.
    ping
        A message to send regularly, and the seconds between two; None if the source asks for none.
    messages_per_second
        How many messages a connection may send.
    limits
        How many connections and requests its hosts allow an address. All feeds of the machine share them.
    refills
        True if `missed` returns trades that are missing. The kind `Trade` is then contiguous.
    by_number
        True if `missed` finds trades by their numbers alone, whatever ``since_ms`` is. Past trades can then be sent.
    counter
        What stands in a message before its number among all messages of the connection, as in ``"sequence_num":``.
        Empty: messages have no such numbers. A gap in them may have hit any order book.
    book_rule
        How its order books are kept, if it sends their changes; None: they are only counted.
    poll_seconds
        How often `poll` is called for each symbol; 0: never.
    leap
        If the position grows by more than this from one message to the next, the source has not kept the messages
        between, and a warning reports the gap.
    """

    name: str
    setting: str
    kinds: tuple[type, ...]
    contiguous: tuple[type[Trade | Quote], ...] = ()
    rising: tuple[type[Trade | Quote], ...] = ()
    symbols: Sequence[str] = ()
    instruments: Sequence[Instrument] = ()
    hello: Sequence[str] = ()
    resumes: bool = False
    leap: int = 0
    refills: bool = False
    by_number: bool = False
    poll_seconds: float = 0.0
    book_rule: BookRule | None = None
    counter: bytes = b""
    ping: tuple[str, float] | None = None
    messages_per_second: float = 5.0
    limits: Limits = Limits()

    @abstractmethod
    def urls(self, position: int) -> Sequence[str]:
        """Return the address of each line; the number of lines is always the same.

        Parameters
        ----------
        position
            Where to resume from; 0 to start with new events, as for every source that doesn't resume.
        """

    @abstractmethod
    def normalise(
        self, frame: bytes, received_ms: int
    ) -> Event | Change | list[Event | Change] | list[Event | Change | Other] | Other:
        """Decode a message into an event or a change of a book, or several in the order in which they happened.

        A message that is something else becomes an `Other`, and so does a part of one.

        Raises
        ------
        ValueError
            The message can't be read.
        """

    def streams(self, line: int) -> Sequence[Stream]:  # noqa: ARG002 - for sources that are told what to send
        """Return what is wanted of a connection, which is known by its place in `urls`.

        Each stream is awaited: one that isn't confirmed, or falls silent, is reported and asked for again. Its first
        event confirms it too; and if `answer` isn't defined, asking does.
        """
        return ()

    def subscribe(self, streams: Sequence[Stream]) -> Sequence[str]:  # noqa: ARG002 - see `streams`
        """Return the messages that ask for these streams, each as large as the source allows.

        No messages: the streams are in the address.
        """
        return ()

    def unsubscribe(self, streams: Sequence[Stream]) -> Sequence[str]:  # noqa: ARG002 - see `streams`
        """Return the messages that end these streams."""
        return ()

    def answer(self, frame: bytes) -> Answer | None:  # noqa: ARG002 - see `streams`
        """Return what a message says of subscriptions; None if it is no answer.

        It is asked only of messages of which `normalise` makes no event: an `Other`, or an error.
        """
        return None

    async def missed(self, get: Get, symbol: str, first: int, last: int | None, since_ms: int) -> Page:
        """Request missing trades, by the source's history. One request, or as few as a page needs.

        Parameters
        ----------
        get
            Requests an address.
        symbol
            The symbol, as events name it.
        first, last
            The numbers of the first and the last trade; None: all that the source has from the first one on.
        since_ms
            The event time of the trade before the first one, for a history that is asked by time; 0 if it isn't known.

        Raises
        ------
        InputError
            The source doesn't have them, or refuses.
        OSError
            The request failed; it may be repeated.
        """
        raise NotImplementedError

    def archive(self, symbol: str, day: date) -> Archive | None:  # noqa: ARG002 - for sources that have such files
        """Return where a file of a symbol's trades of one day is, if the source publishes such files; else None.

        Its trades are those that `missed` returns, under the same numbers.
        """
        return None

    async def snapshot(self, get: Get, symbol: str) -> Change:
        """Request a snapshot of an order book, for a `BookRule` with the way ``fetch``.

        Raises
        ------
        InputError
            The source doesn't have it, or refuses.
        OSError
            The request failed; it may be repeated.
        """
        raise NotImplementedError

    async def poll(self, get: Get, symbol: str) -> Sequence[Event]:
        """Request what the source doesn't stream of a symbol.

        Raises
        ------
        InputError
            The source doesn't have it, or refuses.
        OSError
            The request failed; it may be repeated.
        """
        raise NotImplementedError

    def base_per_unit(self, symbol: str) -> float:  # noqa: ARG002 - for sources that count contracts
        """Return how much of the base currency one unit of a book's quantities is."""
        return 1.0

    def position(self, frame: bytes) -> int:  # noqa: ARG002 - for sources that resume
        """Return the position of a message, to resume from; 0 if it has none."""
        return 0

    def leaves(self, frame: bytes) -> bool:  # noqa: ARG002 - for sources that announce it
        """Return whether a message announces that the server will close the connection soon."""
        return False
