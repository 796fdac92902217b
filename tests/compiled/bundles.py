"""Bundles that are changed at random, and what is made of them with the library and without."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any, NamedTuple
from unittest.mock import patch

import msgspec
from msgspec import Struct

from tests.compiled.both import block, decoders, difference
from tests.compiled.generated import RECORDS, SOURCES, SYMBOLS, generated
from tickertape.schemas import bundle
from tickertape.stream.bundles.packing import pack
from tickertape.stream.engine.core.block import Headers
from tickertape.stream.engine.slices.decode import Decoder
from tickertape.stream.engine.slices.scanner import Scanner

_LIMITS = [0, 1, -1, 127, 128, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 946_684_800_000, 4_102_444_800_001]
_NAMES = ["all", "a|b", "", "é", "x" * 25, "x" * 65, "A\0", "new", *SOURCES, *SYMBOLS, "buy", "on"]


class Case(NamedTuple):
    """Some records of one Struct, bundles and others."""

    record: type[Struct]
    values: list[bytes]
    headers: list[Headers]


def whole(record: type[Struct], random: Random) -> tuple[bytes, int]:
    """Return a bundle as feeds write it, and the number of its events."""
    decode = msgspec.json.Decoder(record).decode
    events: list[Struct] = []
    for text in generated(record, random, random.choice((1, 2, 3, 9, 40))):
        # Some have a text as an id where a number is due.
        with suppress(msgspec.ValidationError):
            events.append(decode(text))
    return (pack(events), len(events)) if events else whole(record, random)


def mutated(random: Random) -> Case:
    """Return some bundles with a change or two, among single records."""
    record = RECORDS[random.randrange(len(RECORDS))]
    found = Case(record, [], [])
    for _ in range(random.randint(1, 3)):
        value, n = whole(record, random)
        for _ in range(random.choice((0, 1, 1, 2))):
            value = random.choice((_bytes_changed, _parts_changed, _parts_changed))(value, random)
        if random.random() < 0.03:
            n = max(1, n + random.choice((-1, 1, 4000)))
        found.values.append(value)
        found.headers.append(tuple(bundle.to_headers(n)))
        if random.random() < 0.5:
            found.values.append(generated(record, random, 1)[0])
            found.headers.append(())
    return found


def _bytes_changed(value: bytes, random: Random) -> bytes:
    at = random.randrange(len(value) + 1)
    put = random.choice((b"", bytes([random.randrange(256)]), value[at : at + 1] * 2, random.randbytes(3)))
    return value[:at] + put + value[at + random.choice((0, 1, 1, 2, 9)) :]


def _parts_changed(value: bytes, random: Random) -> bytes:
    try:
        parts = msgspec.msgpack.decode(value)
        columns, given = parts
        names = [*columns, *given]
        name = random.choice(names)
        column = columns.get(name)
        change: Callable[[], Any] = random.choice(
            (
                lambda: columns.pop(name, None),
                lambda: given.pop(name, None),
                lambda: columns.update({random.choice(("x", *names)): column}),
                lambda: given.update({random.choice(names): random.randbytes(random.choice((1, 2, 5)))}),
                lambda: columns.update({name: random.choice(list(columns.values()))}),
                lambda: parts.append(1),
                *[lambda: _change(column, random)] * 12,
            )
        )
        change()
        return msgspec.msgpack.encode(parts)
    except (msgspec.MsgspecError, ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError):
        return value


def _change(column: Any, random: Random) -> None:
    match column:
        case ["integers", *_]:
            at = random.randint(0, 3)
            data = column[2]
            others = data[:-1], data + b"\0", data * 2, bytes(reversed(data)), random.randbytes(len(data)), b""
            new: list[Any] = [
                random.choice(("floats", "values", "texts")),
                random.choice((column[1] + random.choice((-1, 1, 1000)), random.choice(_LIMITS))),
                random.choice(others),
                not column[3],
            ]
            column[at] = new[at]
        case ["decimals", inner, exponent]:
            if random.random() < 0.6:
                _change(inner, random)
            else:
                column[2] = random.choice((exponent + 1, -exponent, 22, -22, 23, -23, 308, -320, 400, 401))
        case ["floats", data]:
            special = random.choice(
                (b"\0\0\0\0\0\0\xf8\x7f", b"\0\0\0\0\0\0\xf0\x7f", b"\0\0\0\0\0\0\0\x80", b"\0" * 8)
            )
            at = 8 * random.randrange(len(data) // 8)
            column[1] = random.choice((data[:at] + special + data[at + 8 :], data[:-1], b""))
        case ["texts", texts, inner]:
            if random.random() < 0.5:
                _change(inner, random)
            else:
                texts[random.randrange(len(texts)) :] = random.sample(_NAMES, random.randint(0, 2))
        case ["values", lines]:
            column[1] = random.choice((lines + b"\n", lines.replace(b"\n", b""), b"{", lines.replace(b"1", b"null")))


class Reading(NamedTuple):
    """Decoders of one Struct, with and without the library. They know the usual names."""

    decoder: Decoder
    plain: Decoder

    @staticmethod
    def of(record: type[Struct]) -> "Reading":
        found = Reading(*decoders(record))
        for each in found:
            each.decode(block(generated(record, Random(1), 200)))
        return found


_READING: dict[type[Struct], Reading] = {}


def differ(case: Case) -> str | None:
    """Return how what is decoded with the library differs from without, or how it isn't what there is; or None."""
    if case.record not in _READING:
        _READING[case.record] = Reading.of(case.record)
    pair = _READING[case.record]
    records = replace(block(case.values), bundles={at: some for at, some in enumerate(case.headers) if some})
    made = []
    for each in pair:
        taken = each.unbundled(records)
        found = each.decode(taken)
        # Each record, or in place of a bundle each of its events, is decoded or rejected once.
        places = sorted([*found.at.tolist(), *(at for at, _ in found.rejects)])
        if places != list(range(len(taken.block))):
            return f"the places are {places}"
        rejected = {int(taken.block.offsets[at]): taken.block.index_of(at) for at, _ in taken.rejects}
        if any(index is not None for index in rejected.values()):
            return f"{rejected}: not rejected as a whole"
        found.rejects.sort()
        made.append(found)
    return difference(*made, *pair)


def read_by_library(case: Case) -> int:
    """Return how many bundles the library reads by itself."""
    pair = _READING[case.record]
    n, unbundle = 0, Scanner.unbundle

    def watched(*arguments: Any) -> bool:
        nonlocal n
        n += (found := unbundle(*arguments))
        return found

    records = replace(block(case.values), bundles={at: some for at, some in enumerate(case.headers) if some})
    with patch.object(Scanner, "unbundle", watched):
        pair.decoder.unbundled(records)
    return n


def told(case: Case) -> str:
    """Return the fewest bytes found that still make a difference, and which."""
    from tests.compiled.comparing import smallest

    def still(some: list[int]) -> bool:
        return (
            differ(Case(case.record, [case.values[at] for at in some], [case.headers[at] for at in some])) is not None
        )

    kept = smallest(list(range(len(case.values))), still) if differ(case) else list(range(len(case.values)))
    lines = [f"{dict(case.headers[at])}: {case.values[at]!r}" for at in kept]
    return f"{case.record.__name__}: {differ(case)}\n" + "\n".join(lines)
