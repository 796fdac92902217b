"""From bytes to records: block in, records and rejects out. The one place that knows how a record is written."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import compress
from typing import Any

import msgspec
import numpy as np

from schemas.heartbeat import Heartbeat, from_headers
from schemas.trade import EARLIEST_MS, LATEST_MS
from stream.engine.block import Block, Bools, Ints
from stream.engine.table import Columns


@dataclass(slots=True, frozen=True)
class Decoded:
    """What a block held.

    Attributes
    ----------
    records
        The records that could be read, in offset order.
    at
        Their places in the block, shape (n,).
    id, time_ms, received_ms
        The columns that the engine needs, shape (n,).
    columns
        Those that the aggregate lifts, shape (n,).
    rejects
        (place, reason) of those that could not be read.
    heartbeats
        (place, heartbeat).
    """

    records: list[Any]
    at: Ints
    id: Ints
    time_ms: Ints
    received_ms: Ints
    columns: Columns
    rejects: list[tuple[int, str]]
    heartbeats: list[tuple[int, Heartbeat]]

    def __len__(self) -> int:
        return len(self.records)

    def where(self, mask: Bools) -> "Decoded":
        """Return the records that a mask of shape (n,) keeps."""
        return Decoded(
            list(compress(self.records, mask.tolist())),
            self.at[mask],
            self.id[mask],
            self.time_ms[mask],
            self.received_ms[mask],
            {name: column[mask] for name, column in self.columns.items()},
            self.rejects,
            self.heartbeats,
        )


class Decoder:
    """Reads the JSON of one Struct; what is wrong with a record is said in one line, and costs no other record.

    Parameters
    ----------
    record
        The Struct.
    columns
        Makes the aggregate's columns from records, shape (n,) each.
    """

    def __init__(self, record: type[Any], columns: Callable[[list[Any]], Columns]) -> None:
        self._decode = msgspec.json.Decoder(record).decode
        self._columns = columns

    def decode(self, block: Block) -> Decoded:
        rejects: list[tuple[int, str]] = []
        heartbeats: list[tuple[int, Heartbeat]] = []
        values: list[Any] = block.values
        at = np.arange(len(values))
        if block.headers:
            for place, headers in block.headers.items():
                found = _heartbeat(headers)
                if isinstance(found, str):
                    rejects.append((place, found))
                else:
                    heartbeats.append((place, found))
            at = np.delete(at, list(block.headers))
            values = [value for value in values if value is not None]
        try:
            records = list(map(self._decode, values))
            columns = self._columns(records)
        except Exception:
            records, at = self._one_by_one(values, at, rejects)
            columns = self._columns(records)
        n = len(records)
        return Decoded(
            records,
            at,
            np.fromiter([record.id for record in records], np.int64, n),
            np.fromiter([record.time_ms for record in records], np.int64, n),
            np.fromiter([record.received_ms for record in records], np.int64, n),
            columns,
            rejects,
            heartbeats,
        )

    def _one_by_one(self, values: list[bytes], at: Ints, rejects: list[tuple[int, str]]) -> tuple[list[Any], Ints]:
        records, kept = [], []
        for place, value in zip(at.tolist(), values, strict=True):
            try:
                record = self._decode(value)
                self._columns([record])
            except msgspec.ValidationError as error:
                rejects.append((place, f"another shape: {error}"))
            except (msgspec.DecodeError, RecursionError) as error:
                rejects.append((place, f"not JSON: {error}"))
            except Exception as error:
                rejects.append((place, f"the agent failed on it: {error!r}"))
            else:
                records.append(record)
                kept.append(place)
        return records, np.array(kept, np.int64)


def _heartbeat(headers: tuple[tuple[str, bytes], ...]) -> Heartbeat | str:
    """Return what a null record says, or what is wrong with it."""
    try:
        heartbeat = from_headers(headers)
    except msgspec.MsgspecError as error:
        return f"a heartbeat's header can't be read: {error}"
    if heartbeat is None:
        return "a null without a heartbeat's header"
    if not EARLIEST_MS <= heartbeat.time_ms <= LATEST_MS:
        return f"a heartbeat with an absurd time: {heartbeat.time_ms} ms"
    return heartbeat
