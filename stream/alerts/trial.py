"""``tickertape alerts test``: one message to each channel, with a picture where it takes one."""

import asyncio
from collections.abc import Sequence
from math import sin
from secrets import token_hex
from time import time

from tickertape.schemas.alert import Alert
from tickertape.stream.alerts.define.channel import Channel
from tickertape.stream.alerts.define.http import Http
from tickertape.stream.alerts.define.message import Message, NotSent, Refused
from tickertape.stream.alerts.prices import draw
from tickertape.stream.alerts.sender import SEND_SECONDS
from tickertape.stream.errors import name_and_text


async def tried(channels: Sequence[Channel]) -> list[tuple[Channel, str]]:
    """Send a test message to each channel, and return why it wasn't sent; empty if it was."""
    async with Http() as http:
        return [(channel, await _why(channel, http)) for channel in channels]


async def _why(channel: Channel, http: Http) -> str:
    end_ms = int(time()) * 1000
    alert = Alert(
        *("test", "TEST-USD", "all", "1s", end_ms - 1000, end_ms, "bars", "close", 101.0, 100.5, True, 1, False, "info")
    )
    prices = {end_ms - 1000 * n: 100 + sin(n / 9) for n in range(1, 120)}
    picture = draw(alert, prices) if channel.takes_pictures else b""
    try:
        # Each has an id of its own, or a channel that knows the id would answer without sending it.
        message = Message(f"test-{token_hex(6)}", "fired", [alert], "", picture)
        await asyncio.wait_for(channel.send(message, http), SEND_SECONDS)
    except (NotSent, Refused) as error:
        return channel.hide(str(error))
    except Exception as error:  # a plug-in may raise anything
        return channel.hide(name_and_text(error))
    return ""
