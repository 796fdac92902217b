"""Pictures: drawn from closes, and read from a real Kafka."""

import asyncio
from io import BytesIO

import msgspec
import pytest
from PIL import Image

from tests.alerts.made import START_MS, alert
from tickertape.schemas.topics import BARS
from tickertape.stream.alerts.prices import SIZE, Prices, draw
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin import topics
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka
from tickertape.stream.kafka.partition import partition_for

BLUE, RED = (41, 98, 255), (211, 47, 47)


def image(png: bytes) -> Image.Image:
    found = Image.open(BytesIO(png))
    assert (found.format, found.size) == ("PNG", SIZE)
    return found.convert("RGB")


def rows(picture: Image.Image, column: int, color: tuple[int, int, int]) -> list[int]:
    """Return the rows in which a column of pixels has a color."""
    return [row for row in range(SIZE[1]) if picture.getpixel((column, row)) == color]


def test_a_rising_price_rises_and_the_level_is_where_it_was() -> None:
    closes = {START_MS + 1000 * n: 100.0 + n for n in range(11)}
    picture = image(draw(alert(level=105.0), closes))
    left, middle, right = (rows(picture, column, BLUE) for column in (30, 286, 540))
    # The line goes up, so its row goes down, by the same amount in each half.
    assert min(left) > min(middle) > min(right)
    assert abs((min(left) - min(middle)) - (min(middle) - min(right))) <= 3
    # The middle of the price is the middle of the picture's inside, at row 40 + 248 / 2.
    (level,) = rows(picture, 100, RED)
    assert level == 164


def test_a_level_that_is_no_price_is_not_drawn() -> None:
    closes = {START_MS: 100.0, START_MS + 1000: 101.0}
    for other in (alert(level=500.0), alert(field="volume", level=100.5)):
        assert rows(image(draw(other, closes)), 100, RED) == []


def test_a_price_that_never_moves_is_a_line() -> None:
    picture = image(draw(alert(), {START_MS: 5.0, START_MS + 1000: 5.0}))
    assert 1 <= len(rows(picture, 286, BLUE)) <= 3


@pytest.mark.kafka
@pytest.mark.slow
def test_closes_are_the_symbols_newest_ones() -> None:
    symbol = alert().symbol

    async def read(settings: Settings) -> tuple[dict[int, float], bytes]:
        async with Producer(settings) as producer:
            for name, source, resolution, second, close, final, revision in (
                (symbol, "all", "1s", 0, 103.0, True, 2),
                (symbol, "all", "1s", 0, 90.0, False, 3),  # of a worker that was frozen
                (symbol, "all", "1s", -1, 102.0, False, 1),
                (symbol, "all", "1s", -1, 101.0, False, 2),
                (symbol, "all", "1s", 1, 120.0, True, 1),  # later than the signal
                (symbol, "all", "1s", -400, 1.0, True, 1),  # too long ago
                (symbol, "all", "1m", -60, 2.0, True, 1),
                (symbol, "north", "1s", -2, 3.0, True, 1),
                (symbol + "T", "all", "1s", -2, 4.0, True, 1),
            ):
                start_ms = START_MS + 1000 * second
                key = f"{name}|{source}|{resolution}|{start_ms}".encode()
                value = msgspec.json.encode({"close": close, "final": final, "revision": revision})
                producer.send(BARS.name, partition_for(symbol, BARS.partitions), key, value)
        prices = Prices(settings)
        return await prices._closes(alert()), await prices.picture(alert())

    with EmbeddedKafka() as embedded:
        settings = Settings(broker=embedded.broker)
        topics.create(settings)
        closes, picture = asyncio.run(read(settings))
        assert closes == {START_MS: 103.0, START_MS - 1000: 101.0}
        image(picture)
        assert asyncio.run(Prices(settings).picture(alert(symbol="NONE"))) == b""


def test_without_kafka_there_is_no_picture() -> None:
    assert asyncio.run(Prices(Settings(broker="127.0.0.1:9")).picture(alert())) == b""
