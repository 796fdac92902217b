"""What sources of posts have in common: cashtags in a text, and numbers for what only has names."""

import re
from collections.abc import Iterable
from hashlib import blake2b

CASH_SIGNS = ("$", "\uff04")
# As Twitter marks them, one to six letters, and a class of share behind a dot or a low line; or as Bluesky does, a
# letter and up to four letters or digits. Before it is nothing, a space or a bracket, so none is found in an address;
# after it nothing, a space or a sign of ASCII, so none that an ellipsis cuts short. The sign may be of full width.
_CASHTAG = re.compile(
    r"(?<![^\s(\u200e\u200f\u202a-\u202e\u2066-\u2069])[$\uff04]"
    r"((?:[A-Za-z]{1,6}(?:[._][A-Za-z]{1,2})?|[A-Za-z][A-Za-z0-9]{0,4}))"
    r"(?=$|[\s!'\"%&()*+,\\\-./:;<=>?@\[\]^_{|}~$\u2019])"
)


def cashtags(text: str) -> list[str]:
    """Return what a text names by cashtags, as written: ``$brk.b`` as ``brk.b``."""
    return _CASHTAG.findall(text)


def symbols(names: Iterable[str]) -> tuple[str, ...]:
    """Return cashtags as symbols: in capitals, each once, in the order in which they come."""
    return tuple(dict.fromkeys(map(str.upper, names)))


def number(name: str) -> int:
    """Return 63 bits of a hash, BLAKE2b: of a billion names two have the same with odds of one in eighteen."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big") >> 1
