"""Other names of symbols: what a post calls Apple, besides $AAPL."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from tickertape.stream.errors import ConfigError

#: What a result's key may hold.
Symbol = Annotated[str, Meta(max_length=64, pattern=r"^(?!all$)[\w.$&/:-]+$")]
Alias = Annotated[str, Meta(max_length=128, pattern=r"^\S(.*\S)?$")]
AliasTable: TypeAlias = dict[Symbol, Annotated[list[Alias], Meta(min_length=1)]]


class Aliases:
    """Finds symbols by other names, in texts.

    An alias is matched as whole words. Written in lower case (``apple``) it is found however the text has it, with a
    capital (``Apple``, ``GAP``) only as it is written. Of aliases that begin at one place the longest is found, and
    what it covers is not searched again. An alias of several symbols names all of them. A cashtag, in capitals or not,
    names the symbol of its letters, unless it is an alias (``$btc``): then it names that alias's symbols.

    Parameters
    ----------
    table
        By symbol, its aliases.
    """

    def __init__(self, table: Mapping[str, Iterable[str]]) -> None:
        # By the alias in lower case: how the text has to have it, None for any way, and the symbol.
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
            Those that its source says are in it, in capitals and without ``$``.
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
    """Return a text in lower case, each character in its place."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    # There is one whose small letter is two.
    return "".join(small if len(small := one.lower()) == 1 else one for one in text)


def read(named: str) -> AliasTable:
    """Read a table of aliases.

    Parameters
    ----------
    named
        A TOML file, ``AAPL = ["apple", "iphone"]``; or the table itself as JSON, as one process hands it to another.

    Raises
    ------
    ConfigError
        It can't be read, or has something else.
    """
    try:
        if named.startswith("{"):
            return msgspec.json.decode(named, type=AliasTable)
        return msgspec.toml.decode(Path(named).read_bytes(), type=AliasTable)
    except (OSError, ValueError) as error:
        raise ConfigError(f'aliases: {named[:200]}: {error}; a line is `AAPL = ["apple", "iphone"]`') from None
