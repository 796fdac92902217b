"""An exchange on this machine whose trades happen now."""

import asyncio
import json
import threading
import time

from websockets.asyncio.server import ServerConnection

from tests.feeds.exchange import Exchange, breaks


def trade(number: int) -> str:
    """Return the message of a trade that happens now."""
    now_ms = int(time.time() * 1000)
    data = {"e": "trade", "E": now_ms, "s": "BTCUSD", "t": number, "p": "100.5", "q": "0.25", "T": now_ms, "m": False}
    return json.dumps({"stream": "btcusd@trade", "data": data})


async def good(socket: ServerConnection) -> None:
    """Go on without end."""
    for number in range(10, 1_000_000):
        await socket.send(trade(number))
        await asyncio.sleep(0.05)


class Unruly:
    """An exchange whose first connection goes wrong when it is told to, and whose next goes on without end."""

    def __init__(self) -> None:
        self._exchange = Exchange(self._bad, good)
        self._wrong, self._end = asyncio.Event(), asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), daemon=True)

    @property
    def url(self) -> str:
        return self._exchange.url

    def go_wrong(self) -> None:
        """Skip, repeat and garble, and break off."""
        self._loop.call_soon_threadsafe(self._wrong.set)

    async def _bad(self, socket: ServerConnection) -> None:
        await socket.send(trade(1))
        await self._wrong.wait()
        # What comes again has the time that it had.
        twice = trade(2)
        for message in (twice, trade(9), twice, "{"):
            await socket.send(message)
        # Scrapes are to see how it was before, and after each.
        await asyncio.sleep(1)
        await breaks(socket)

    async def _run(self) -> None:
        async with self._exchange.open():
            self._opened.set()
            await self._end.wait()

    def __enter__(self) -> "Unruly":
        self._thread.start()
        assert self._opened.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._loop.close()
