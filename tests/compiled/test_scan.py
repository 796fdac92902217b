"""Which records are scanned, and as what; every other one is left to msgspec, which makes the same of it."""

import json
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Annotated, Any, Literal
from unittest.mock import Mock

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from tests.compiled.both import block, decoders, difference, needs_library
from tests.compiled.comparing import Pair
from tests.compiled.generated import BAD_NAMES, MARKS, NUMBERS, RECORDS, TEXTS, generated
from tickertape.schemas.fields import Id, Positive, TextId, TimeMs
from tickertape.stream.engine.core.names import InputNames
from tickertape.stream.engine.core.records import flat_fields
from tickertape.stream.engine.core.values import PackedValues
from tickertape.stream.engine.slices.scanner import Scanner

pytestmark = needs_library

KNOWN = ["A", "s", "12345678", "k" * 64]
TIME_MS = 1_700_000_000_000


class Small(Struct, kw_only=True):
    symbol: str
    source: Annotated[str, Meta(min_length=1, max_length=64)]
    id: Id | TextId
    time_ms: TimeMs
    price: Positive
    side: Literal["buy", "sell"] | None = None
    state: Literal["on", "off"] | None = "off"
    size: Annotated[int, Meta(gt=-5, lt=100)] = 7
    rate: Annotated[float, Meta(ge=-1.5, lt=2)] = 0.5
    odd: Literal["\t", "é", '"', "\\", "\\t"] = "é"
    least: int = 0
    received_ms: int = 0
    name_of_17_letters: int = 1
    name_of_17_lettert: int = 2


Row = dict[str, Any]
TEXT = b'{"symbol":"A","source":"s","id":1,"time_ms":1700000000000,"price":2.5}'
ROW: Row = {
    "symbol": "A",
    "source": "s",
    "id": 1,
    "time_ms": TIME_MS,
    "price": 2.5,
    "side": None,
    "state": "off",
    "size": 7,
    "rate": 0.5,
    "odd": "é",
    "least": 0,
    "received_ms": 0,
    "name_of_17_letters": 1,
    "name_of_17_lettert": 2,
}


def scanner_of(record: type[Struct]) -> tuple[Scanner, InputNames]:
    names = InputNames(1000)
    names.codes(KNOWN)
    found = Scanner.of(record, {"symbol": names, "source": names})
    assert found is not None
    return found, names


@pytest.fixture(scope="module", name="small")
def _small() -> tuple[Scanner, InputNames]:
    return scanner_of(Small)


def rows(small: tuple[Scanner, InputNames], values: PackedValues) -> list[Row | None]:
    """Return each record as it was scanned, or None."""
    scanner, names = small
    scan = scanner.scan(values)
    columns: dict[str, list[Any]] = {}
    for name, field in flat_fields(scanner.record).items():
        if field.kind == "name":
            columns[name] = [names.names[code] if 0 <= code < len(names.names) else "?" for code in scan.codes(name)]
        elif field.kind == "choice":
            chosen = np.stack([scan.equals(name, choice) for choice in field.choices])
            any_of = np.any(chosen, axis=0)
            columns[name] = [
                field.choices[i] if some else None
                for i, some in zip(chosen.argmax(0).tolist(), any_of.tolist(), strict=True)
            ]
            assert (any_of == scan.given(name))[scan.scanned].all()
        else:
            columns[name] = scan.column(name).tolist()
    return [
        {name: column[i] for name, column in columns.items()} if scanned else None
        for i, scanned in enumerate(scan.scanned.tolist())
    ]


def more(fields: bytes) -> bytes:
    """Return the record with more fields at its end."""
    return TEXT[:-1] + b"," + fields + b"}"


def instead(old: bytes, new: bytes) -> bytes:
    assert TEXT.count(old) == 1
    return TEXT.replace(old, new)


