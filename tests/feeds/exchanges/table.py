"""A table of instruments, written by hand."""

from collections.abc import Mapping


class Table:
    """The `Names` of a few instruments: ours by the source's own, and what a unit of quantity is."""

    def __init__(self, ours: Mapping[str, str], units: Mapping[str, float] | None = None) -> None:
        self._ours = ours
        self._theirs = {symbol: name for name, symbol in ours.items()}
        self._units = units or {}

    def ours(self, name: str) -> str:
        if name not in self._ours:
            raise ValueError(f"no instrument {name[:60]!r}")
        return self._ours[name]

    def theirs(self, symbol: str) -> str:
        if symbol in self._ours:
            return symbol
        if symbol not in self._theirs:
            raise ValueError(f"no symbol {symbol[:60]!r}")
        return self._theirs[symbol]

    def base_per_unit(self, name: str) -> float:
        return self._units.get(name, 1.0)
