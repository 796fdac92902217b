"""Bluesky live: posts of a Jetstream (v1), resumed where the last feed ended."""

from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from tickertape.schemas.events import Event
from tickertape.schemas.post import Post
from tickertape.stream.feeds.define.feed import Feed
from tickertape.stream.feeds.define.other import Other, renamed
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.networks import bluesky

SECOND_US = 1_000_000
# A Jetstream's events are not quite in order of time, so its documentation advises to go back by some seconds.
REWIND_US = 5 * SECOND_US
# The network is never silent for a minute. If one is missing, the Jetstream has not kept it.
LEAP_US = 60 * SECOND_US


class _Stamp(Struct):
    time_us: int


_stamp = msgspec.json.Decoder(_Stamp).decode


class Bluesky(Source):
    """All posts of Bluesky. A position is the Jetstream's time, µs.

    Parameters
    ----------
    url
        The address of a Jetstream, without collections and cursor.
    name
        The source's name in each record.
    """

    setting = "TICKERTAPE_BLUESKY_URL"
    kinds = (Post,)
    resumes = True
    leap = LEAP_US

    def __init__(self, url: str, name: str = bluesky.SOURCE) -> None:
        self.name = name
        self._url = url

    def urls(self, position: int) -> Sequence[str]:
        query: dict[str, str | int] = {"wantedCollections": bluesky.POSTS}
        if position:
            query["cursor"] = max(position - REWIND_US, 0)
        return [self._url + ("&" if "?" in self._url else "?") + urlencode(query)]

    def normalise(self, frame: bytes, received_ms: int) -> Event | Other:  # noqa: ARG002 - see below
        # With the Jetstream's receipt, not ours, a post that is requested again or played back is the same to the bit.
        return renamed(bluesky.normalise(frame), self.name)

    def position(self, frame: bytes) -> int:
        try:
            return _stamp(frame).time_us
        except (ValueError, RecursionError):
            return 0


class BlueskySettings(Struct, frozen=True):
    """The settings of the feed.

    Attributes
    ----------
    url
        The address of the Jetstream to connect to.
    """

    url: str = "wss://jetstream2.us-east.bsky.network/subscribe"


FEED = Feed(
    name="bluesky",
    about="Bluesky's posts as they come, resuming where the last feed ended.",
    connect=lambda settings, _, name: Bluesky(settings.url, name),
    settings=BlueskySettings,
    takes_symbols=False,
)