READ: dict[str, tuple[bytes, Row]] = {
    "as it is": (TEXT, {}),
    "blanks": (b'{ "symbol":  "A" , "source":"s","id": 1 ,"time_ms":1700000000000,"price":2.5  }', {}),
    "another order": (b'{"price":2.5,"id":1,"source":"s","time_ms":1700000000000,"symbol":"A"}', {}),
    "all fields": (
        more(
            b'"side":"buy","state":"on","size":8,"rate":1.5,"least":-3,"received_ms":9,'
            b'"name_of_17_letters":4,"name_of_17_lettert":5'
        ),
        {
            "side": "buy",
            "state": "on",
            "size": 8,
            "rate": 1.5,
            "least": -3,
            "received_ms": 9,
            "name_of_17_letters": 4,
            "name_of_17_lettert": 5,
        },
    ),
    "null": (more(b'"side":null'), {"side": None}),
    "null where the default isn't": (more(b'"state":null'), {"state": None}),
    "null and blanks": (more(b'"side": null ,"state":"on"'), {"state": "on"}),
    "a long name of two": (more(b'"name_of_17_lettert":5'), {"name_of_17_lettert": 5}),
    "the least bound": (more(b'"size":-4'), {"size": -4}),
    "the greatest bound": (more(b'"size":99'), {"size": 99}),
    "the least float": (more(b'"rate":-1.5'), {"rate": -1.5}),
    "the float below the bound": (more(b'"rate":1.9999999999999998'), {"rate": 1.9999999999999998}),
    "the greatest price": (instead(b"2.5", b"1e18"), {"price": 1e18}),
    "a price without a point": (instead(b"2.5", b"25"), {"price": 25.0}),
    "zero as an integer": (instead(b'"id":1', b'"id":0'), {"id": 0}),
    "the greatest integer": (instead(b'"id":1', b'"id":9223372036854775807'), {"id": 2**63 - 1}),
    "the least integer but one": (more(b'"least":-9223372036854775807'), {"least": 1 - 2**63}),
    "18 digits": (instead(b'"id":1', b'"id":123456789012345678'), {"id": 123456789012345678}),
    "a name of 8 letters": (instead(b'"A"', b'"12345678"'), {"symbol": "12345678"}),
    "a name of 64 letters": (instead(b'"A"', b'"%s"' % (b"k" * 64)), {"symbol": "k" * 64}),
}

