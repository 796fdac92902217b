"""The feed process of a run: it publishes a source's trades, a quote with each, and some posts.

Some of its events are sent one by one, others in bundles.

It may be killed at any moment. Its successor sends again all records whose acknowledgement isn't certain. The n-th
events are a function of the plan, so the plan alone determines what was sent. Which of them share a bundle depends on
when they are sent.

Start it as ``python -m tickertape.stream.chaos.oracle.feed PLAN``. On SIGTERM it closes every bar and ends. It also
ends when its standard input is closed, which means that the process that started it is gone.
"""

import asyncio
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import msgspec
from msgspec import Struct

from tickertape.schemas.bundle import to_headers as to_bundle_headers
from tickertape.schemas.heartbeat import MOST_STEPS, Heartbeat, Keyed, to_headers
from tickertape.schemas.post import Post
from tickertape.schemas.quote import Quote
from tickertape.schemas.topics import POSTS, QUOTES, TRADES, Topic
from tickertape.schemas.trade import Trade
from tickertape.stream.bundles.packing import pack
from tickertape.stream.configuration.settings import load
from tickertape.stream.errors import TickertapeError
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.partition import partition_for

TICK_SECONDS = 0.02
BEAT_SECONDS = 1.0
# The interval between notes of how many records are acknowledged. A restarted feed begins so many before the last note.
NOTE_SECONDS = 0.25
OVERLAP = 200
# The delays of trades, and their shares in percent. The last delay exceeds any lateness.
DELAYS_MS, SHARES = (0, 5, 50, 500, 1500, 9000, 15_000), (50, 15, 15, 10, 5, 2, 3)
REPEATED, GARBLED, EARLY = 0.03, 0.002, 0.002
# An event time so far past its receipt is rejected.
AHEAD_MS = 60_000

# One post is sent for every so many trades.
POST_EVERY = 10
# The most events of a bundle, and the share of what isn't an event that says that it is a bundle.
MOST_BUNDLED, BROKEN = 50, 0.5
# The topics that the feed sends events and heartbeats to.
SOURCES = ("x", "y")
TOPICS = (TRADES, QUOTES, POSTS)
KINDS: dict[Topic, type[Struct]] = {TRADES: Trade, QUOTES: Quote, POSTS: Post}

_encode = msgspec.json.Encoder().encode


class Record(Struct, frozen=True):
    """A record to send.

    Attributes
    ----------
    symbol, time_ms
        The symbol and the time that decide its partition. The time is the event time, or, for a record that will be
        rejected, the time at which it is due.
    value
        The record's value.
    """

    symbol: str
    time_ms: int
    value: bytes


class Plan(Struct, frozen=True):
    """The parameters of a feed.

    Attributes
    ----------
    source
        The name of its source.
    seed
        The seed of its trades.
    rate
        Trades per second.
    symbols
        The number of symbols.
    began_ms
        The time at which the first record is due, in ms.
    folder
        The folder with ``<source>.sent``, the number of acknowledged records, and with ``places.json``.
    """

    source: str
    seed: int
    rate: float
    symbols: int
    began_ms: int
    folder: str

    @property
    def noted(self) -> Path:
        return Path(self.folder) / f"{self.source}.sent"

    @property
    def places(self) -> Path:
        return Path(self.folder) / "places.json"

    def due_ms(self, n: int) -> int:
        return self.began_ms + int(n * 1000 / self.rate)


