"""Files of Databento, in its binary encoding DBN (versions 1 to 3): trades, and quotes of the schema ``mbp-1``."""

import struct
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from tickertape.schemas.events import Event
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.errors import InputError
from tickertape.stream.feeds.define.format import Format
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.units import convert
from tickertape.stream.feeds.files.archive import pieces

MOST_HEADER_BYTES = 64 << 20
_START = struct.Struct("<3sBI")
# Dataset, schema, start, end, limit; what follows up to the lists has 58 bytes in all versions.
_FIXED = struct.Struct("<16sHQQQ")
_FIXED_BYTES, _SYMBOL_BYTES_V1 = 100, 22
_COUNT, _DATES, _WIDTH = struct.Struct("<I"), struct.Struct("<II"), struct.Struct("<H")
# Length in words, kind, publisher, instrument, event time; price, size, action, side, flags, depth, receipt, delay,
# sequence.
_MESSAGE = struct.Struct("<BBHIQqIccBBQiI")
# Best bid and ask, and their sizes.
_LEVEL = struct.Struct("<qqII")
_TRADE, _BOOK = 0, 1
_TBBO = 3
_IS_LAST = 0x80
_NO_PRICE = 2**63 - 1
_SCALE = 10**9
_SIDES = {b"A": "sell", b"B": "buy"}


class _Header:
    """What a file says before its records: the dataset, and the symbol of each instrument at each time."""

    def __init__(self, version: int, data: bytes) -> None:
        dataset, self.schema, *_ = _FIXED.unpack_from(data)
        self.source = _text(dataset).lower()
        self._data = data
        self._width = _SYMBOL_BYTES_V1 if version == 1 else _WIDTH.unpack_from(data, 45)[0]
        self._at = _FIXED_BYTES
        # A definition of the schema, which is empty so far, and three lists of symbols.
        for width in (1, self._width, self._width, self._width):
            count = self._count()
            self._at += width * count
        self._symbols: dict[int, list[tuple[int, int, str]]] = defaultdict(list)
        for _ in range(self._count()):
            self._mapping()

    def _count(self) -> int:
        (count,) = _COUNT.unpack_from(self._data, self._at)
        self._at += _COUNT.size
        return int(count)

    def _name(self) -> str:
        name = _text(self._data[self._at : self._at + self._width])
        self._at += self._width
        return name

    def _mapping(self) -> None:
        asked = self._name()
        for _ in range(self._count()):
            first, last = map(_ns_of, _DATES.unpack_from(self._data, self._at))
            self._at += _DATES.size
            given = self._name()
            # Either may be the instrument's number.
            for number, symbol in ((given, asked), (asked, given)):
                if number.isascii() and number.isdigit() and symbol:
                    self._symbols[int(number)].append((first, last, symbol))
                    break

    def symbol(self, instrument: int, time_ns: int) -> str:
        """Return the symbol of an instrument's number, which belongs to another instrument on another day."""
        for first, last, symbol in self._symbols.get(instrument, ()):
            if first <= time_ns < last:
                return symbol
        raise ValueError(f"no symbol is known of the instrument {instrument} at that time")


