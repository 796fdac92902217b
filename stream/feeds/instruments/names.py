"""The names of a source's instruments, from its list: never guessed."""

import difflib
import logging
from collections.abc import Callable, Iterable
from functools import cache, partial

from msgspec import Struct, structs

from tickertape.schemas.instrument import Instrument
from tickertape.stream.feeds.define.names import UnknownSymbol
from tickertape.stream.feeds.instruments.kept import FRESH_SECONDS, RECENT_SECONDS, Listing, listing_of
from tickertape.stream.feeds.instruments.lists.entry import instrument
from tickertape.stream.feeds.instruments.sources import source_named

log = logging.getLogger(__name__)

# A file with more names is hostile. They are read all the same, one by one.
_MOST_READ = 1 << 16


class ListedNames:
    """Maps a source's own names of instruments to ours and back, by a list. It is a `Names`.

    Parameters
    ----------
    listing
        The list.
    again
        Returns a newer list, or the same; called when a symbol isn't in it. None: there is no newer one.
    """

    def __init__(self, listing: Listing, again: Callable[[], Listing] | None = None) -> None:
        self._again = again
        self._use(listing)

    def _use(self, listing: Listing) -> None:
        self._listing = listing
        self._by_symbol: dict[str, Instrument] = {}
        self._by_name: dict[str, Instrument] = {}
        # These two are for each message.
        self._symbols: dict[str, str] = {}
        self._units: dict[str, float] = {}
        for one in listing.instruments:
            self._add(one, one.name)
        for one in listing.instruments:
            for name in one.also:
                if name not in self._by_name:
                    self._add(one, name)

    def _add(self, one: Instrument, name: str) -> None:
        self._by_symbol[one.symbol] = one
        self._by_name[name] = one
        self._symbols[name] = one.symbol
        if not one.inverse:
            self._units[name] = float(one.contract_value)

    @property
    def origin(self) -> str:
        """Where the list comes from, in words."""
        return self._listing.origin

    def ours(self, name: str) -> str:
        """Return ``BTC-USDT-PERP`` for the source's own name ``BTC-USDT-SWAP``.

        Raises
        ------
        ValueError
            The source has no such instrument.
        """
        try:
            return self._symbols[name]
        except KeyError:
            raise self._not_listed(name) from None

    def theirs(self, symbol: str) -> str:
        """Return the source's own name of a symbol, which may be written in our form or in the source's, in any case.

        It is for symbols that a user asks for. A list that is some minutes old is fetched again if the symbol isn't in
        it, and a log line says what is unusual.

        Raises
        ------
        UnknownSymbol
            There is no such symbol. The error suggests similar ones.
        """
        one = self._find(symbol)
        if one is None and self._again is not None:
            again, self._again = self._again, None
            self._use(again())
            one = self._find(symbol)
        if one is None:
            return self._unlisted(symbol).name
        if symbol.upper() not in (one.symbol.upper(), one.name.upper()):
            log.warning("%s: %s is another name of %s, and its events are named so", one.source, symbol, one.symbol)
        if one.status not in ("trading", "unknown"):
            log.warning(
                "%s: %s is %s (%s), and may send nothing", one.source, one.symbol, one.status, one.source_status
            )
        return one.name

    def instrument(self, name: str) -> Instrument:
        """Return the instrument with the source's own name.

        Raises
        ------
        ValueError
            The source has no such instrument.
        """
        found = self._by_name.get(name)
        if found is None:
            raise self._not_listed(name)
        return found

    def has(self, name: str) -> bool:
        """Return whether the source's own name is in the list."""
        return name in self._by_name

    def _not_listed(self, name: str) -> ValueError:
        return ValueError(f"{self._listing.source} has no instrument {name[:64]!r} in {self.origin}")

    def base_per_unit(self, name: str) -> float:
        """Return how much of the base currency one unit of quantity is: 0.01 for a contract of 0.01 BTC, 1 for spot.

        Raises
        ------
        ValueError
            The source has no such instrument; or it is inverse, and `quantity` needs the price.
        """
        unit = self._units.get(name)
        if unit is not None:
            return unit
        one = self.instrument(name)
        raise ValueError(f"{name} is inverse: a unit is {one.contract_value} {one.quote}, for any price")

    def quantity(self, name: str, quantity: float, price: float) -> float:
        """Return a quantity of the source's own unit in the base currency.

        Parameters
        ----------
        name
            The source's own name of the instrument.
        quantity
            The quantity as the source gives it, such as contracts.
        price
            The price of the same trade or level; above zero.

        Raises
        ------
        ValueError
            The source has no such instrument.
        """
        one = self.instrument(name)
        worth = quantity * float(one.contract_value)
        return worth / price if one.inverse else worth

    def listed(self, symbols: Iterable[str], source: str) -> list[Instrument]:
        """Return the instruments of some symbols, with the source's name in the records; without unknown ones.

        Of the built-in list, none: without ticks and status, they would displace better ones on the topic.
        """
        if not self._listing.is_own:
            return []
        found = (self._by_symbol.get(symbol) for symbol in symbols)
        return [structs.replace(one, source=source) for one in found if one is not None]

    def _find(self, symbol: str) -> Instrument | None:
        exact = self._by_symbol.get(symbol) or self._by_name.get(symbol)
        if exact is not None:
            return exact
        upper = symbol.upper()
        alike = {one.symbol: one for name, one in self._known() if name.upper() == upper}
        # Kraken has names that differ in case alone.
        return next(iter(alike.values())) if len(alike) == 1 else None

    def _known(self) -> list[tuple[str, Instrument]]:
        return [*self._by_symbol.items(), *self._by_name.items()]

    def _unlisted(self, symbol: str) -> Instrument:
        """Return an instrument that is in no list, if there is no list of today and its name can be read in one way."""
        read, listing = source_named(self._listing.source).unlisted, self._listing
        if read is not None and not listing.is_younger(FRESH_SECONDS):
            try:
                name, base, quote = read(symbol.upper())
                one = instrument(listing.source, name, (base, quote), "spot", "unknown", separator="-/")
            except ValueError as error:
                raise self._unknown(symbol, f"; {error}") from None
            if name in self._by_name:
                return self._by_name[name]
            log.warning("%s: %s is not in %s; it is read as %s", listing.source, name, listing.origin, one.symbol)
            self._add(one, name)
            return one
        raise self._unknown(symbol)

    def _unknown(self, symbol: str, why: str = "") -> UnknownSymbol:
        asked, listing = symbol[:64].upper(), self._listing
        by_upper = {name.upper(): one.symbol for name, one in self._known()}
        near = dict.fromkeys(by_upper[name] for name in difflib.get_close_matches(asked, by_upper, 3))
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        return UnknownSymbol(
            f"{listing.source}: no instrument {symbol[:64]!r} in {listing.origin}{why}{hint} "
            f"(`tickertape instruments {listing.source}` prints it)"
        )


