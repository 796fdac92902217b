"""Which results of a topic somebody wants."""

from msgspec import Struct

from tickertape.stream.recent.held import Held, Series

#: The source of results over all sources together.
ALL = "all"


class Selection(Struct, frozen=True, kw_only=True):
    """Filters on results. Equal ones are equal keys, so that what is encoded for one serves the others.

    Attributes
    ----------
    symbols, sources, resolutions, kinds
        Only results of these. None: all.
    finals
        True for final results only.
    """

    symbols: frozenset[str] | None = None
    sources: frozenset[str] | None = frozenset({ALL})
    resolutions: frozenset[str] | None = None
    kinds: frozenset[str] | None = None
    finals: bool = False

    def has(self, series: Series) -> bool:
        """Return whether results of a series are selected."""
        return (
            (self.symbols is None or series.symbol in self.symbols)
            and (self.sources is None or series.source in self.sources)
            and (self.resolutions is None or series.resolution in self.resolutions)
            and (self.kinds is None or series.kind in self.kinds)
        )

    @property
    def series(self) -> list[Series] | None:
        """The series, if the filters name them all; otherwise None."""
        if self.symbols is None or self.sources is None or self.resolutions is None or self.kinds is None:
            return None
        return [
            Series(symbol, source, resolution, kind)
            for symbol in sorted(self.symbols)
            for source in sorted(self.sources)
            for resolution in sorted(self.resolutions)
            for kind in sorted(self.kinds)
        ]

    def of(self, changes: dict[Series, list[Held]]) -> list[Held]:
        """Return those that are selected of some changes, by series."""
        series = self.series
        if series is not None and len(series) < len(changes):
            found = [held for one in series for held in changes.get(one, ())]
        else:
            found = [held for one, of in changes.items() if self.has(one) for held in of]
        return [held for held in found if held.final] if self.finals else found
