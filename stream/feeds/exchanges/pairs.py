"""Binance's pairs: ``BTCUSDT`` as ``BTC-USDT``, by Binance's own list of symbols.

The list is requested when a live feed starts, and kept in a file for a day. Without a list the known assets decide:
``BNBUSD`` begins with the asset BNB, so it is priced in USD and not in BUSD.
"""

import logging
import os
import time
import tomllib
from collections.abc import Iterator
from functools import cache, lru_cache
from http.client import HTTPResponse
from importlib.resources import files
from pathlib import Path
from urllib.request import Request, urlopen

import msgspec
from msgspec import Struct

log = logging.getLogger(__name__)

ASK_SECONDS = 10.0
# The list has some 3,000 symbols in 20 MB, which are mostly trading rules.
MOST_BYTES = 64 << 20
FRESH_SECONDS = 24 * 3600.0
# These separate names, in keys and in lists.
_PARTS = "|,-/@"


class _Symbol(Struct, rename="camel"):
    symbol: str
    base_asset: str
    quote_asset: str


class _Info(Struct):
    symbols: list[_Symbol]


_info = msgspec.json.Decoder(_Info).decode
_table = msgspec.json.Decoder(dict[str, str]).decode


def pair(symbol: str) -> str:
    """Return Binance's ``BTCUSDT`` as ``BTC-USDT``.

    Raises
    ------
    ValueError
        The symbol is invalid, or doesn't end in a known quote asset.
    """
    return _listed().get(symbol) or _parted(symbol)


def ask(url: str) -> None:
    """Request the list and keep it, unless the kept list is less than a day old.

    If the request fails, the kept list is used, or the built-in assets if there is none.

    Parameters
    ----------
    url
        The address of ``exchangeInfo``; empty to request nothing.
    """
    path = cached()
    if not url or (path.exists() and time.time() - path.stat().st_mtime < FRESH_SECONDS):
        return
    try:
        if not url.startswith(("https:", "http:")):
            raise ValueError("its address doesn't begin with http")
        with urlopen(Request(url, headers={"User-Agent": "tickertape"}), timeout=ASK_SECONDS) as answer:
            read = b"".join(_pieces(answer))
        found = {one.symbol: f"{one.base_asset}-{one.quote_asset}" for one in _info(read).symbols if _is_sane(one)}
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.{os.getpid()}")
        new.write_bytes(msgspec.json.encode(found))
        new.replace(path)
    except (OSError, ValueError, RecursionError) as error:
        log.warning(
            "binance: can't fetch its list of symbols from %s (%s); using the kept or built-in list", url, error
        )
    forget()


def forget() -> None:
    """Read the list from its file again when it is next needed."""
    _listed.cache_clear()


def cached() -> Path:
    """Return the path of the kept list."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "tickertape" / "binance-pairs.json"


def _pieces(answer: HTTPResponse) -> Iterator[bytes]:
    """Yield the pieces of an answer; fail if it has too many bytes or takes too long."""
    until, left = time.monotonic() + ASK_SECONDS, MOST_BYTES
    while piece := answer.read1(1 << 16):
        left -= len(piece)
        if left < 0 or time.monotonic() > until:
            raise ValueError(f"it has more than {MOST_BYTES} bytes, or takes longer than {ASK_SECONDS:g} s")
        yield piece


def _is_sane(one: _Symbol) -> bool:
    return all(map(_is_name, (one.symbol, one.base_asset, one.quote_asset)))


def _is_name(name: str) -> bool:
    return 0 < len(name) <= 30 and name.isprintable() and not any(letter in _PARTS or letter == " " for letter in name)


@cache
def _listed() -> dict[str, str]:
    try:
        return _table(cached().read_bytes())
    except (OSError, ValueError, RecursionError, RuntimeError):
        # There may be no list, and a RuntimeError says that there is no home folder.
        return {}


@cache
def _shipped() -> tuple[list[str], set[str]]:
    """Return the built-in quote assets, the likeliest first, and all built-in assets."""
    table = tomllib.loads(files("tickertape.stream.feeds.exchanges").joinpath("binance.toml").read_text())
    return table["quotes"].split(), set(table["assets"].split())


@lru_cache(maxsize=1 << 16)
def _parted(symbol: str) -> str:
    if not _is_name(symbol):
        raise ValueError(
            f"symbol {symbol[:60]!r} has a character that is not allowed, or is not 1 to 30 characters long"
        )
    quotes, assets = _shipped()
    parts = [(symbol.removesuffix(q), q) for q in quotes if symbol.endswith(q) and len(symbol) > len(q)]
    if not parts:
        raise ValueError(f"symbol {symbol!r} doesn't end in a known quote asset")
    known = [part for part in parts if part[0] in assets]
    # If the first part is not a known asset, the longest quote decides: QQQTUSD is QQQ-TUSD.
    base, quote = known[0] if known else min(parts, key=lambda part: len(part[0]))
    return f"{base}-{quote}"
