"""Print a topic's records as they arrive, as one JSON object per line or in aligned columns."""

from collections.abc import Callable
from typing import Any, TextIO

import msgspec
import numpy as np
from aiokafka.structs import ConsumerRecord
from msgspec import structs

from tickertape.schemas import heartbeat
from tickertape.schemas.frame import Frame, frames_in
from tickertape.schemas.snapshot import Piece
from tickertape.schemas.topics import SLICES, WINDOW_STATE
from tickertape.stream.bundles.unpacking import Unpacked, header_of
from tickertape.stream.errors import ConfigError
from tickertape.stream.kafka.clients.reader import Reader
from tickertape.stream.terminal.columns import Columns, Record
from tickertape.stream.terminal.shown import shown

# Returns the type of each column of the slices of a topic.
ColumnTypes = Callable[[str], dict[str, "np.dtype[Any]"]]

_json = msgspec.json.Encoder().encode
_decode_json = msgspec.json.Decoder().decode
_decode_piece = msgspec.msgpack.Decoder(Piece).decode


async def tail(
    reader: Reader,
    topic: str,
    out: TextIO,
    *,
    as_json: bool,
    symbol: str | None,
    finals: bool,
    until_caught_up: bool,
    column_types: ColumnTypes,
    raw: bool = False,
) -> None:
    """Print a topic's records.

    Parameters
    ----------
    reader
        A started reader of that topic.
    topic
        The topic's name.
    out
        The stream to print to.
    as_json
        True for one JSON object per line with all of a record; False for the columns in `SHOWN`.
    symbol
        The symbol whose records are printed. None: all.
    finals
        True to print only final results.
    until_caught_up
        True to return once everything that the topic held at the start has been printed.
    column_types
        Returns the type of each column of the slices of a topic.
    raw
        True to print invisible characters as they are. A terminal may obey them.

    Raises
    ------
    ConfigError
        `symbol` or `finals` was given, but the topic's records have no symbol or are never final.
    """
    ends = await reader.ends() if until_caught_up else {}
    columns = Columns(topic)
    while True:
        lines: list[str] = []
        for consumed in await reader.read():
            for record in decode(consumed, column_types):
                if passes(topic, record, symbol=symbol, finals=finals):
                    record = only_symbol(record, symbol)
                    formatted = [to_json(record)] if as_json else columns.lines(record)
                    lines += formatted if raw else map(shown, formatted)
        if lines:
            out.write("\n".join(lines) + "\n")
            out.flush()
        if until_caught_up and await reader.has_read(ends):
            return


def decode(record: ConsumerRecord, column_types: ColumnTypes) -> list[Record]:
    """Decode a record of any content. Only one of frames, and a bundle, may hold more than one thing to show.

    Parameters
    ----------
    record
        The record as read from Kafka.
    column_types
        See `tail`.
    """
    try:
        if record.value is None:
            beat = heartbeat.from_headers(record.headers)
            if beat is not None:
                return [Record("heartbeat", msgspec.to_builtins(beat))]
        elif record.topic == SLICES.name:
            return [Record("frame", _frame(frame, column_types)) for frame in frames_in(record.value)]
        elif record.topic == WINDOW_STATE.name:
            piece = structs.asdict(_decode_piece(record.value))
            return [Record("result", piece | {"data": f"{len(piece['data'])} bytes"})]
        elif (header := header_of(record.headers)) is not None:
            bundle = Unpacked(record.value, header.events)
            return [Record("result", _decode_json(event)) for event in bundle.texts]
        elif isinstance(value := _decode_json(record.value), dict):
            # A record that is nested too deep to be encoded again fails here, and is shown raw.
            _json(value)
            return [Record("result", value)]
    except (msgspec.MsgspecError, ValueError, LookupError, RecursionError):
        pass
    raw = None if record.value is None else record.value.decode(errors="backslashreplace")
    place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    return [Record("other", {"raw": raw} | place)]


def _frame(frame: Frame, column_types: ColumnTypes) -> dict[str, Any]:
    dtypes: dict[str, np.dtype[Any]] = {name: np.dtype("u4") for name in ("source", "symbol")}
    dtypes |= {"slice_ms": np.dtype("i8")} | column_types(frame.topic)
    columns: dict[str, list[Any]] = {"slice_ms": [], "source": [], "symbol": []}
    columns |= {
        name: np.frombuffer(data, dtypes[name].newbyteorder("<")).tolist()
        for name, data in frame.columns.items()
        if name in dtypes
    }
    for name, names in (("source", frame.sources), ("symbol", frame.symbols)):
        columns[name] = [names[index] for index in columns[name]]
    fields = structs.asdict(frame)
    for name, sketches in fields.pop("sketches").items():
        columns[name] = [f"{len(sketch)} bytes" for sketch in sketches]
    return {
        **fields,
        "lanes": [structs.asdict(lane) for lane in frame.lanes],
        "tallies": structs.asdict(frame.tallies),
        "columns": columns,
    }


def passes(topic: str, record: Record, *, symbol: str | None, finals: bool) -> bool:
    """Return whether a record passes the filters.

    Raises
    ------
    ConfigError
        The topic's records lack the field that a filter needs.
    """
    fields = record.fields
    if record.kind in ("heartbeat", "other"):
        return symbol is None and not finals
    if finals:
        if "final" not in fields:
            raise ConfigError(f"{topic}: its records are neither open nor final: omit --finals")
        if not fields["final"]:
            return False
    if symbol is None:
        return True
    if record.kind == "frame":
        return symbol in fields["symbols"]
    if "symbol" not in fields:
        raise ConfigError(f"{topic}: its records have no symbol: omit --symbol")
    return bool(fields["symbol"] == symbol)


def only_symbol(record: Record, symbol: str | None) -> Record:
    """Return a frame with the rows of one symbol only; any other record as it is."""
    if symbol is None or record.kind != "frame":
        return record
    fields = record.fields
    rows = [row for row, name in enumerate(fields["columns"]["symbol"]) if name == symbol]
    columns = {name: [values[row] for row in rows] for name, values in fields["columns"].items()}
    return Record("frame", fields | {"symbols": [symbol], "columns": columns})


def to_json(record: Record) -> str:
    """Return a record as an object on one line."""
    fields = {"heartbeat": record.fields} if record.kind == "heartbeat" else record.fields
    return _json(fields).decode()
