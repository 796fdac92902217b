"""Aliases of symbols: the words by which posts name a symbol, such as apple and iphone for AAPL."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from tickertape.stream.errors import ConfigError

#: A symbol that may be part of a result's key.
Symbol = Annotated[str, Meta(max_length=64, pattern=r"^(?!all$)[\w.$&/:-]+$")]
Alias = Annotated[str, Meta(max_length=128, pattern=r"^\S(.*\S)?$")]
AliasTable: TypeAlias = dict[Symbol, Annotated[list[Alias], Meta(min_length=1)]]


class Aliases:
    """Finds symbols in texts by their aliases.

    - An alias is matched as whole words. An alias in lower case (``apple``) matches in any case. One with a capital
      (``Apple``, ``GAP``) matches only as it is written.
    - If several aliases begin at one place, the longest is found, and the text that it covers isn't searched again.
    - An alias of several symbols names all of them.
    - A cashtag, in capitals or not, names the symbol with its letters. If it is an alias (``$btc``), it names the
      symbols of that alias instead.

    Parameters
    ----------
    table
        The aliases of each symbol.
    """

    def __init__(self, table: Mapping[str, Iterable[str]]) -> None:
        # By the alias in lower case: the spelling that a text must have, None for any, and the symbol.
        self._known: dict[str, list[tuple[str | None, str]]] = {}
        for symbol, aliases in table.items():
            for alias in aliases:
                small = _lower(alias)
                written = None if alias == small or alias.startswith("$") else alias
                self._known.setdefault(small, []).append((written, symbol))
        longest_first = sorted(self._known, key=lambda alias: (-len(alias), alias))
        self._find = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)").finditer

    def named(self, text: str, cashtags: Iterable[str] = ()) -> list[str]:
        """Return the symbols that a text names, each once.

        Parameters
        ----------
        text
            The text.
        cashtags
            The cashtags that the source found in the text, in capitals and without ``$``.
        """
        known = self._known
        if not known:
            return list(dict.fromkeys(cashtags))
        named = []
        for tag in cashtags:
            named += [symbol for _, symbol in known.get(f"${tag.lower()}", ())] or [tag]
        for match in self._find(_lower(text)):
            for written, symbol in known[match[0]]:
                if written is None or text[match.start() : match.end()] == written:
                    named.append(symbol)
        return list(dict.fromkeys(named))


def _lower(text: str) -> str:
    """Return a text in lower case, with each character at its place."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    # The lower case of "İ" is two characters; leave such a character as it is.
    return "".join(small if len(small := one.lower()) == 1 else one for one in text)


def read(named: str) -> AliasTable:
    """Read a table of aliases.

    Parameters
    ----------
    named
        The path of a TOML file with lines like ``AAPL = ["apple", "iphone"]``. Or the table itself as JSON, which is
        how one process passes it to another.

    Raises
    ------
    ConfigError
        The table can't be read, or has other contents.
    """
    try:
        if named.startswith("{"):
            return msgspec.json.decode(named, type=AliasTable)
        return msgspec.toml.decode(Path(named).read_bytes(), type=AliasTable)
    except (OSError, ValueError) as error:
        raise ConfigError(f'aliases: {named[:200]}: {error}; write lines like AAPL = ["apple", "iphone"]') from None