def names_of(source: str, info_url: str) -> ListedNames:
    """Return the names of a source's instruments: by its list, which is kept for a day, or else by the built-in one.

    It may request the list, and is called where no event loop runs.

    Parameters
    ----------
    source
        The source; see `tickertape.stream.feeds.instruments.sources.SOURCES`.
    info_url
        The address of its list; empty to request nothing.

    Raises
    ------
    ConfigError
        We know no list of this source.
    """

    def listing(fresh_seconds: float) -> Listing:
        found = listing_of(source, info_url, fresh_seconds)
        if info_url:
            forget()
        return found

    found = listing(FRESH_SECONDS)
    # Who has just failed to fetch it doesn't ask again at once.
    can_ask = bool(info_url) and found.is_younger(FRESH_SECONDS)
    return ListedNames(found, partial(listing, RECENT_SECONDS) if can_ask else None)


class RecordedNames:
    """The names of a source's instruments in recorded files: by its kept list, or else by the built-in one.

    A file may have instruments that are no longer listed. Where their names can be split into base and quote, they are
    named all the same: ``BTC/USD`` by its separator, Binance's ``BTCUSDT`` by the known assets. The list is read with
    the first name. It is a `Names`.

    Parameters
    ----------
    source
        The source; see `tickertape.stream.feeds.instruments.sources.SOURCES`.
    """

    def __init__(self, source: str) -> None:
        self._source = source

    def ours(self, name: str) -> str:
        """Return ``BTC-USD`` for ``BTC/USD``.

        Raises
        ------
        ValueError
            The name is in neither list, and can't be split, or in several ways.
        """
        read = _read(self._source)
        if (known := read.symbols.get(name)) is not None:
            return known
        symbol = self._symbol(name, read.names)
        if len(read.symbols) < _MOST_READ:
            read.symbols[name] = symbol
        return symbol

    def _symbol(self, name: str, names: ListedNames) -> str:
        split = source_named(self._source).unlisted
        try:
            return names.ours(name)
        except ValueError:
            if split is None:
                raise
        own, base, quote = split(name)
        return instrument(self._source, own, (base, quote), "spot", "unknown", separator="-/").symbol

    def theirs(self, symbol: str) -> str:
        """Return ``BTC/USD`` for ``BTC-USD``; raise ValueError if there is no such symbol."""
        return _read(self._source).names.theirs(symbol)

    def base_per_unit(self, name: str) -> float:
        """Return how much of the base currency a unit is; raise ValueError as `ours` does."""
        self.ours(name)
        names = _read(self._source).names
        # What is in no list is spot.
        return names.base_per_unit(name) if names.has(name) else 1.0


class _Read(Struct):
    """What was read of a source: its names, and those that files had."""

    names: ListedNames
    symbols: dict[str, str]


@cache
def _read(source: str) -> _Read:
    return _Read(names_of(source, ""), {})


def forget() -> None:
    """Read the kept lists again when names of recorded files are next needed."""
    _read.cache_clear()
