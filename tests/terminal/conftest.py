"""A broker whose topics hold one of each kind of record."""

import asyncio
from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from tickertape.schemas.bundle import to_headers as to_bundle_headers
from tickertape.schemas.frame import Frame, Lane, Tallies, to_records
from tickertape.schemas.heartbeat import Heartbeat, to_headers
from tickertape.schemas.quote import Quote
from tickertape.schemas.refused import DeadLetter, Late
from tickertape.schemas.snapshot import Piece
from tickertape.schemas.trade import Trade
from tickertape.stream.bundles.packing import pack
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin.topics import create
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka

T0 = 1_700_000_000_000


def trade(symbol: str, number: int) -> Trade:
    return Trade(symbol=symbol, source="x", id=number, time_ms=T0 + number, price=60_000.5, quantity=0.25, side="buy")


def quote(symbol: str, number: int) -> Quote:
    sides = {"bid": 60_000.5, "bid_quantity": 0.25, "ask": 60_000.75, "ask_quantity": 1.5}
    return Quote(symbol=symbol, source="x", id=number, time_ms=T0 + number, **sides)


def bar(symbol: str, start_ms: int, *, final: bool) -> dict[str, object]:
    prices = {"open": 1.5, "high": 2.0, "low": 1.0, "close": 1.75}
    identity = {"symbol": symbol, "source": "x", "resolution": "1s", "start_ms": start_ms}
    return identity | prices | {"volume": 3.5, "count": 7, "final": final, "revision": 7}


def frame() -> Frame:
    columns = {
        "source": np.array([0, 0], "<u4"),
        "symbol": np.array([0, 1], "<u4"),
        "slice_ms": np.array([T0, T0], "<i8"),
        "count": np.array([3, 4], "<i8"),
        "volume": np.array([0.5, 1.5], "<f8"),
    }
    return Frame(
        topic="trades",
        partition=2,
        epoch="1000-5000",
        upto=42,
        partitions=4,
        idle=False,
        incomplete=None,
        lanes=[Lane("x", T0 + 3000, T0 + 1000)],
        tallies=Tallies(counted=40, heartbeats=2),
        sources=["x"],
        symbols=["BTC-USD", "ETH-USD"],
        columns={name: column.tobytes() for name, column in columns.items()},
    )


async def _fill(broker: str) -> None:
    json = msgspec.json.encode
    late = Late(
        topic="trades",
        partition=1,
        offset=5,
        source="x",
        symbol="BTC-USD",
        time_ms=T0,
        frontier_ms=T0 + 2000,
        late_by_ms=1000,
        value="{}",
        size_bytes=2,
    )
    letter = DeadLetter(
        topic="trades", partition=1, offset=6, reason="not JSON", value=b"\xffgarbage\n" + b"x" * 200, size_bytes=209
    )
    async with Producer(Connection(broker)) as producer:
        for number in range(3):
            producer.send("trades", 0, b"BTC-USD", json(trade("BTC-USD", number)))
        producer.send("trades", 0, None, None, to_headers(Heartbeat("x", T0)))
        producer.send("trades", 1, b"ETH-USD", json(trade("ETH-USD", 9)))
        producer.send("trades", 2, b"?", b"\xff not JSON")
        quotes = [quote("BTC-USD", 1), quote("ETH-USD", 2), quote("BTC-USD", 3)]
        producer.send("quotes", 0, None, pack(quotes), to_bundle_headers(3))
        producer.send("quotes", 0, None, pack(quotes), to_bundle_headers(4))
        for start_ms, final in ((T0, True), (T0 + 1000, False)):
            producer.send("bars", 0, b"", json(bar("BTC-USD", start_ms, final=final)))
        producer.send("bars", 1, b"", json(bar("ETH-USD", T0, final=True)))
        both = frame(), replace(frame(), partition=3, upto=7, sources=[], symbols=[], columns={})
        for record in to_records([msgspec.msgpack.encode(one) for one in both]):
            producer.send("slices", 3, b"trades", record)
        producer.send("late", 0, b"", json(late))
        producer.send("dead-letters", 0, b"", json(letter))
        piece = Piece("pipeline", 3, "log", 42, "w", "f", 0, 0, 1, b"\xffstate")
        producer.send("window-state", 3, b"", msgspec.msgpack.encode(piece))


@pytest.fixture(scope="session")
def filled() -> Iterator[str]:
    """The broker's address."""
    with EmbeddedKafka() as kafka:
        create(Settings(kafka.broker))
        asyncio.run(_fill(kafka.broker))
        yield kafka.broker
