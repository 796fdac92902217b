"""The types of record fields, with their bounds."""

from hashlib import blake2b
from typing import Annotated

from msgspec import Meta

# 2000-01-01 and 2100-01-01, UTC. A time outside is in another unit, or from a broken clock.
EARLIEST_MS = 946_684_800_000
LATEST_MS = 4_102_444_800_000

Name = Annotated[str, Meta(min_length=1, max_length=64)]
# Short, because a checkpoint names every source and Kafka limits its length.
Source = Annotated[str, Meta(min_length=1, max_length=24)]
TimeMs = Annotated[int, Meta(ge=EARLIEST_MS, le=LATEST_MS)]
Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]
# An id that isn't a number, such as a UUID. Such ids don't show whether others are missing.
TextId = Annotated[str, Meta(min_length=1, max_length=64)]
# Beyond this limit, sums could become infinite.
Positive = Annotated[float, Meta(gt=0, le=1e18)]


def hash_of(name: str) -> int:
    """Return a 63-bit BLAKE2b hash of a name. Among a billion names, the odds of a collision are one in eighteen."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big") >> 1


def id_number(of: int | str) -> int:
    """Return an id as a 64-bit number. A text becomes a negative number, so it never equals an id that is a number."""
    return of if isinstance(of, int) else -1 - hash_of(of)
