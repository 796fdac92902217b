"""Take bundles apart as docs/bundles.md says, in plain Python, without the product's code."""

import json
import struct
from collections.abc import Mapping
from typing import Any

import msgspec


def events_of(value: bytes, headers: Mapping[str, bytes]) -> list[dict[str, Any]] | None:
    """Return the events of a bundle, or None if the record isn't one."""
    if "bundle" not in headers:
        return None
    try:
        n = json.loads(headers["bundle"])["events"]
        columns, given = msgspec.msgpack.decode(value)
        fields = {name: _values(column, n) for name, column in columns.items()}
    except (msgspec.MsgspecError, ValueError, KeyError, TypeError, struct.error):
        return None
    for name, bits in given.items():
        fields[name] = [field if bits[i // 8] >> i % 8 & 1 else None for i, field in enumerate(fields[name])]
    return [{name: field[i] for name, field in fields.items()} for i in range(n)]


def _values(column: list[Any], n: int) -> list[Any]:
    match column:
        case ["integers", base, data, steps]:
            return _integers(base, data, steps, n)
        case ["decimals", [_, base, data, steps], exponent]:
            return [float(f"{mantissa}e{exponent}") for mantissa in _integers(base, data, steps, n)]
        case ["floats", data]:
            return list(struct.unpack(f"<{n}d", data))
        case ["texts", texts, [_, base, data, steps]]:
            return [texts[index] for index in _integers(base, data, steps, n)]
        case ["values", lines]:
            return [json.loads(line) for line in lines.split(b"\n")]
    raise ValueError("no such column")


def _integers(base: int, data: bytes, steps: bool, n: int) -> list[int]:
    width = len(data) // n
    if len(data) != width * n:
        raise ValueError("not so many numbers")
    form = {0: "x", 1: "b", 2: "h", 4: "i", 8: "q"}[width]
    numbers = struct.unpack(f"<{n}{form if steps else form.upper()}", data) if width else [0] * n
    found, at = [], base
    for number in numbers:
        at = at + number if steps else base + number
        found.append((at + 2**63) % 2**64 - 2**63)
    return found
