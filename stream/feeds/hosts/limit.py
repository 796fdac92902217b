"""The limits of a host, as its operator states them."""

from msgspec import Struct


class Limit(Struct, frozen=True):
    """At most a number of uses within any window of time.

    Attributes
    ----------
    count
        The most uses; for requests, the sum of their weights.
    seconds
        The window.
    """

    count: int
    seconds: float

    @property
    def at_once(self) -> float:
        """How many uses may come at once: half of them. The other half comes back over the window."""
        return max(self.count / 2, 1.0)

    @property
    def per_second(self) -> float:
        """How many uses come back a second. With those at once, no window has more than the limit."""
        return max(self.count - self.at_once, 1.0) / self.seconds


class Busy(Struct, frozen=True):
    """How a host says that it was asked too often.

    Attributes
    ----------
    status
        The status of its answer by HTTP.
    seconds
        How long to leave it alone if it doesn't say.
    words
        What stands at the beginning of the answer, if the status alone doesn't say it.
    unless
        What stands there if the status means something else.
    """

    status: int
    seconds: float
    words: str = ""
    unless: str = ""

    def is_said(self, status: int, text: str) -> bool:
        """Return whether an answer says so, by its status and the beginning of its body."""
        return status == self.status and self.words in text and not (self.unless and self.unless in text)


# 418 is Binance's ban, of at least two minutes.
_EVERYWHERE = (Busy(429, 10.0), Busy(418, 120.0))


class Limits(Struct, frozen=True, kw_only=True):
    """What a host allows an address. Without figures, it is what hosts bear whose limits aren't known.

    Attributes
    ----------
    connections
        How many connections may be opened.
    requests
        How many requests by HTTP, or how much weight of them.
    busy
        How the host says that it was asked too often, besides the statuses 429 and 418.
    """

    connections: Limit = Limit(60, 300.0)
    requests: Limit = Limit(60, 60.0)
    busy: tuple[Busy, ...] = ()

    def busy_seconds(self, status: int, text: str) -> float | None:
        """Return how long to leave the host alone if its answer doesn't say; None if it wasn't asked too often.

        Parameters
        ----------
        status
            The status of the answer.
        text
            The beginning of its body.
        """
        said = (one.seconds for one in (*self.busy, *_EVERYWHERE) if one.is_said(status, text))
        return next(said, None)
