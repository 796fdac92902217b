"""A page of a source's history."""

from collections.abc import Awaitable, Callable

import msgspec
from msgspec import Struct

from tickertape.schemas.trade import Trade

#: Requests an address over HTTP, at a weight by which its host counts requests, and returns the answer's body. It keeps
#: to the limits of the host. It raises OSError where asking again may help, and InputError where it won't.
Get = Callable[[str, float], Awaitable[bytes]]


class Page(Struct, frozen=True):
    """Trades of one symbol that a source was asked for.

    Attributes
    ----------
    trades
        The trades, by number, as the source's connections bring them too: an aggregate stays one.
    has_more
        True if the source has more of what was asked for.
    reaches
        The number up to which the source has no other trades of what was asked for; None if it has none at all. Where
        it isn't given, it is that of the last trade.
    """

    trades: list[Trade]
    has_more: bool
    reaches: int | None = None

    def __post_init__(self) -> None:
        if self.reaches is None and self.trades:
            msgspec.structs.force_setattr(self, "reaches", self.trades[-1].newest_id)
