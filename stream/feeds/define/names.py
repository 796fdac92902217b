"""The names of a source's instruments."""

from typing import Protocol

from tickertape.stream.errors import ConfigError


class UnknownSymbol(ConfigError, ValueError):  # noqa: N818 - what a user wrote, not a fault of the program
    """A source has no instrument of this name."""


class Names(Protocol):
    """Maps the source's own names of instruments to ours, and back. It knows them from a list, and never guesses."""

    def ours(self, name: str) -> str:
        """Return ``BTC-USDT`` for ``BTCUSDT``, or raise ValueError if the source has no such instrument."""

    def theirs(self, symbol: str) -> str:
        """Return ``BTCUSDT`` for ``BTC-USDT`` or for ``BTCUSDT``, or raise ValueError if there is no such symbol."""

    def base_per_unit(self, name: str) -> float:
        """Return how much of the base currency one unit of quantity is: 0.01 for a contract of 0.01 BTC, 1 for spot.

        Raise ValueError if the source has no such instrument, or if it is inverse: how much it is depends on the price.
        """
