"""What all lists share: the rule that names instruments, the checks of names, and reading entry by entry."""

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Raw, Struct

from tickertape.schemas.instrument import Instrument, Kind, Status
from tickertape.stream.errors import counted

log = logging.getLogger(__name__)

# The letters that separate names: in keys, in addresses of streams, and in lists.
_SEPARATORS = "|,-/@"
# Other words for an asset. A multiple such as 1000SHIB isn't renamed to SHIB: its price is that of a thousand.
_RENAMED = {
    "kraken": {"XBT": "BTC", "XDG": "DOGE"},
    "bybitlinear": {"SHIB1000": "1000SHIB"},
}
# Without a bound, an exponent of a million would be written out as a million digits.
_number = re.compile(r"[0-9]{1,20}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?").fullmatch


class Page(Struct, frozen=True):
    """What one answer of a source holds.

    Attributes
    ----------
    instruments
        The instruments, each symbol once.
    cursor
        Asks for the next page; empty on the last.
    """

    instruments: list[Instrument]
    cursor: str = ""


def renamed(source: str, asset: str) -> str:
    """Return our name of an asset: ``BTC`` for Kraken's ``XBT``."""
    return _RENAMED.get(source, {}).get(asset, asset)


def symbol_of(base: str, quote: str, kind: Kind, expires_ms: int | None = None) -> str:
    """Return our name of an instrument.

    Examples
    --------
    >>> symbol_of("BTC", "USDT", "perpetual"), symbol_of("BTC", "USDT", "future", 1_798_185_600_000)
    ('BTC-USDT-PERP', 'BTC-USDT-20261225')
    """
    if kind == "spot":
        return f"{base}-{quote}"
    if kind == "perpetual":
        return f"{base}-{quote}-PERP"
    if expires_ms is None:
        raise ValueError(f"the future {base}-{quote} doesn't say when it expires")
    return f"{base}-{quote}-{datetime.fromtimestamp(expires_ms / 1000, UTC):%Y%m%d}"


def is_name(text: str, most: int = 30, but: str = "") -> bool:
    """Return whether a name is short and printable, and has no space and no separator, except those in ``but``."""
    return (
        0 < len(text) <= most
        and text.isprintable()
        and not any(letter == " " or (letter in _SEPARATORS and letter not in but) for letter in text)
    )


def plain(number: str) -> str:
    """Return a number's decimal text without exponent and without zeros at its end; empty if it is zero or missing.

    Raises
    ------
    ValueError
        It is not a number.

    Examples
    --------
    >>> plain("0.01000000"), plain("1e-08"), plain("10"), plain("0.00")
    ('0.01', '0.00000001', '10', '')
    """
    if not number:
        return ""
    if not _number(number):
        raise ValueError(f"{number[:60]!r} is not a number")
    value = Decimal(number)
    return f"{value.normalize():f}" if value else ""


def instrument(
    source: str,
    name: str,
    pair: tuple[str, str],
    kind: Kind,
    status: Status,
    *,
    separator: str = "",
    family: tuple[str, str] | None = None,
    also: Iterable[str] = (),
    **fields: Any,
) -> Instrument:
    """Return an instrument, named by the rule.

    Parameters
    ----------
    source
        The source.
    name
        The source's own name of the instrument.
    pair
        The source's own names of base and quote.
    kind, status
        As in an `Instrument`.
    separator
        The separators that the source's own names may have.
    family
        What the symbol is made of, if it isn't the pair.
    also
        Other names of the source. Those that can't be one are left out.
    fields
        More fields of an `Instrument`.

    Raises
    ------
    ValueError
        A name has a character that is not allowed, or is too long; or another field is invalid.
    """
    base, quote = (renamed(source, asset) for asset in pair)
    of = tuple(renamed(source, asset) for asset in family or pair)
    if not (is_name(name, 64, separator) and all(map(is_name, (base, quote, *of)))):
        raise ValueError(f"{source}: {name[:60]!r} has a character that is not allowed, or is too long")
    # They are shown in terminals, which may obey what isn't printable.
    words = "".join(letter if letter.isprintable() else "?" for letter in fields.pop("source_status", "")[:64])
    others = dict.fromkeys(one for one in also if one != name and is_name(one, 64, "-/"))
    found: dict[str, Any] = {
        "symbol": symbol_of(of[0], of[1], kind, fields.get("expires_ms")),
        "source": source,
        "name": name,
        "base": base,
        "quote": quote,
        "kind": kind,
        "status": status,
        "source_status": words,
        "also": tuple(others),
        **fields,
    }
    return msgspec.convert(found, Instrument)


def instruments(source: str, entries: Iterable[Raw], read: Callable[[Raw], Instrument | None]) -> list[Instrument]:
    """Read a list's entries. One that can't be read is left out, and a line says how many.

    Parameters
    ----------
    source
        The source.
    entries
        The entries, as JSON.
    read
        Reads an entry; returns None for one of another kind. Raises ValueError.
    """
    found: list[Instrument] = []
    bad: list[Exception] = []
    for entry in entries:
        try:
            one = read(entry)
        except (ValueError, RecursionError) as error:
            bad.append(error)
        else:
            if one is not None:
                found.append(one)
    if bad:
        what = counted(len(bad), "entries", "entry")
        are = "is" if len(bad) == 1 else "are"
        log.info("%s: %s of its list can't be read and %s left out; the first: %s", source, what, are, bad[0])
    return unique(source, found)


def unique(source: str, found: Iterable[Instrument]) -> list[Instrument]:
    """Return instruments with each symbol once. One that trades wins, else the first; a line names the other."""
    by_symbol: dict[str, Instrument] = {}
    for one in found:
        other = by_symbol.setdefault(one.symbol, one)
        if other is not one:
            kept, left = (one, other) if one.status == "trading" != other.status else (other, one)
            by_symbol[one.symbol] = kept
            log.warning(
                "%s: both %s and %s are %s; %s is left out", source, kept.name, left.name, one.symbol, left.name
            )
    return list(by_symbol.values())


def status_of(word: str, words: Mapping[str, Status]) -> Status:
    return words.get(word, "unknown")
