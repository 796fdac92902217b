"""Simulated posts about a simulated market: chatter, and bursts of posts that move prices."""

from functools import cache
from typing import NamedTuple

import numpy as np

from tickertape.schemas.post import Post
from tickertape.stream.feeds.networks.sentiment import sentiment
from tickertape.stream.feeds.simulate.simulated_market import TICK_MS, ZIPF, Floats, Ints

SECOND_TICKS = 1000 / TICK_MS
# Bursts of all symbols together. A burst adds good or bad posts about one symbol: at first `LOUDER` times the usual
# rate of all symbols together.
BURSTS_PER_SECOND = 1 / 12
BURST_MS = 6000.0
LOUDER = 4.0
# What is left of a burst's strength after a tick.
COOLS = np.exp(-TICK_MS / BURST_MS)
# Prices follow a burst with this delay, and move by so much in the end.
FOLLOWS_MS = 1500.0
MOVE = 0.004
# The number of authors, and how unequal they are: most write little.
AUTHORS = 20_000
LOUD = 3.0
# The share of a burst's posts that repeat another, and the share that say the opposite.
COPIED = 0.4
CONTRARY = 0.1
# A copy repeats one of the last so many posts of its burst.
REMEMBERED = 8

SAID = {
    1: (
        ("${} looks great, buying more", "bullish"),
        ("love this rally in ${}!", "moon"),
        ("${} is winning, what a strong day", "bullish"),
    ),
    0: (
        ("watching ${} today", "trading"),
        ("${} volume picks up", "charts"),
        ("anyone trading ${}?", "trading"),
    ),
    -1: (
        ("${} is crashing, terrible news", "bearish"),
        ("sold my ${}, this is a disaster", "crash"),
        ("bad day for ${}, I fear worse", "bearish"),
    ),
}


class Talk(NamedTuple):
    """The posts of a tick of ten milliseconds, in order, as columns.

    Attributes
    ----------
    symbol
        An index of the market's symbols.
    mood
        1 for a good post, −1 for a bad one, 0 for neither.
    id
        Counts up by one over all symbols.
    offset_ms
        The time since the market's start.
    author, phrase
        The number of the author, and of the phrase among those of its mood in `SAID`.
    copy_of
        The id of the post that it repeats; −1 if it repeats none.
    """

    symbol: Ints
    mood: Ints
    id: Ints
    offset_ms: Ints
    author: Ints
    phrase: Ints
    copy_of: Ints


# A tick without posts.
SILENCE = Talk(*(np.empty(0, np.int64) for _ in Talk._fields))


class Crowd:
    """Posts that name a market's symbols, one tick of ten milliseconds at a time.

    Parameters
    ----------
    symbols
        The market's symbols, the busiest first.
    rate
        Posts per second of all symbols, outside of bursts.
    seed
        The same seed, symbols and rate give the same posts.
    source
        The network's name in the posts.
    """

    def __init__(self, symbols: list[str], rate: float, *, seed: int = 7, source: str = "sim") -> None:
        self._random = np.random.Generator(np.random.PCG64((seed, 2)))
        self._symbols = symbols
        self._source = source
        weight = 1.0 / np.arange(1, len(symbols) + 1) ** ZIPF
        self._weight = weight / weight.sum()
        self._rate = rate / SECOND_TICKS
        # By symbol: the strength of its burst, the burst's mood, and how strongly prices follow at present.
        self._heat = np.zeros(len(symbols))
        self._mood = np.zeros(len(symbols), np.int64)
        self._pressure = np.zeros(len(symbols))
        self._recent: dict[int, list[int]] = {}
        self._next_id = 1
        self._ticks = 0

    def step(self) -> tuple[Talk, Floats]:
        """Return the next tick's posts, and what all posts so far add to each symbol's return, shape (symbols,)."""
        random = self._random
        self._heat *= COOLS
        # Most ticks have no burst. A choice of none draws no random number either, but takes long.
        if bursts := random.poisson(BURSTS_PER_SECOND / SECOND_TICKS):
            for symbol in random.choice(len(self._weight), bursts, p=self._weight):
                self._heat[symbol], self._mood[symbol] = 1.0, random.choice((-1, 1))
                self._recent[int(symbol)] = []
        talk = self._talk(random.poisson(self._rate * (self._weight + LOUDER * self._heat)))
        self._pressure += (self._heat * self._mood - self._pressure) * TICK_MS / FOLLOWS_MS
        self._ticks += 1
        push: Floats = self._pressure * MOVE * TICK_MS / BURST_MS
        return talk, push

    def _talk(self, counts: Ints) -> Talk:
        random, n = self._random, int(counts.sum())
        if not n:
            return SILENCE
        symbol = random.permutation(np.repeat(np.arange(len(counts)), counts))
        # Whether a post belongs to the burst, or would have come anyway.
        loud = LOUDER * self._heat[symbol]
        heated = random.random(n) < loud / (loud + self._weight[symbol])
        mood = np.where(heated, self._mood[symbol] * np.where(random.random(n) < CONTRARY, -1, 1), 0)
        ids = np.arange(self._next_id, self._next_id + n)
        self._next_id += n
        wants_copy = heated & (random.random(n) < COPIED)
        pick = random.integers(0, REMEMBERED, n)
        copy_of = np.full(n, -1)
        for i in np.flatnonzero(heated).tolist():
            recent = self._recent.setdefault(int(symbol[i]), [])
            if wants_copy[i] and recent:
                copy_of[i] = recent[pick[i] % len(recent)]
            else:
                recent.append(int(ids[i]))
                del recent[:-REMEMBERED]
        return Talk(
            symbol,
            mood,
            ids,
            self._ticks * TICK_MS + np.sort(random.integers(0, TICK_MS, n)),
            (AUTHORS * random.random(n) ** LOUD).astype(np.int64),
            random.integers(0, len(SAID[0]), n),
            copy_of,
        )

    def posts(self, talk: Talk, time_ms: Ints, received_ms: int | None = None) -> list[Post]:
        """Return a tick's posts as records; see `Market.trades`."""
        columns = zip(*(column.tolist() for column in talk._replace(offset_ms=time_ms)), strict=True)
        found = []
        for symbol, mood, number, time, author, phrase, copy_of in columns:
            name = self._symbols[symbol]
            text, tag, sounds = _said(name, mood, phrase)
            found.append(
                Post(
                    author=f"user{author}",
                    source=self._source,
                    id=number,
                    time_ms=time,
                    text=text,
                    tags=(tag,),
                    symbols=(name,),
                    copy_of=None if copy_of < 0 else copy_of,
                    language="en",
                    sentiment=sounds,
                    received_ms=time if received_ms is None else received_ms,
                )
            )
        return found


@cache
def _said(symbol: str, mood: int, phrase: int) -> tuple[str, str, float | None]:
    """Return a text, its hashtag and its sentiment."""
    said, tag = SAID[mood][phrase]
    text = f"{said.format(symbol)} #{tag}"
    return text, tag, sentiment(text, "en")
