"""Posts through both stages, without Kafka."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from tickertape.agents.social.chatter import CHATTER, Chatter
from tickertape.agents.social.mentions import MENTIONS, Mentions
from tickertape.agents.social.posts import POST_SLICES, named
from tickertape.schemas.checkpoint import Views
from tickertape.schemas.frame import Frame, Tallies
from tickertape.schemas.heartbeat import Heartbeat, to_headers
from tickertape.schemas.post import Post
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.block import Block, Headers
from tickertape.stream.engine.derived.derived import Derived
from tickertape.stream.engine.slices.slicer import Slicer
from tickertape.stream.engine.windows.windows import Windows

#: Symbol, source, resolution, start in ms.
Key = tuple[str, str, str, int]
_json = msgspec.json.Encoder().encode
DAY_MS = 86_400_000


class Said(NamedTuple):
    """What the windows say, and what follows them; and what became of the posts."""

    windows: dict[Key, Chatter]
    mentions: dict[Key, Mentions]
    tallies: Tallies


def block(values: Sequence[bytes], start: int, end_ms: Mapping[str, int]) -> Block:
    """Return a block of records, and behind them a heartbeat of each source."""
    beats: dict[int, Headers] = {
        len(values) + i: tuple(to_headers(Heartbeat(source, time_ms)))
        for i, (source, time_ms) in enumerate(end_ms.items())
    }
    n = len(values) + len(beats)
    offsets = np.arange(start, start + n)
    # Appended long after all that tests have.
    return Block("posts", 0, start, start + n, offsets, [*values, *(None for _ in beats)], np.full(n, 1 << 41), beats)


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
    slicer = Slicer(
        POST_SLICES,
        0,
        1,
        slice_ms=1000,
        skew_ms=5000,
        lateness_ms=lateness_ms,
        epoch="e",
        checkpoint=None,
        committed=None,
        begin=0,
        names=named(Settings(aliases={symbol: list(others) for symbol, others in (aliases or {}).items()})),
    )
    following = Derived(CHATTER, [MENTIONS], Settings())
    windows = Windows(CHATTER, slice_ms=1000, horizon_ms=60_000, epoch="e", derived=following)
    windows.assign(0, Views())
    windows.start_publishing(0)
    values = [post if isinstance(post, bytes) else _json(post) for post in posts]
    held: dict[Key, Chatter] = {}
    followed: dict[Key, Mentions] = {}
    blocks = [block(values[at : at + block_records], at, {}) for at in range(0, len(values), block_records)]
    for offset, one in enumerate([*blocks, block([], len(values), end_ms or {})]):
        slicer.fold(one)
        for _, frame in slicer.flush(lambda _: 0, 1, everyone=True):
            windows.apply_frame(0, offset, msgspec.msgpack.decode(msgspec.msgpack.encode(frame), type=Frame))
        for output, _, _, value in windows.flush():
            said = msgspec.json.decode(value, type=output.result)
            (held if isinstance(said, Chatter) else followed)[
                said.symbol, said.source, said.resolution, said.start_ms
            ] = said
    return Said(held, followed, slicer.tallies)
