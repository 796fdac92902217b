"""Posts through both stages, without Kafka."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from tickertape.agents.social.chatter import CHATTER, Chatter
from tickertape.agents.social.mentions import MENTIONS, Mentions
from tickertape.schemas.frame import Tallies
from tickertape.schemas.heartbeat import Heartbeat
from tickertape.schemas.post import Post
from tickertape.stream.configuration.settings import Settings
from tickertape.testing import run

#: Symbol, source, resolution, start in ms.
Key = tuple[str, str, str, int]
_json = msgspec.json.Encoder().encode
DAY_MS = 86_400_000


class Said(NamedTuple):
    """What the windows say, and what follows them; and what became of the posts."""

    windows: dict[Key, Chatter]
    mentions: dict[Key, Mentions]
    tallies: Tallies


def through(
    posts: Iterable[Post | bytes],
    *,
    aliases: Mapping[str, Sequence[str]] | None = None,
    lateness_ms: int = 60_000,
    block_records: int = 1000,
    end_ms: Mapping[str, int] | None = None,
) -> Said:
    """Return what is said once all is read.

    Parameters
    ----------
    posts
        In the order in which they come.
    aliases, lateness_ms
        See `Settings`.
    block_records
        How many are read at a time.
    end_ms
        By source: what heartbeats say at the end.
    """
    beats = [Heartbeat(source, time_ms) for source, time_ms in (end_ms or {}).items()]
    values = [post if isinstance(post, bytes) else _json(post) for post in posts]
    settings = Settings(
        aliases={symbol: list(others) for symbol, others in (aliases or {}).items()}, lateness_ms={"posts": lateness_ms}
    )
    outcome = run([*values, *beats], CHATTER, MENTIONS, settings=settings, block_records=block_records, close=False)
    windows, mentions = (
        {(one.symbol, one.source, one.resolution, one.start_ms): one for one in outcome.results[name]}
        for name in ("social", "indicators/mentions")
    )
    return Said(windows, mentions, outcome.tallies["posts"])