@lru_cache(maxsize=4096)
def record(plan: Plan, n: int) -> Record:
    """Return the n-th record: a trade, often out of order, and at times an earlier record or one to be rejected."""
    # Seeded, so that the same n gives the same record in any process; it needn't be secure.
    rng = random.Random(f"{plan.seed}|{plan.source}|{n}")
    chance, due_ms = rng.random(), plan.due_ms(n)
    symbol = f"S{rng.randrange(plan.symbols):02d}-USD"
    if chance < REPEATED and n:
        return record(plan, max(0, n - rng.randint(1, int(plan.rate))))
    if chance < REPEATED + GARBLED:
        return Record(symbol, due_ms, f"{plan.source} {n}: not a trade".encode())
    early = chance < REPEATED + GARBLED + EARLY
    time_ms = due_ms + AHEAD_MS if early else due_ms - rng.choices(DELAYS_MS, SHARES)[0]
    trade = Trade(
        symbol=symbol,
        source=plan.source,
        id=n,
        time_ms=time_ms,
        price=round(rng.uniform(10, 11), 4),
        quantity=round(rng.expovariate(1) + 0.001, 6),
        side=rng.choice(("buy", "sell")),
        received_ms=due_ms,
    )
    return Record(symbol, due_ms if early else time_ms, _encode(trade))


def quote(plan: Plan, n: int) -> Record:
    """Return the quote that is sent with the n-th trade, out of order as often."""
    rng = random.Random(f"{plan.seed}|{plan.source}|{n}|quote")
    due_ms = plan.due_ms(n)
    mid = rng.uniform(10, 11)
    found = Quote(
        symbol=f"S{rng.randrange(plan.symbols):02d}-USD",
        source=plan.source,
        id=n,
        time_ms=due_ms - rng.choices(DELAYS_MS, SHARES)[0],
        bid=round(mid - rng.uniform(0.001, 0.02), 4),
        bid_quantity=round(rng.expovariate(1) + 0.001, 6),
        ask=round(mid + rng.uniform(0.001, 0.02), 4),
        ask_quantity=round(rng.expovariate(1) + 0.001, 6),
        received_ms=due_ms,
    )
    return Record(found.symbol, found.time_ms, _encode(found))


