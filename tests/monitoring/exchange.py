"""An exchange on this machine whose trades happen now."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from websockets.asyncio.server import ServerConnection

from tests.feeds.exchange import Exchange, breaks


def trade(number: int) -> str:
    """Return the message of a trade that happens now."""
    now_ms = int(time.time() * 1000)
    data = {"e": "trade", "E": now_ms, "s": "BTCUSD", "t": number, "p": "100.5", "q": "0.25", "T": now_ms, "m": False}
    return json.dumps({"stream": "btcusd@trade", "data": data})


async def bad(socket: ServerConnection) -> None:
    """Skip, repeat and garble, and break off."""
    # Scrapes are to see how it was before, and after each.
    await socket.send(trade(1))
    await asyncio.sleep(4)
    for message in (trade(2), trade(9), trade(2), "{"):
        await socket.send(message)
    await asyncio.sleep(1)
    await breaks(socket)


async def good(socket: ServerConnection) -> None:
    """Go on without end."""
    for number in range(10, 1_000_000):
        await socket.send(trade(number))
        await asyncio.sleep(0.05)


@contextmanager
def exchange() -> Iterator[str]:
    """Run one; yield its address."""
    found = Exchange(bad, good)
    loop, end = asyncio.new_event_loop(), asyncio.Event()
    opened = threading.Event()

    async def run() -> None:
        async with found.open():
            opened.set()
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    assert opened.wait(10)
    try:
        yield found.url
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()