LEFT: dict[str, bytes] = {
    "nothing": b"",
    "one byte": b"{",
    "no fields": b"{}",
    "a field missing": b'{"symbol":"A","source":"s","id":1,"time_ms":1700000000000}',
    "a tab": b"{\t" + TEXT[1:],
    "a line feed behind": TEXT + b"\n",
    "a line feed between": TEXT.replace(b",", b",\n"),
    "a blank before": b" " + TEXT,
    "a blank behind": TEXT + b" ",
    "a blank before the colon": TEXT.replace(b'"id":', b'"id" :'),
    "a byte order mark": b"\xef\xbb\xbf" + TEXT,
    "NUL behind": TEXT + b"\x00",
    "two records": TEXT + TEXT,
    "a comma at the end": TEXT[:-1] + b",}",
    "no comma": TEXT.replace(b',"id"', b'"id"'),
    "two commas": TEXT.replace(b',"id"', b',,"id"'),
    "an array": b"[" + TEXT + b"]",
    "a key twice": more(b'"id":2'),
    "an unknown key": more(b'"x":2'),
    "a key in capitals": TEXT.replace(b'"id"', b'"ID"'),
    "a key with an escape": TEXT.replace(b'"id"', rb'"\u0069d"'),
    "the beginning of a long key": more(b'"name_of_17_letter":5'),
    "a long key and more": more(b'"name_of_17_letterss":5'),
    "an escape in a name": instead(b'"A"', rb'"\u0041"'),
    "an escaped quote": instead(b'"A"', rb'"A\""'),
    "a name that isn't ASCII": instead(b'"A"', '"é"'.encode()),
    "bytes that aren't UTF-8": instead(b'"A"', b'"\xff"'),
    "NUL in a name": instead(b'"A"', b'"A\x00"'),
    "a control character in a name": instead(b'"A"', b'"A\x1f"'),
    "a name without a code": instead(b'"A"', b'"B"'),
    "no name": instead(b'"s"', b'""'),
    "a name too long": instead(b'"A"', b'"%s"' % (b"k" * 65)),
    "a name that isn't text": instead(b'"A"', b"1"),
    "an id that is text": instead(b'"id":1', b'"id":"1"'),
    "a choice that is none": more(b'"side":"hold"'),
    "a choice in capitals": more(b'"side":"BUY"'),
    "a choice with a control character": more(b'"odd":"\t"'),
    "a choice with an escape": more(rb'"odd":"\t"'),
    "a choice that isn't ASCII": more('"odd":"é"'.encode()),
    "a choice with a quote": more(b'"odd":"""'),
    "a choice with an escaped quote": more(rb'"odd":"\""'),
    "a choice with a backslash": more(rb'"odd":"\"'),
    "a choice with an escaped backslash": more(rb'"odd":"\\"'),
    "the beginning of a choice": more(b'"side":"bu"'),
    "a choice and more": more(b'"side":"buyer"'),
    "null where it mayn't be": instead(b'"id":1', b'"id":null'),
    "null in capitals": more(b'"side":NULL'),
    "null and more": more(b'"side":nullx'),
    "half of null": more(b'"side":nul'),
    "a leading zero": instead(b'"id":1', b'"id":01'),
    "two zeros": instead(b'"id":1', b'"id":00'),
    "minus zero": more(b'"least":-0'),
    "a minus alone": more(b'"least":-'),
    "a plus": instead(b'"id":1', b'"id":+1'),
    "an integer with a point": instead(b'"id":1', b'"id":1.0'),
    "an integer with an exponent": instead(b'"id":1', b'"id":1e3'),
    "an integer past int64": instead(b'"id":1', b'"id":9223372036854775808'),
    "an integer of 20 digits": instead(b'"id":1', b'"id":10000000000000000000'),
    "the least integer of int64": more(b'"least":-9223372036854775808'),
    "an integer of 40 digits": instead(b'"id":1', b'"id":' + b"1" * 40),
    "below the least bound": more(b'"size":-5'),
    "above the greatest bound": more(b'"size":100'),
    "a float below its bound": more(b'"rate":-1.5000000000000002'),
    "a float at the bound that is outside": more(b'"rate":2'),
    "a price of zero": instead(b"2.5", b"0.0"),
    "a price above its bound": instead(b"2.5", b"1000000000000000128"),
    "a negative price": instead(b"2.5", b"-2.5"),
    "a float with a leading zero": instead(b"2.5", b"02.5"),
    "a point at the end": instead(b"2.5", b"2."),
    "a point at the beginning": instead(b"2.5", b".5"),
    "two points": instead(b"2.5", b"2.5.5"),
    "NaN": instead(b"2.5", b"NaN"),
    "Infinity": instead(b"2.5", b"Infinity"),
    "a float past all floats": more(b'"rate":1e999'),
    "true": instead(b'"id":1', b'"id":true'),
    "an object as a value": instead(b'"id":1', b'"id":{"a":1}'),
    "an array as a value": instead(b'"id":1', b'"id":[1]'),
    "no value": instead(b'"id":1', b'"id":'),
    "a number as text": instead(b"2.5", b'"2.5"'),
}


@pytest.mark.parametrize(("text", "change"), READ.values(), ids=READ.keys())
def test_a_record_as_feeds_write_it_is_scanned(small: tuple[Scanner, InputNames], text: bytes, change: Row) -> None:
    assert rows(small, PackedValues.of([text])) == [ROW | change]


@pytest.mark.parametrize("text", LEFT.values(), ids=LEFT.keys())
def test_what_is_odd_or_wrong_is_left(small: tuple[Scanner, InputNames], text: bytes) -> None:
    assert rows(small, PackedValues.of([TEXT, text, TEXT])) == [ROW, None, ROW]


def test_a_record_cut_short_is_left_whatever_follows(small: tuple[Scanner, InputNames]) -> None:
    whole = more(b'"side":null,"size":12,"rate":1.25e-3,"name_of_17_lettert":5')
    sizes = np.arange(len(whole) + 1)
    cut = PackedValues(np.frombuffer(whole * 2, np.uint8), np.zeros_like(sizes), sizes)
    changed = {"size": 12, "rate": 0.00125, "name_of_17_lettert": 5}
    assert rows(small, cut) == [None] * len(whole) + [ROW | changed]


