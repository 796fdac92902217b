"""The server of Lemon, the exchange that `markets/lemon.py` reads, and processes that run feeds."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection

MARKETS = Path(__file__).parent / "markets"


class Lemons:
    """A script: trades of each pair that is asked for, from 1 on, without those left out. A later connection goes on.

    Parameters
    ----------
    left_out
        Numbers that no connection brings; the history has them.
    refused
        Pairs that it refuses.
    mute
        Pairs that it confirms, and says nothing of.
    quiet_after
        By pair: the last number that it brings.
    behind_ms
        How long ago trades happened.
    """

    def __init__(
        self,
        left_out: Collection[int] = (),
        *,
        refused: Collection[str] = (),
        mute: Collection[str] = (),
        quiet_after: Mapping[str, int] | None = None,
        behind_ms: int = 0,
    ) -> None:
        self._left_out = left_out
        self._refused = refused
        self._mute = mute
        self._quiet_after = quiet_after or {}
        self._behind_ms = behind_ms
        self._number = 0
        self._at_ms: dict[int, int] = {}

    async def __call__(self, socket: ServerConnection) -> None:
        pairs = json.loads(await socket.recv())["ask"]
        for pair in pairs:
            no = {"said": "no", "pair": pair, "why": f"{pair} isn't traded"}
            await socket.send(json.dumps(no if pair in self._refused else {"said": "yes", "pair": pair}))
        while True:
            self._number += 1
            number = self._number
            for pair in set(pairs) - {*self._refused, *self._mute}:
                trade = self.trade(number, pair)
                if number not in self._left_out and number <= self._quiet_after.get(pair, number):
                    await socket.send(json.dumps(trade))
            await self.more(socket, number)
            await socket.send('{"said": "heartbeat"}')
            await asyncio.sleep(0.02)

    async def more(self, socket: ServerConnection, number: int) -> None:
        """Say more after a number."""

    def history(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer with ten trades from a number on."""
        parts = urlsplit(handler.path)
        first, pair = int(parse_qs(parts.query)["from"][0]), parts.path.rpartition("/")[2]
        body = json.dumps([self.trade(n, pair) for n in range(first, first + 10) if n in self._at_ms]).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def trade(self, number: int, pair: str) -> dict[str, object]:
        """Return a trade."""
        # What comes again has the time that it had.
        at_ms = self._at_ms.setdefault(number, int(time.time() * 1000) - self._behind_ms)
        return {"pair": pair, "n": number, "at": at_ms, "p": 100.5, "q": 0.25, "by": "buyer"}


@asynccontextmanager
async def feeds(*words: object, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run ``tickertape feed`` with Lemon among the feeds. The process is gone afterwards."""
    command = [sys.executable, "-m", "tickertape", "--agents", str(MARKETS), "feed", *map(str, words)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, env=os.environ | environ, stdout=pipe, stderr=pipe)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def said(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    """Return its exit code and what it said, once it has ended."""
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()
