"""Pictures of a symbol's recent price: the closes of its bars, read from the topic and drawn as a PNG."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from io import BytesIO

import msgspec
from aiokafka.structs import TopicPartition
from msgspec import Struct
from PIL import Image, ImageDraw, ImageFont

from tickertape.schemas.alert import Alert
from tickertape.schemas.topics import BARS
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import name_and_text
from tickertape.stream.kafka.clients.reader import Reader
from tickertape.stream.kafka.partition import partition_for

log = logging.getLogger(__name__)

# The picture shows so much of the time before the end of the signal's window.
PAST_MS = 300_000
# A message doesn't wait longer for its picture. Then it goes without.
READ_SECONDS = 5.0
RESOLUTION = "1s"
SIZE = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 16, 84, 40, 32
_WHITE, _GREY, _BLUE, _RED = "#ffffff", "#8a8f98", "#2962ff", "#d32f2f"


class _Bar(Struct):
    close: float
    final: bool
    revision: int

    @property
    def rank(self) -> tuple[bool, int]:
        return self.final, self.revision


_decode = msgspec.json.Decoder(_Bar).decode


class Prices:
    """Makes pictures.

    Parameters
    ----------
    settings
        The connection settings.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def picture(self, alert: Alert) -> bytes:
        """Return a PNG of the symbol's price up to an alert; empty if there is no price, or none in time."""
        try:
            async with asyncio.timeout(READ_SECONDS):
                closes = await self._closes(alert)
        except Exception as error:  # an alert without a picture is better than none
            log.warning("no picture of %s: %s", alert.symbol, name_and_text(error))
            return b""
        return await asyncio.to_thread(draw, alert, closes) if len(closes) > 1 else b""

    async def _closes(self, alert: Alert) -> dict[int, float]:
        """Return the closes by the start of their bars, from the partition of the symbol alone."""
        prefix = f"{alert.symbol}|all|{RESOLUTION}|".encode()
        found: dict[int, _Bar] = {}
        async with Reader(self._settings, [BARS.name], from_beginning=False) as reader:
            ends = await reader.ends()
            mine = TopicPartition(BARS.name, partition_for(alert.symbol, len(ends)))
            since_ms = alert.end_ms - PAST_MS
            await reader.skip({mine: (await reader.offsets_at(since_ms - self._settings.skew_ms))[mine]})
            while not await reader.has_read({mine: ends[mine]}):
                for record in await reader.read():
                    key = record.key or b""
                    if key.startswith(prefix) and key[len(prefix) :].isdigit():
                        start_ms, bar = int(key[len(prefix) :]), _decode(record.value)
                        known = found.get(start_ms)
                        if since_ms <= start_ms < alert.end_ms and (known is None or bar.rank > known.rank):
                            found[start_ms] = bar
        return {start_ms: bar.close for start_ms, bar in found.items()}


def draw(alert: Alert, closes: Mapping[int, float]) -> bytes:
    """Return a PNG of prices as a line, with the level of the alert if it is among them.

    Parameters
    ----------
    alert
        The alert.
    closes
        The price by time, ms since 1970 UTC; two or more.
    """
    times = sorted(closes)
    prices = [closes[at] for at in times]
    low, high = min(prices), max(prices)
    margin = (high - low) * 0.05 or abs(high) * 0.001 or 1.0
    low, high = low - margin, high + margin
    wide, tall = SIZE[0] - _LEFT - _RIGHT, SIZE[1] - _TOP - _BOTTOM

    def x(at: int) -> float:
        return _LEFT + wide * (at - times[0]) / (times[-1] - times[0])

    def y(price: float) -> float:
        return _TOP + tall * (high - price) / (high - low)

    image = Image.new("RGB", SIZE, _WHITE)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    for price in (low + margin, high - margin):
        pen.line([(_LEFT, y(price)), (SIZE[0] - _RIGHT, y(price))], fill="#e3e6ea")
        pen.text((SIZE[0] - _RIGHT + 6, y(price)), f"{price:.7g}", _GREY, font, anchor="lm")
    if alert.field == "close" and low <= alert.level <= high:
        pen.line([(_LEFT, y(alert.level)), (SIZE[0] - _RIGHT, y(alert.level))], fill=_RED)
    pen.line([(x(at), y(closes[at])) for at in times], fill=_BLUE, width=2, joint="curve")
    pen.text((_LEFT, 12), f"{alert.symbol}  {prices[-1]:.7g}", "#1b1f24", ImageFont.load_default(18))
    for at, anchor in ((times[0], "ls"), (times[-1], "rs")):
        pen.text((x(at), SIZE[1] - 10), f"{datetime.fromtimestamp(at / 1000, UTC):%H:%M:%S} UTC", _GREY, font, anchor)
    out = BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()