class _Reader:
    """Makes events of a file's records."""

    def __init__(self, header: _Header) -> None:
        self._header = header
        # By instrument: the time and sequence of its last trade, and how many trades had both before; its last quote.
        self._trades: dict[int, tuple[int, int, int]] = {}
        self._quotes: dict[int, int] = {}

    def events(self, record: bytes) -> Iterator[Event | Other]:
        kind = record[1]
        if kind not in (_TRADE, _BOOK) or len(record) < _MESSAGE.size + _LEVEL.size * kind:
            yield Other(f"record {kind}")
            return
        message = _MESSAGE.unpack_from(record)
        action, flags = message[7], message[9]
        if action == b"T":
            yield self._trade(message)
        # Only the last record of several leaves a book that is whole. Those of `tbbo` have the book before the trade.
        if kind == _BOOK and flags & _IS_LAST and self._header.schema != _TBBO:
            yield self._quote(message, _LEVEL.unpack_from(record, _MESSAGE.size))
        elif action != b"T":
            yield Other("part of an event")

    def _common(self, message: tuple[Any, ...]) -> dict[str, Any]:
        _, _, _, instrument, time_ns, *_ = message
        received_ns = message[11]
        return {
            "symbol": self._header.symbol(instrument, time_ns),
            "source": self._header.source,
            "time_ms": time_ns // 1_000_000,
            "received_ms": received_ns // 1_000_000,
        }

    def _trade(self, message: tuple[Any, ...]) -> Trade:
        _, _, _, instrument, time_ns, price, size, _, side, _, _, _, _, sequence = message
        before_ns, before, n = self._trades.get(instrument, (0, 0, 0))
        n = n + 1 if (before_ns, before) == (time_ns, sequence) else 0
        self._trades[instrument] = time_ns, sequence, n
        # A trade has no id: time, sequence and a count make one.
        own = {"id": f"{time_ns}-{sequence}-{n}", "sequence": sequence, "side": _SIDES.get(side)}
        numbers = {"price": price / _SCALE, "quantity": float(size)}
        return convert(self._common(message) | own | numbers, Trade)

    def _quote(self, message: tuple[Any, ...], level: tuple[int, int, int, int]) -> Quote | Other:
        bid, ask, bids, asks = level
        if _NO_PRICE in (bid, ask) or not (bids and asks):
            return Other("empty book")
        instrument, received_ns = message[3], message[11]
        # The time of receipt counts up, and is made to where it doesn't.
        number = self._quotes[instrument] = max(received_ns, self._quotes.get(instrument, 0) + 1)
        prices = {"bid": bid / _SCALE, "ask": ask / _SCALE, "bid_quantity": float(bids), "ask_quantity": float(asks)}
        return convert(self._common(message) | {"id": number} | prices, Quote)


def events(path: Path, on_bad: Callable[[str], None]) -> Generator[Event | Other, None, None]:
    """Yield the events of a file, in the order of its records.

    Parameters
    ----------
    path
        The file, also compressed.
    on_bad
        Called with ``file: record: reason`` for each record that can't be read.

    Raises
    ------
    InputError
        The file can't be opened, is damaged, or isn't DBN.
    """
    with closing(pieces(path, on_bad)) as read:
        data = _until(read, b"", _START.size)
        magic, version, size_bytes = _START.unpack_from(data.ljust(_START.size, b"\0"))
        if magic != b"DBN" or version not in (1, 2, 3) or size_bytes > MOST_HEADER_BYTES:
            raise InputError(f"{path}: isn't DBN of the versions 1 to 3")
        begin = _START.size + size_bytes
        data = _until(read, data, begin)
        if len(data) < begin:
            raise InputError(f"{path}: is damaged: it ends before its records")
        try:
            reader = _Reader(_Header(version, data[_START.size : begin]))
        except (struct.error, ValueError) as error:
            raise InputError(f"{path}: is damaged: {error}") from None
        rest, number = data[begin:], 0
        for piece in chain((b"",), read):
            rest, at = rest + piece, 0
            while at < len(rest) and at + (size := 4 * rest[at]) <= len(rest):
                if size < 16:
                    raise InputError(f"{path}: is damaged: record {number + 1} has {size} bytes")
                number += 1
                try:
                    yield from reader.events(rest[at : at + size])
                except ValueError as error:
                    on_bad(f"{path}: record {number}: {error}")
                at += size
            rest = rest[at:]
        if rest:
            on_bad(f"{path}: record {number + 1}: it is cut off")


def _until(read: Iterator[bytes], data: bytes, size: int) -> bytes:
    """Return data with so many more pieces that it has a size, if there are as many."""
    while len(data) < size and (piece := next(read, b"")):
        data += piece
    return data


def _text(padded: bytes) -> str:
    return padded.partition(b"\0")[0].decode()


def _ns_of(date: int) -> int:
    """Return the begin of a day, given as 20231114, in ns since 1970 UTC."""
    return int(datetime(date // 10_000, date // 100 % 100, date % 100, tzinfo=UTC).timestamp()) * 1_000_000_000


#: Files of Databento, plain or compressed.
FORMAT = Format("dbn", None, (Trade, Quote), read=events)
