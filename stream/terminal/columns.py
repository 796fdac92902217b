"""Format records as lines of aligned columns, with the fields of each topic that matter most to a reader."""

import base64
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal

from msgspec import Struct


class Record(Struct):
    """A decoded record.

    Attributes
    ----------
    kind
        ``result`` for a record of the topic's own type, ``frame``, ``heartbeat``, or ``other`` for one that can't be
        decoded.
    fields
        The record's fields by name. For ``other``: topic, partition, offset, and the value as ``raw``.
    """

    kind: Literal["result", "frame", "heartbeat", "other"]
    fields: dict[str, Any]


# The fields that are shown of each topic; of other topics, all are.
SHOWN = {
    "trades": ("time_ms", "symbol", "source", "side", "price", "quantity", "id"),
    "quotes": ("time_ms", "symbol", "source", "bid_quantity", "bid", "ask", "ask_quantity", "id"),
    "books": ("time_ms", "symbol", "source", "bid_quantities", "bids", "asks", "ask_quantities", "id"),
    "bars": ("start_ms", "symbol", "source", "resolution", "open", "high", "low", "close", "volume", "count", "final"),
    "quote-bars": (
        *("start_ms", "symbol", "source", "resolution", "bid", "ask", "spread_bps", "time_weighted_spread_bps"),
        *("imbalance", "count", "final"),
    ),
    "posts": ("time_ms", "source", "author", "symbols", "sentiment", "text"),
    "social": (
        *("start_ms", "symbol", "source", "resolution", "mentions", "copy_share", "unique_authors", "sentiment"),
        "final",
    ),
    "slices": ("topic", "partition", "upto", "rows", "symbols", "lanes"),
    "late": ("time_ms", "symbol", "source", "late_by_ms", "topic", "partition", "offset"),
    "dead-letters": ("topic", "partition", "offset", "size_bytes", "reason", "value"),
    "window-state": ("group", "shard", "upto", "number", "count", "data"),
}
# A column is as wide as its widest cell so far, but at least this wide, so that columns seldom shift.
LEAST_WIDTHS = {"symbol": 9, "source": 7, "resolution": 10, "volume": 9, "count": 5, "quantity": 10, "upto": 9, "id": 8}
PRICES = dict.fromkeys(("open", "high", "low", "close", "price", "bid", "ask"), 9)
VALUE_CHARACTERS = 80


class Columns:
    """Formats the records of one topic.

    Parameters
    ----------
    topic
        The topic's name.
    """

    def __init__(self, topic: str) -> None:
        self._shown = SHOWN.get(topic)
        self._widths: dict[str, int] = {}

    def lines(self, record: Record) -> list[str]:
        """Return a record's line, preceded by a heading if its fields have not been shown before."""
        fields = record.fields
        if record.kind == "other":
            place = f"partition {fields['partition']}, offset {fields['offset']}"
            return [f"{place}: not a valid record of this topic: {_cut(str(fields['raw']))}"]
        if record.kind == "heartbeat":
            fields = {"symbol": "heartbeat", **fields}
        elif record.kind == "frame":
            fields = fields | {"rows": len(fields["columns"]["slice_ms"])}
        shown = self._shown or tuple(fields)
        cells = [_cell(name, fields.get(name)) for name in shown]
        numbers = [isinstance(fields.get(name), int | float) and not name.endswith("_ms") for name in shown]
        headings = []
        if not self._widths.keys() >= set(shown):
            least = LEAST_WIDTHS | PRICES
            self._widths |= {name: max(len(_title(name)), least.get(name, 0)) for name in shown}
            self._widths |= {
                name: max(self._widths[name], len(cell)) for name, cell in zip(shown, cells, strict=True) if cell
            }
            headings = [self._line(shown, [_title(name) for name in shown], numbers)]
        return [*headings, self._line(shown, cells, numbers)]

    def _line(self, shown: tuple[str, ...], cells: list[str], numbers: list[bool]) -> str:
        padded = []
        for name, cell, is_number in zip(shown, cells, numbers, strict=True):
            width = self._widths[name] = max(self._widths[name], len(cell))
            padded.append(cell.rjust(width) if is_number else cell.ljust(width))
        return "  ".join(padded).rstrip()


def _title(name: str) -> str:
    return name.removesuffix("_ms") if name.endswith("_ms") and name != "late_by_ms" else name


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in _SPECIAL:
        # Anybody may write to a topic, so a field of that name may have any type.
        with suppress(TypeError, ValueError, LookupError):
            return _SPECIAL[name](value)
    if name.endswith("_ms") and isinstance(value, int):
        return time_text(value)
    if isinstance(value, bool):
        return name if value else ""
    if isinstance(value, float):
        return f"{value:.8g}"
    return _cut(str(value))


def time_text(time_ms: int) -> str:
    """Return a UTC time as ``2024-08-08 12:30:01.250``, without milliseconds if they are 0."""
    try:
        at = datetime.fromtimestamp(time_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return str(time_ms)
    return f"{at:%Y-%m-%d %H:%M:%S}" + (f".{time_ms % 1000:03}" if time_ms % 1000 else "")


def _lanes(lanes: list[dict[str, Any]]) -> str:
    return ", ".join(
        f"{lane['source']} to {time_text(lane['frontier_ms'])}{' (idle)' if lane['idle'] else ''}" for lane in lanes
    )


def _levels(numbers: list[float]) -> str:
    return " ".join(f"{number:.8g}" for number in numbers[:3]) + (" …" if len(numbers) > 3 else "")


def _bytes(encoded: str) -> str:
    return _cut(base64.b64decode(encoded, validate=True).decode(errors="backslashreplace"))


def _cut(text: str) -> str:
    printable = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:VALUE_CHARACTERS])
    return printable + ("…" if len(text) > VALUE_CHARACTERS else "")


_SPECIAL: dict[str, Callable[[Any], str]] = {
    "lanes": _lanes,
    "value": _bytes,
    **dict.fromkeys(("bids", "bid_quantities", "asks", "ask_quantities"), _levels),
    "late_by_ms": str,
    "symbols": lambda symbols: " ".join(symbols[:3]) + (f" and {len(symbols) - 3} more" if len(symbols) > 3 else ""),
    "final": lambda final: "final" if final else "open",
}
