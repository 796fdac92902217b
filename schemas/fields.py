"""The types of record fields, with their bounds."""

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
# Beyond this limit, sums could become infinite.
Positive = Annotated[float, Meta(gt=0, le=1e18)]
