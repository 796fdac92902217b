"""A source's list of instruments: fetched, kept in a file for a day, or the built-in one."""

import logging
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from tickertape.schemas.instrument import Instrument
from tickertape.stream.feeds.hosts.cache import cache_folder
from tickertape.stream.feeds.instruments.shipped import shipped
from tickertape.stream.feeds.instruments.sources import FetchError, fetch, source_named

log = logging.getLogger(__name__)

FRESH_SECONDS = 24 * 3600.0
# A symbol that isn't in a list may be new: a list older than this is fetched again.
RECENT_SECONDS = 600.0


class Listing(Struct, frozen=True):
    """The instruments of a source.

    Attributes
    ----------
    source
        The source.
    instruments
        Its instruments, in the order of its list.
    url
        Where the list was fetched from; empty for the built-in list.
    fetched_ms
        When the list was fetched, ms since 1970 UTC; 0 for the built-in list.
    """

    source: str
    instruments: list[Instrument]
    url: str = ""
    fetched_ms: int = 0

    @property
    def is_own(self) -> bool:
        """Whether it is the source's own list, and so complete."""
        return self.fetched_ms > 0

    @property
    def origin(self) -> str:
        """Where it comes from, in words."""
        if not self.is_own:
            return "the built-in list of its main pairs"
        return f"its list of {datetime.fromtimestamp(self.fetched_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC, from {self.url}"

    def is_younger(self, seconds: float) -> bool:
        """Return whether it was fetched less than so many seconds ago. One from the future isn't: a clock was wrong."""
        return 0 <= time.time() - self.fetched_ms / 1000 < seconds


_decode = msgspec.json.Decoder(Listing).decode


def listing_of(source: str, url: str, fresh_seconds: float = FRESH_SECONDS) -> Listing:
    """Return a source's instruments: the kept list if it is fresh, else a new one, else the kept or the built-in one.

    Parameters
    ----------
    source
        The source; see `SOURCES`.
    url
        The address of its list; empty to request nothing.
    fresh_seconds
        How old a kept list may be, if another can be fetched.

    Raises
    ------
    ConfigError
        We know no list of this source.
    """
    source_named(source)
    known = kept(source)
    if known is not None and not url:
        return known
    mine = known if known is not None and known.url == url else None
    if not url or (mine is not None and mine.is_younger(fresh_seconds)):
        return mine or Listing(source, shipped(source))
    try:
        found = Listing(source, fetch(source, url), url, time.time_ns() // 1_000_000)
    except FetchError as error:
        old = mine or Listing(source, shipped(source))
        log.warning("%s: can't fetch its list of instruments from %s (%s); using %s", source, url, error, old.origin)
        return old
    _keep(found)
    return found


def kept(source: str) -> Listing | None:
    """Return the kept list of a source, of any age; None if there is none that can be read."""
    try:
        found = _decode(path_of(source).read_bytes())
    except (OSError, ValueError, RecursionError, RuntimeError):
        # A RuntimeError says that there is no home folder.
        return None
    return found if found.source == source and found.instruments else None


def path_of(source: str) -> Path:
    """Return the path of a kept list."""
    return cache_folder("instruments") / f"{source}.json"


def _keep(listing: Listing) -> None:
    """Write a list to its file. Another process sees the old file or the new one, never a part."""
    new = None
    try:
        path = path_of(listing.source)
        path.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        new = Path(name)
        with os.fdopen(number, "wb") as file:
            file.write(msgspec.json.encode(listing))
        new.replace(path)
    except (OSError, RuntimeError) as error:
        if new is not None:
            new.unlink(missing_ok=True)
        log.warning("%s: can't keep its list of instruments (%s); it is fetched again next time", listing.source, error)
