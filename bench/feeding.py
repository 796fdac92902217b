"""One feed on one core: from the socket to what Kafka has acknowledged; or a receiver alone.

Run: python -m bench.feeding BROKER MESSAGES HOW URL
"""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from picows.websockets.asyncio.client import connect as connect_picows
from websockets.asyncio.client import connect as connect_websockets

from bench.flood import SYMBOLS
from tickertape.schemas.events import Event
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.feeds.exchanges.binance import Binance, BinanceSettings
from tickertape.stream.feeds.instruments.names import names_of
from tickertape.stream.feeds.live.connection import Patience
from tickertape.stream.feeds.live.live import Live
from tickertape.stream.feeds.publish.bundler import Bundler
from tickertape.stream.feeds.publish.publisher import Publisher
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.stores.control import Control

BUNDLE_SECONDS = 0.005
# As of a live feed.
PRODUCER_BYTES = 4 << 20


async def websockets(url: str, messages: int, _: str) -> None:
    """Receive with websockets, and keep nothing."""
    async with connect_websockets(url, close_timeout=0.1) as socket:
        for _n in range(messages):
            await socket.recv(decode=False)


async def picows(url: str, messages: int, _: str) -> None:
    """Receive with picows, and keep nothing."""
    async with connect_picows(url, close_timeout=0.1) as socket:
        for _n in range(messages):
            await socket.recv(decode=False)


async def records(url: str, messages: int, broker: str) -> None:
    """Feed, each event as a record."""
    await _feed(url, messages, broker, 0.0)


async def bundles(url: str, messages: int, broker: str) -> None:
    """Feed in bundles."""
    await _feed(url, messages, broker, BUNDLE_SECONDS)


def _source(url: str) -> Binance:
    return Binance(BinanceSettings(url=url, info_url=""), SYMBOLS, names_of("binance", ""), "binance")


async def _feed(url: str, messages: int, broker: str, bundle_seconds: float) -> None:
    settings, source = Settings(broker=broker), _source(url)
    async with Producer(settings, buffer_bytes=PRODUCER_BYTES) as producer, Control(settings) as control:
        sent_to = Bundler(producer, bundle_seconds) if bundle_seconds else producer
        publisher = Publisher(sent_to, kinds=source.kinds, control=control)
        # It returns when all is acknowledged.
        await publisher.feed(_first(source, messages), close=False)
        if publisher.events != messages:
            raise SystemExit(f"{publisher.sent} sent of {messages}")


async def _first(source: Binance, messages: int) -> AsyncGenerator[list[Event]]:
    live, had = Live(source, Patience(), buffer_bytes=1 << 30), 0
    batches = live.batches()
    async with aclosing(batches):  # type: ignore[type-var]  # it is a generator
        async for events in batches:
            yield events
            had += len(events)
            if had >= messages:
                break


WAYS: dict[str, Callable[[str, int, str], Awaitable[None]]] = {
    way.__name__: way for way in (websockets, picows, records, bundles)
}


async def main(broker: str, messages: int, how: str, url: str) -> None:
    began, cpu = time.perf_counter(), time.process_time()
    await WAYS[how](url, messages, broker)
    print(f"@{messages / (time.perf_counter() - began):.0f} {messages / (time.process_time() - cpu):.0f}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
