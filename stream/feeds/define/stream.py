"""What a source is asked for on a connection, and what it answers."""

from msgspec import Struct


class Stream(Struct, frozen=True, kw_only=True):
    """One subscription: a channel of one symbol.

    Attributes
    ----------
    kind
        The kind of event that it brings: `Trade`.
    symbol
        The symbol as events name it: ``BTC-USDT``.
    channel
        The source's own name for the channel: ``publicTrade``.
    name
        The source's own name for the symbol: ``BTCUSDT``.
    is_rare
        True if hours may pass without an event, as with liquidations: silence then says nothing.
    """

    kind: type
    symbol: str
    channel: str
    name: str
    is_rare: bool = False


class Answer(Struct, frozen=True, kw_only=True):
    """What a message of a source says of subscriptions.

    Attributes
    ----------
    confirmed, refused
        Channels and symbols, in the source's own names. A symbol without a channel stands for all its channels, and a
        channel without a symbol for all its symbols: the other text is then empty.
    why
        The source's own words for a refusal.
    """

    confirmed: tuple[tuple[str, str], ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    why: str = ""
