"""What the rows have to be, by Polars from the trades themselves, and how a contestant's rows compare."""

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple

import msgspec
import polars as pl
from confluent_kafka import Consumer, TopicPartition

from tickertape.schemas.trade import Trade

#: Prices and counts must be equal. Sums may be added in another order, so they may differ by so much of themselves.
TOLERANCE = 1e-9
#: So many of the last seconds may lack rows: nothing later says that they are over.
WITHHELD_SECONDS = 3
_CHUNK = 100_000
_COLUMNS = ("symbol", "time_ms", "price", "quantity", "side")


class Row(NamedTuple):
    """A bar of a symbol and second: prices, sums of quantities, and the number of trades."""

    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float
    buy_volume: float
    trades: int


#: A symbol, and the start of the second, ms.
Key = tuple[str, int]


class Checked(NamedTuple):
    """How a contestant's rows compare with those expected.

    Attributes
    ----------
    expected, right
        The numbers of rows that there must be, and of rows that are so.
    withheld
        The number of rows of the last seconds that are missing.
    faults
        The other rows that are missing, those that differ, and those that nobody expects, each as a sentence.
    """

    expected: int
    right: int
    withheld: int
    faults: list[str]


def truth(trades: Iterable[Trade]) -> dict[Key, Row]:
    """Return the rows of trades in the order of their event times."""
    frame = pl.concat(list(_frames(trades))).with_columns(start_ms=pl.col("time_ms") // 1000 * 1000)
    price, quantity = pl.col("price"), pl.col("quantity")
    bars = frame.group_by("symbol", "start_ms", maintain_order=True).agg(
        open=price.first(),
        high=price.max(),
        low=price.min(),
        close=price.last(),
        volume=quantity.sum(),
        vwap=(price * quantity).sum() / quantity.sum(),
        buy_volume=quantity.filter(pl.col("side") == "buy").sum(),
        trades=pl.len(),
    )
    return {(symbol, start_ms): Row(*rest) for symbol, start_ms, *rest in bars.iter_rows()}


def _frames(trades: Iterable[Trade]) -> Iterator[pl.DataFrame]:
    remaining = iter(trades)
    while chunk := list(islice(remaining, _CHUNK)):
        yield pl.DataFrame({name: [getattr(trade, name) for trade in chunk] for name in _COLUMNS})


def compare(expected: Mapping[Key, Row], found: Mapping[Key, Row]) -> Checked:
    last_ms = max((start_ms for _, start_ms in expected), default=0)
    right, withheld, faults = 0, 0, []
    for key, row in expected.items():
        other = found.get(key)
        if other is None:
            if key[1] > last_ms - WITHHELD_SECONDS * 1000:
                withheld += 1
            else:
                faults.append(f"{key} is missing")
        elif _equal(row, other):
            right += 1
        else:
            faults.append(f"{key} must be {row}, and is {other}")
    faults += [f"{key} is expected by nobody" for key in found.keys() - expected.keys()]
    return Checked(len(expected), right, withheld, faults)


def _equal(row: Row, other: Row) -> bool:
    exact = row[:4] == other[:4] and row.trades == other.trades
    return exact and all(math.isclose(a, b, rel_tol=TOLERANCE) for a, b in zip(row[4:7], other[4:7], strict=True))


class _Object(msgspec.Struct, gc=False):
    """A row as JSON; ours says what it is a bar of, and Pathway's whether it is taken back."""

    symbol: str
    start_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float
    buy_volume: float
    count: int
    source: str = "all"
    resolution: str = "1s"
    final: bool = True
    diff: int = 1


_object = msgspec.json.Decoder(_Object).decode
_list = msgspec.json.Decoder(tuple[float, float, float, float, float, float, float, int, int]).decode


def decode(key: bytes | None, value: bytes) -> tuple[Key, Row] | None:
    """Return a row of one second; None for other results.

    An array has the second at its end, and its symbol is the record's key.
    """
    if value.startswith(b"["):
        symbol, bar = (key or b"").decode().strip('"'), _list(value)
        return (symbol, bar[8] * 1000), Row(*bar[:8])
    row = _object(value)
    if (row.source, row.resolution) != ("all", "1s") or not row.final or row.diff < 0:
        return None
    prices, sums = (row.open, row.high, row.low, row.close), (row.volume, row.vwap, row.buy_volume)
    return (row.symbol, row.start_ms), Row(*prices, *sums, row.count)


def read(broker: str, topic: str) -> dict[Key, Row]:
    """Read the rows of a sink; the last of several with one key counts."""
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "check", "enable.auto.commit": False})
    found: dict[Key, Row] = {}
    for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
        if low == high:
            continue
        consumer.assign([TopicPartition(topic, partition, low)])
        # What a transaction leaves at the end is no record, so the position counts.
        while consumer.position([TopicPartition(topic, partition)])[0].offset < high:
            for message in consumer.consume(10_000, 1.0):
                value = message.value()
                one = decode(message.key(), value) if value else None
                if one is not None:
                    found[one[0]] = one[1]
    consumer.close()
    return found
