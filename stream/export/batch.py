"""What is written at once: of each result that was read, its newest record."""

import logging
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

import msgspec
from aiokafka.structs import TopicPartition
from msgspec import MsgspecError, Struct

from tickertape.stream.engine.core.block import Block
from tickertape.stream.export.define.table import Row, Table
from tickertape.stream.export.tables import KIND, kind_of
from tickertape.stream.recent.sinks import Sink
from tickertape.stream.telemetry import metrics

log = logging.getLogger(__name__)

_MOST_INTEGER = 1 << 63
# A text in a database can't have it everywhere; this is its picture.
_NUL, _INSTEAD = "\0", "\N{SYMBOL FOR NULL}"


class Copied(Struct, frozen=True):
    """A topic whose results are copied.

    Attributes
    ----------
    sink
        How its records are read.
    table
        Where they go.
    rows
        By kind: makes the row of a record's JSON.
    """

    sink: Sink
    table: Table
    rows: dict[str, Callable[[bytes], Row]]


def copied(sink: Sink, table: Table) -> Copied:
    """Return how a sink's results become rows of a table."""
    return Copied(sink, table, {name: _row_maker(sink, table, name) for name in sink.kinds})


class Batch:
    """Collects records until they are written. It holds at most one record of each result.

    Parameters
    ----------
    topics
        What is copied, by topic.
    finals
        True to leave out what isn't final.
    most_rows, most_bytes
        It is full with so many results, or bytes of their JSON.

    Attributes
    ----------
    position
        By partition: the offset after the last record that was added.
    read
        The number of offsets that were added.
    """

    def __init__(self, topics: dict[str, Copied], *, finals: bool, most_rows: int, most_bytes: int = 32 << 20) -> None:
        self._topics = topics
        self._finals = finals
        self._most_rows, self._most_bytes = most_rows, most_bytes
        self._newest: dict[str, dict[tuple[Any, ...], tuple[tuple[bool, int], bytes]]] = {}
        self._count, self._size_bytes = 0, 0
        self.position: dict[TopicPartition, int] = {}
        self.read = 0

    def __len__(self) -> int:
        return self._count

    @property
    def is_full(self) -> bool:
        return self._count >= self._most_rows or self._size_bytes >= self._most_bytes

    def add(self, block: Block) -> None:
        """Add a block's records, and drop those that a newer one replaces."""
        sink = self._topics[block.topic].sink
        newest = self._newest.setdefault(block.topic, {})
        unreadable, superseded, left_out = 0, 0, 0
        for value in block.values:
            try:
                head = sink.head(value)
            except (MsgspecError, UnicodeDecodeError, TypeError):
                unreadable += 1
                continue
            if sink.width_ms(head.kind, head.resolution) is None:
                unreadable += 1
            elif self._finals and not head.final:
                left_out += 1
            else:
                key = head.symbol, head.source, head.resolution, head.kind, head.start_ms
                rank = head.final, head.revision
                known = newest.get(key)
                if known is None:
                    self._count += 1
                else:
                    superseded += 1
                    if rank <= known[0]:
                        continue
                    self._size_bytes -= len(known[1])
                assert value is not None
                newest[key] = rank, value
                self._size_bytes += len(value)
        self.read += block.end - block.start
        self.position[TopicPartition(block.topic, block.partition)] = block.end
        for outcome, count in (("unreadable", unreadable), ("superseded", superseded), ("not final", left_out)):
            metrics.EXPORT_RECORDS.labels(block.topic, outcome).inc(count)
        if unreadable:
            log.warning(
                "%s, partition %d, offsets %d to %d: %d records are no results of this topic, and are left out",
                block.topic,
                block.partition,
                block.start,
                block.end - 1,
                unreadable,
            )

    def tables(self) -> Iterator[tuple[str, Table, list[Row]]]:
        """Yield topics, their tables, and the rows for them. What isn't a valid result is left out, and counted."""
        for topic, newest in self._newest.items():
            of = self._topics[topic]
            rows, unreadable = [], 0
            for key, (_, value) in newest.items():
                make = of.rows.get(key[3]) or next(iter(of.rows.values()))
                try:
                    rows.append(make(value))
                except (MsgspecError, UnicodeDecodeError, OverflowError):
                    unreadable += 1
            if unreadable:
                metrics.EXPORT_RECORDS.labels(topic, "unreadable").inc(unreadable)
                log.warning("%s: %d records are no valid results, and are left out", topic, unreadable)
            if rows:
                yield topic, of.table, rows


def _row_maker(sink: Sink, table: Table, name: str) -> Callable[[bytes], Row]:
    """Return a function that makes a row of a record's JSON."""
    kind = kind_of(sink, name)
    assert kind is not None
    result = kind.output.result
    attributes = dict(zip((field.name for field in kind.fields), result.__struct_fields__, strict=True))
    takes: list[Callable[[Struct], Any]] = []
    for column in table.columns:
        if column.name == KIND and KIND not in attributes:
            takes.append(lambda _, kind=name: kind)  # type: ignore[misc]  # a default is how a lambda keeps it
        elif column.name not in attributes:
            takes.append(lambda _: None)
        else:
            takes.append(_taking(attrgetter(attributes[column.name]), column.type))
    decode = msgspec.json.Decoder(result).decode

    def row(value: bytes) -> Row:
        of = decode(value)
        return tuple([take(of) for take in takes])

    return row


def _taking(get: Callable[[Any], Any], type_: str) -> Callable[[Struct], Any]:
    def text(of: Struct) -> Any:
        value = get(of)
        return value if value is None or _NUL not in value else value.replace(_NUL, _INSTEAD)

    def integer(of: Struct) -> Any:
        value = get(of)
        if value is not None and not -_MOST_INTEGER < value < _MOST_INTEGER:
            raise OverflowError
        return value

    def list_(of: Struct) -> Any:
        value = get(of)
        return None if value is None else msgspec.json.encode(_without_nul(value)).decode()

    def number(of: Struct) -> Any:
        value = get(of)
        return value if value is None else float(value)

    return {"text": text, "integer": integer, "list": list_, "number": number}.get(type_, get)


def _without_nul(value: Any) -> Any:
    match value:
        case str():
            return value.replace(_NUL, _INSTEAD)
        case list() | tuple():
            return [_without_nul(one) for one in value]
        case _:
            return value