@pytest.mark.parametrize("behind", [0, 1, 7, 8, 15, 16, 31, 32, 47, 48, 49, 100])
@pytest.mark.parametrize("blanks", [0, 900, 2000])
def test_a_value_near_the_end_of_its_buffer_is_copied_unless_it_is_long(
    small: tuple[Scanner, InputNames], behind: int, blanks: int
) -> None:
    text = TEXT[:-1] + b" " * blanks + b"}"
    buffer = np.frombuffer(text + b"9" * behind, np.uint8)
    left = behind < 48 and len(text) > 1024
    found = rows(small, PackedValues(buffer, np.zeros(1, np.int64), np.array([len(text)])))
    assert found == [None if left else ROW]


def test_nothing_is_read_past_the_end_of_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.compiled.guarded"],
        check=False,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_64_fields_are_scanned_and_65_are_not() -> None:
    own = [("symbol", str), ("source", str), ("id", int), ("time_ms", int), ("received_ms", int)]
    most = msgspec.defstruct("Most", [*own, *((f"f{n}", int) for n in range(59))])
    small = scanner_of(most)
    expected = {"symbol": "A", "source": "s", "id": 1, "time_ms": 2, "received_ms": 3} | {f"f{n}": n for n in range(59)}
    assert rows(small, PackedValues.of([json.dumps(expected).encode()])) == [expected]
    (less,) = rows(small, PackedValues.of([json.dumps(expected | {"f58": "x"}).encode()]))
    assert less is None
    assert Scanner.of(msgspec.defstruct("More", [*own, *((f"f{n}", int) for n in range(60))]), {}) is None


@given(
    st.sampled_from(RECORDS),
    st.integers(0, 2**32),
    st.lists(
        st.tuples(
            st.floats(0, 1),
            st.integers(0, 3),
            st.sampled_from([*NUMBERS, *TEXTS, *BAD_NAMES, *MARKS]) | st.binary(max_size=3),
        ),
        max_size=4,
    ),
)
def test_with_the_scanner_the_same_is_decoded_as_without(
    record: type[Struct], seed: int, edits: list[tuple[float, int, bytes]]
) -> None:
    values = generated(record, Random(seed), 4)
    for where, removed, put in edits:
        # The first stays as it is, so that something is scanned beside what isn't.
        i = 1 + int(where * 1000) % 3
        at = int(where * len(values[i]))
        values[i] = values[i][:at] + put + values[i][at + removed :]
    assert Pair(record).differ(values) is None


@pytest.mark.parametrize("record", RECORDS)
def test_most_records_are_scanned(record: type[Struct]) -> None:
    pair = Pair(record)
    assert pair.differ(generated(record, Random(7), 1000)) is None
    assert pair.counts.scanned > 500
    assert pair.counts.merged == 1


def test_new_names_are_learned_from_a_few_records_and_the_others_are_scanned() -> None:
    pair = decoders(RECORDS[0])
    texts = [
        b'{"symbol":"N%d","source":"s%d","id":%d,"time_ms":1700000000000,"price":1.5,"quantity":2.0,"side":"buy"}'
        % (i % 40, i % 3, i)
        for i in range(6000)
    ]
    # One that no scanner reads, one that isn't valid, and one that isn't JSON.
    texts[100] = texts[100].replace(b'"N20"', b'"N\\u0032"')
    texts[200] = texts[200].replace(b"1.5", b"-1")
    texts[300] = b"{"
    read = pair[0]._decode
    pair[0]._decode = Mock(side_effect=read)
    mine, theirs = (each.decode(block(texts)) for each in pair)
    assert difference(mine, theirs, *pair) is None
    assert sorted(at for at, _ in mine.rejects) == [200, 300]
    # 512 to learn from, and what is left then.
    assert 512 <= pair[0]._decode.call_count < 600
