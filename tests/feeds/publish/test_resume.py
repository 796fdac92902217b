"""Where a feed goes on is kept when all before it is acknowledged, and not before."""

import asyncio

import msgspec
import pytest

from tests.feeds.exchange import binance_at
from tickertape.schemas.control import Position
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.live.connection import Patience
from tickertape.stream.feeds.live.live import Live
from tickertape.stream.feeds.networks.bluesky_live import Bluesky
from tickertape.stream.feeds.publish import resume
from tickertape.stream.feeds.publish.resume import resumed


class Records:
    """Takes records, and acknowledges when it is told to."""

    def __init__(self) -> None:
        self.acknowledges = asyncio.Event()
        self.kept: list[int] = []

    def send(self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: object = ()) -> None:
        assert (topic, partition, key, headers) == ("control", 0, b"position|bluesky", ())
        self.kept.append(msgspec.json.decode(value or b"", type=Position).at)

    async def flush(self) -> None:
        await self.acknowledges.wait()

    async def room(self) -> None: ...

    async def partitions(self, topic: str) -> int:
        raise AssertionError(topic)


class Positions:
    def position(self, source: str) -> int:
        assert source == "bluesky"
        return 77


def live(source: Source) -> Live:
    return Live(source, Patience(), buffer_bytes=1 << 20)


def test_a_position_is_kept_once_all_before_it_is_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "KEEP_SECONDS", 0.02)

    async def scenario() -> list[int]:
        records, bluesky = Records(), live(Bluesky("ws://x"))
        async with resumed(bluesky, records, Positions()):
            assert bluesky.position == 77
            bluesky.handed_over = 100
            await asyncio.sleep(0.05)
            # Handed over since, but it isn't known whether what is on the way has it.
            bluesky.handed_over = 200
            assert records.kept == []
            records.acknowledges.set()
            await asyncio.sleep(0.01)
            assert records.kept == [100]
            await asyncio.sleep(0.05)
            bluesky.handed_over = 300
        return records.kept

    kept = asyncio.run(scenario())
    assert kept[-1] == 300
    assert kept == sorted(kept)
    assert 200 in kept


def test_where_it_fails_nothing_is_kept() -> None:
    async def scenario() -> None:
        async with resumed(bluesky, records, Positions()):
            bluesky.handed_over = 100
            raise OSError("gone")

    records, bluesky = Records(), live(Bluesky("ws://x"))
    with pytest.raises(OSError, match="gone"):
        asyncio.run(scenario())
    assert records.kept == []


def test_a_source_that_cannot_resume_leaves_nothing() -> None:
    async def scenario() -> list[int]:
        records = Records()
        async with resumed(live(binance_at("ws://x", ["BTCUSDT"])), records, Positions()):
            pass
        return records.kept

    assert asyncio.run(scenario()) == []
