"""Shared by sources of posts: limits, cashtags in a text, and numeric ids for posts that have only names."""

import re
from collections.abc import Iterable

from tickertape.schemas.post import TEXT_LETTERS

# Posts of any network have some thousand bytes. What is longer is not a post, and would delay the feed.
MOST_BYTES = 256 << 10
CASH_SIGNS = ("$", "\uff04")
# As on Twitter: one to six letters, and a share class after a dot or an underscore. As on Bluesky: a letter and up to
# four letters or digits. Before it is the beginning, a space or a bracket, so none is found in an address. After it is
# the end, a space or an ASCII sign, so none is found that an ellipsis cuts short. The $ may be of full width.
_CASHTAG = re.compile(
    r"(?<![^\s(\u200e\u200f\u202a-\u202e\u2066-\u2069])[$\uff04]"
    r"((?:[A-Za-z]{1,6}(?:[._][A-Za-z]{1,2})?|[A-Za-z][A-Za-z0-9]{0,4}))"
    r"(?=$|[\s!'\"%&()*+,\\\-./:;<=>?@\[\]^_{|}~$\u2019])"
)


def check_size(size_bytes: int) -> None:
    """Raise ValueError if a message is too long for a post."""
    if size_bytes > MOST_BYTES:
        raise ValueError(f"a post has {size_bytes:,} bytes; at most {MOST_BYTES:,} are allowed")


def check_text(text: str) -> None:
    """Raise ValueError if a text is too long for a `Post`: searching and scoring it would take too long."""
    if len(text) > TEXT_LETTERS:
        raise ValueError(f"a text has {len(text):,} characters; at most {TEXT_LETTERS:,} are allowed")


def cashtags(text: str) -> list[str]:
    """Return the cashtags in a text as written, without the sign: ``$brk.b`` as ``brk.b``."""
    return _CASHTAG.findall(text)


def symbols(names: Iterable[str]) -> tuple[str, ...]:
    """Return cashtags as symbols: in capitals, each once, in their order."""
    return tuple(dict.fromkeys(map(str.upper, names)))
