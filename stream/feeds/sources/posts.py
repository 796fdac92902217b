"""What sources of posts have in common: cashtags in a text, and numbers for what only has names."""

import re
from collections.abc import Iterable
from hashlib import blake2b

from tickertape.schemas.post import TEXT_LETTERS

# A post of any network has some thousand bytes; what is longer holds up a feed, and is none.
MOST_BYTES = 256 << 10
CASH_SIGNS = ("$", "\uff04")
# As Twitter marks them, one to six letters, and a class of share behind a dot or a low line; or as Bluesky does, a
# letter and up to four letters or digits. Before it is nothing, a space or a bracket, so none is found in an address;
# after it nothing, a space or a sign of ASCII, so none that an ellipsis cuts short. The sign may be of full width.
_CASHTAG = re.compile(
    r"(?<![^\s(\u200e\u200f\u202a-\u202e\u2066-\u2069])[$\uff04]"
    r"((?:[A-Za-z]{1,6}(?:[._][A-Za-z]{1,2})?|[A-Za-z][A-Za-z0-9]{0,4}))"
    r"(?=$|[\s!'\"%&()*+,\\\-./:;<=>?@\[\]^_{|}~$\u2019])"
)


def check_size(size_bytes: int) -> None:
    """Raise ValueError where what tells of a post is longer than any."""
    if size_bytes > MOST_BYTES:
        raise ValueError(f"a post of {size_bytes:,} bytes, and there may be {MOST_BYTES:,}")


def check_text(text: str) -> None:
    """Raise ValueError where a text is longer than a `Post` has it: searching and scoring it would take too long."""
    if len(text) > TEXT_LETTERS:
        raise ValueError(f"a text of {len(text):,} letters, and there may be {TEXT_LETTERS:,}")


def cashtags(text: str) -> list[str]:
    """Return what a text names by cashtags, as written: ``$brk.b`` as ``brk.b``."""
    return _CASHTAG.findall(text)


def symbols(names: Iterable[str]) -> tuple[str, ...]:
    """Return cashtags as symbols: in capitals, each once, in the order in which they come."""
    return tuple(dict.fromkeys(map(str.upper, names)))


def number(name: str) -> int:
    """Return 63 bits of a hash, BLAKE2b: of a billion names two have the same with odds of one in eighteen."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big") >> 1
