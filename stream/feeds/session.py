"""One run of a feed: connect, publish with progress until the input or the operator ends it, flush."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager

from rich.console import Console

from stream.feeds import progress
from stream.feeds.publish import Batches, Publisher
from stream.kafka.control import Control
from stream.kafka.producer import Producer
from stream.metrics import FEED, PATH, PRODUCER_BUFFER, served
from stream.settings import Settings


async def feed(
    settings: Settings,
    batches: Callable[[], Batches],
    *,
    kinds: Collection[type],
    close: bool,
    console: Console,
    spread: Mapping[str, int] | None = None,
) -> bool:
    """Publish a source's events; SIGINT and SIGTERM end it in good order.

    Parameters
    ----------
    settings
        Where Kafka is, and the compression.
    batches
        Called once, when connected: the clock of a live source starts there.
    kinds
        Which kinds of events it may have.
    close
        True where the input is complete when it ends: every bar is then closed.
    console
        Where progress goes.
    spread
        By key: over how many partitions its events are spread.

    Returns
    -------
    bool
        True where it came to its end, False where it was told to stop.

    Raises
    ------
    BrokerError
        Kafka can't be reached, or something was not delivered.
    ConfigError
        Metrics can't be served where the settings say.
    """
    began = time.monotonic()
    async with (
        _showing_metrics(settings, console),
        Producer(settings.broker, compression=settings.compression) as producer,
        Control(settings.broker) as control,
    ):
        PRODUCER_BUFFER.set_function(lambda: producer.pending_bytes)
        publisher = Publisher(producer, kinds=kinds, control=control, spread=spread)
        async with progress.shown(publisher, console):
            work = asyncio.create_task(publisher.feed(batches(), close=close))
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, work.cancel)
            try:
                await asyncio.wait((work,))
            finally:
                for number in (signal.SIGINT, signal.SIGTERM):
                    loop.remove_signal_handler(number)
            if not work.cancelled():
                work.result()
    seconds = time.monotonic() - began
    sent = ", ".join(f"{count:,} {topic}" for topic, count in publisher.sent.items()) or "nothing"
    console.print(
        f"{sent} sent and acknowledged in {seconds:.1f} s ({publisher.events / seconds:,.0f}/s)"
        + (", then told to stop" if work.cancelled() else ""),
        highlight=False,
        soft_wrap=True,
    )
    return not work.cancelled()


@asynccontextmanager
async def _showing_metrics(settings: Settings, console: Console) -> AsyncIterator[None]:
    with served(settings, FEED) as address:
        if address:
            console.print(f"metrics at {address}{PATH}", highlight=False, soft_wrap=True)
        yield
