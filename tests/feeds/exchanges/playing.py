"""A source that hears a server of this machine, which speaks as its exchange does."""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

from websockets.asyncio.server import ServerConnection

from tests.feeds.exchange import Exchange, stays
from tickertape.schemas.events import Event
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.live.connection import Patience
from tickertape.stream.feeds.live.live import Live


def play(
    source_at: Callable[[str], Source],
    answers: Callable[[Any], Sequence[str]],
    messages: Sequence[str],
    *,
    requests: int,
    events: int,
) -> tuple[list[Any], list[str], list[Event]]:
    """Have a source hear a server, which answers some requests and then says some messages.

    Returns
    -------
    tuple
        The requests, the paths of the connections, and the events that came of the messages.
    """
    asked: list[Any] = []
    said = False

    async def script(socket: ServerConnection) -> None:
        nonlocal said
        while len(asked) < requests:
            request = await socket.recv()
            assert isinstance(request, str)
            if request.startswith("{"):
                asked.append(json.loads(request))
                for answer in answers(asked[-1]):
                    await socket.send(answer)
        if not said:
            said = True
            for message in messages:
                await socket.send(message)
        await stays(socket)

    async def scenario() -> tuple[list[Any], list[str], list[Event]]:
        exchange = Exchange(script)
        async with exchange.open():
            live = Live(source_at(f"ws://127.0.0.1:{exchange.port}"), Patience(), buffer_bytes=1 << 20)
            heard: list[Event] = []
            async with asyncio.timeout(10), aclosing(live.batches()) as batches:
                while len(heard) < events:
                    heard += await anext(batches)
            return asked, exchange.asked, heard

    return asyncio.run(scenario())
