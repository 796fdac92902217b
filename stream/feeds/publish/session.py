"""One run of a feed: connect, publish with progress until the input ends or the operator stops it, flush."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path

from rich.console import Console

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import BrokerError
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.live.connection import Patience
from tickertape.stream.feeds.live.live import Live
from tickertape.stream.feeds.publish.bundler import Bundler
from tickertape.stream.feeds.publish.instruments import announced
from tickertape.stream.feeds.publish.publisher import Batches, Publisher
from tickertape.stream.feeds.publish.records import Records
from tickertape.stream.feeds.publish.resume import resumed
from tickertape.stream.feeds.refill import refill
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.stores.control import Control
from tickertape.stream.progress.meter import Count
from tickertape.stream.progress.shown import Progress
from tickertape.stream.telemetry.metrics import PRODUCER_BUFFER
from tickertape.stream.telemetry.registries import FEED
from tickertape.stream.telemetry.serving import PATH, served

# How long a stopped feed may take to send the rest.
STOP_SECONDS = 5.0
# A live source goes on while Kafka is away, so its producer must not give up. Most messages then wait in the source's
# own buffer, which is bounded.
LIVE_DELIVERY_SECONDS = 24 * 3600.0
LIVE_BUFFER_BYTES = 4 << 20


async def feed(
    settings: Settings,
    batches: Callable[[], Batches],
    *,
    kinds: Collection[type],
    close: bool,
    console: Console,
    spread: Mapping[str, int] | None = None,
    live: Live | None = None,
    bundle_seconds: float = 0.0,
    kept: Callable[[Records, Control], AbstractAsyncContextManager[None]] | None = None,
    progress: Progress | None = None,
    share: Callable[[int], float] | None = None,
) -> bool:
    """Publish a source's events. SIGINT and SIGTERM make it send the rest and end, in little more than `STOP_SECONDS`.

    Parameters
    ----------
    settings
        The settings: Kafka's address, the compression, the buffer, the metrics.
    batches
        Called once, after connecting to Kafka: the clock of a live source starts then.
    kinds
        The kinds of events that may come.
    close
        True if the input is complete when it ends: every bar is then closed.
    console
        Where progress is shown.
    spread
        By key: the number of partitions over which its events are spread.
    live
        The live source that the events come from, which resumes from its position and outlasts an absence of Kafka;
        None for files and simulations.
    bundle_seconds
        How long the events of a partition are collected for one record; 0: each event is a record.
    kept
        For an input that resumes an earlier run: takes what sends records and the topic ``control``, and returns a
        context that is open while the events are sent. It ends without an error once Kafka has acknowledged all of
        them, also if the feed was stopped. None for other inputs; a live source has its own.
    progress
        How progress is shown; None: on the console.
    share
        Returns how much of the input is sent, 0 to 1, by the newest event time; None if nobody knows.

    Returns
    -------
    bool
        True if the input ended, False if the feed was stopped.

    Raises
    ------
    BrokerError
        Kafka can't be reached, or a record was not delivered.
    ConfigError
        Metrics can't be served at the address in the settings.
    """
    if live is not None:
        kept = partial(resumed, live)
    progress = progress or Progress(console)
    began = time.monotonic()
    producer = Producer(settings, compression=settings.compression) if live is None else live_producer(settings)
    records = Bundler(producer, bundle_seconds) if bundle_seconds else producer
    async with (
        metrics_shown(settings, progress),
        producer,
        Control(settings) as control,
        nullcontext() if live is None else announced(settings, live.source.instruments),
        nullcontext() if kept is None else kept(records, control),
    ):
        PRODUCER_BUFFER.set_function(lambda: producer.pending_bytes)
        publisher = Publisher(records, kinds=kinds, control=control, spread=spread, skew_ms=settings.skew_ms)

        def count() -> Count:
            newest_ms = publisher.newest_ms
            return Count(publisher.events, share=None if share is None else share(newest_ms), newest_ms=newest_ms)

        with progress.of("fed", "events", count):
            work = asyncio.create_task(publisher.feed(batches(), close=close))
            await until_stopped(work)
            if not work.cancelled():
                work.result()
    seconds = time.monotonic() - began
    sent = ", ".join(f"{count:,} {topic}" for topic, count in publisher.sent.items()) or "nothing"
    progress.say(
        f"{sent} sent and acknowledged in {seconds:.1f} s ({publisher.events / seconds:,.0f}/s)"
        + (", then stopped" if work.cancelled() else "")
    )
    return not work.cancelled()


@asynccontextmanager
async def metrics_shown(settings: Settings, progress: Progress) -> AsyncIterator[None]:
    """Serve the metrics of feeds while the block runs, and say where."""
    with served(settings, FEED) as address:
        if address:
            progress.say(f"metrics at {address}{PATH}")
        yield


def live_producer(settings: Settings) -> Producer:
    """Return the producer of live sources, which goes on while Kafka is away."""
    return Producer(
        settings,
        compression=settings.compression,
        buffer_bytes=min(LIVE_BUFFER_BYTES, settings.feed_buffer_bytes),
        delivery_seconds=LIVE_DELIVERY_SECONDS,
    )


def live_of(settings: Settings, source: Source, folder: Path | None = None, *, redundant: bool = False) -> Live:
    """Return the events of a source, with the time limits and the buffer of the settings.

    Parameters
    ----------
    settings
        The settings.
    source
        The source.
    folder, redundant
        See `Live`.

    Raises
    ------
    InputError
        The folder can't be written to.
    """
    return Live(
        source,
        Patience(
            silence_seconds=settings.feed_silence_seconds,
            ping_seconds=settings.feed_ping_seconds,
            renew_seconds=settings.feed_renew_seconds,
        ),
        buffer_bytes=settings.feed_buffer_bytes,
        folder=folder,
        redundant=redundant,
        refill_patience=refill.Patience(
            most_seconds=settings.feed_refill_seconds, most_bytes=settings.feed_buffer_bytes
        ),
    )


async def until_stopped(work: asyncio.Task[None]) -> None:
    """Wait until the work is done. SIGINT and SIGTERM cancel it; then wait until it has sent the rest.

    Raises
    ------
    BrokerError
        Kafka didn't accept the rest within `STOP_SECONDS`.
    """
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    try:
        await _until(told, work)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _until(told: asyncio.Event, work: asyncio.Task[None]) -> None:
    """Wait until the work is done. If it is stopped first, wait until the rest is sent.

    Raises
    ------
    BrokerError
        Kafka didn't accept the rest in time.
    """
    telling = asyncio.create_task(told.wait())
    await asyncio.wait((work, telling), return_when=asyncio.FIRST_COMPLETED)
    telling.cancel()
    if work.done():
        return
    work.cancel()
    await asyncio.wait((work,), timeout=STOP_SECONDS)
    if not work.done():
        work.cancel()
        await asyncio.wait((work,))
        raise BrokerError(
            f"Kafka did not accept the remaining events within {STOP_SECONDS:g} s of the stop: they are not sent"
        )
