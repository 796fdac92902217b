"""A limit of a host, as its operator states it."""

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


#: What hosts bear whose limits aren't known.
CAREFUL_CONNECTIONS = Limit(60, 300.0)
CAREFUL_REQUESTS = Limit(60, 60.0)