def post(plan: Plan, n: int) -> tuple[str, bytes]:
    """Return author and value of the post sent with the n-th trade; it names up to two symbols."""
    rng = random.Random(f"{plan.seed}|{plan.source}|{n}|post")
    due_ms, author = plan.due_ms(n), f"user{rng.randrange(200)}"
    found = Post(
        author=author,
        source=plan.source,
        id=n,
        time_ms=due_ms - rng.choices(DELAYS_MS, SHARES)[0],
        text="",
        tags=(f"tag{rng.randrange(30)}",),
        symbols=tuple(f"S{rng.randrange(plan.symbols):02d}-USD" for _ in range(rng.randrange(3))),
        copy_of=rng.choice((None, n // 50)),
        likes=rng.randrange(9),
        sentiment=round(rng.uniform(-1, 1), 4),
        received_ms=due_ms,
    )
    return author, _encode(found)


#: Pairs, in order: an event time in ms, and the number of partitions that trades use from then on.
Places = list[tuple[int, int]]


def place(found: Record, places: Places) -> int:
    """Return a record's partition: a function of its time and symbol, so that a repeat goes to the same one."""
    partitions = [count for from_ms, count in places if from_ms <= found.time_ms][-1]
    return partition_for(found.symbol, partitions)


def in_bundles(
    topic: Topic, events: Sequence[tuple[str, bytes]], rng: random.Random
) -> Iterator[tuple[bytes | None, bytes, list[tuple[str, bytes]]]]:
    """Yield key, value and headers of records that hold these events, given by key and JSON, in their order.

    Some are bundles, and what isn't an event at times says that it is one.
    """
    decode = msgspec.json.Decoder(KINDS[topic]).decode
    first = 0
    while first < len(events):
        bundled: list[Struct] = []
        for _, value in events[first : first + rng.choice((1, 2, MOST_BUNDLED))]:
            with suppress(msgspec.MsgspecError):
                bundled.append(decode(value))
                continue
            break
        if len(bundled) > 1:
            yield None, pack(bundled), to_bundle_headers(len(bundled))
            first += len(bundled)
        else:
            key, value = events[first]
            broken = not bundled and rng.random() < BROKEN
            yield key.encode(), value, to_bundle_headers(3) if broken else []
            first += 1


class Feed:
    """Sends a plan's records when they are due, beginning with the last that are known to be acknowledged.

    Parameters
    ----------
    plan
        The feed's parameters.
    producer
        The producer to send with.
    """

    def __init__(self, plan: Plan, producer: Producer) -> None:
        self._plan = plan
        self._producer = producer
        self._next = max(0, int(plan.noted.read_text()) - OVERLAP) if plan.noted.exists() else 0
        self._places: Places = []
        self._quotes = self._posts = 0
        self._over = asyncio.Event()

    async def run(self) -> None:
        """Send until SIGTERM, then close every bar."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._over.set)
        self._quotes = await self._producer.partitions(QUOTES.name)
        self._posts = await self._producer.partitions(POSTS.name)
        noting = asyncio.create_task(self._note_regularly())
        beat_at = 0.0
        while not self._over.is_set():
            if noting.done():
                noting.result()
            await self._send()
            if (now := time.monotonic()) >= beat_at:
                beat_at = now + BEAT_SECONDS
                await self._beat(self._plan.due_ms(self._next))
            await asyncio.sleep(TICK_SECONDS)
        noting.cancel()
        await self._beat(self._plan.due_ms(self._next), end=True)
        await self._note()

    async def _send(self) -> None:
        plan, before = self._plan, self._places
        due = int((time.time() * 1000 - plan.began_ms) * plan.rate / 1000)
        # Read after the clock, so that every step before `due` is known, however long this process was paused.
        self._places = msgspec.json.decode(plan.places.read_bytes(), type=Places)
        if self._places != before:
            # What was promised of times past the step isn't true any more.
            await self._beat(plan.due_ms(self._next))
        waiting: dict[tuple[Topic, int], list[tuple[str, bytes]]] = {}
        for n in range(self._next, due):
            found = record(plan, n)
            waiting.setdefault((TRADES, place(found, self._places)), []).append((found.symbol, found.value))
            beside = quote(plan, n)
            quotes = waiting.setdefault((QUOTES, partition_for(beside.symbol, self._quotes)), [])
            quotes.append((beside.symbol, beside.value))
            if n % POST_EVERY == 0:
                author, value = post(plan, n)
                waiting.setdefault((POSTS, partition_for(author, self._posts)), []).append((author, value))
        rng = random.Random(f"{plan.seed}|{plan.source}|{self._next}|bundles")
        for (topic, partition), events in waiting.items():
            for key, value, headers in in_bundles(topic, events, rng):
                self._producer.send(topic.name, partition, key, value, headers)
        self._next = max(self._next, due)

    async def _beat(self, time_ms: int, *, end: bool = False) -> None:
        steps = {TRADES: self._places, QUOTES: [(0, self._quotes)], POSTS: [(0, self._posts)]}
        for topic in TOPICS:
            keyed = tuple(Keyed(*step) for step in steps[topic][-MOST_STEPS:])
            headers = to_headers(Heartbeat(self._plan.source, time_ms, end=end, keyed=keyed))
            for partition in range(await self._producer.partitions(topic.name)):
                self._producer.send(topic.name, partition, None, None, headers)

    async def _note_regularly(self) -> None:
        while True:
            await asyncio.sleep(NOTE_SECONDS)
            await self._note()

    async def _note(self) -> None:
        sent = self._next
        await self._producer.flush()
        replace(self._plan.noted, str(sent).encode())


def replace(path: Path, content: bytes) -> None:
    """Write a file atomically: a reader finds the old content or the new, even if this process is killed."""
    new = path.with_name(path.name + ".new")
    new.write_bytes(content)
    new.replace(path)


def _end_with_starter() -> None:
    while os.read(0, 1024):
        pass
    os._exit(1)


async def _main() -> None:
    plan = msgspec.json.decode(sys.argv[1], type=Plan)
    async with Producer(load()) as producer:
        await Feed(plan, producer).run()


if __name__ == "__main__":
    threading.Thread(target=_end_with_starter, daemon=True).start()
    try:
        asyncio.run(_main())
    except TickertapeError as error:
        sys.exit(f"feed: {error}")
