"""Records to begin with, and the words that mutations put in."""

import json
from random import Random
from typing import Any

from msgspec import Struct

from tests.compiled.both import Odd
from tests.compiled.mutating import Words, words
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.engine.core.records import FlatField, flat_fields

RECORDS: tuple[type[Struct], ...] = (Trade, Quote, Odd)
TIME_MS = 1_700_000_000_000
SOURCES = ["s", "binance", "k" * 24]
SYMBOLS = ["A", "AB", "BTC-USDT", "BTC-USD", "ETH-USDT", "12345678", "1234567", "123456789", "x y", "k" * 64]

_LIMITS = [
    *(0, 1, 2**31, 2**32, 2**53, 2**63, 2**64, 946_684_800_000, 4_102_444_800_000, TIME_MS),
    *(10**7, 10**8, 10**9, 10**15, 10**16, 10**17, 10**18, 10**19, 10**20, 100, 3),
]
NUMBERS = [
    *(b"%d" % (sign * (limit + more)) for limit in _LIMITS for more in (-1, 0, 1) for sign in (1, -1)),
    *b"0.0 -0 -0.0 0e5 00 01 -01 0.5 .5 5. -.5 1.e5 1e 1e+ 1e- 1e5 1E5 1e+5 1e-5 1e05 1e00005 1e-00005 +1 -".split(),
    *b"1e308 1.7976931348623157e308 1.7976931348623159e308 1e309 1e-307 2.2250738585072014e-308 1e18 1.0e18".split(),
    *b"2.2250738585072011e-308 5e-324 2e-324 1e-400 1e9999 1e10000 1e99999 1e-99999 0.1e1 123e-2 1e-300".split(),
    *b"9007199254740993 9007199254740993.0 9007199254740992.999 1000000000000000000e0 1.000000000000000001e18".split(),
    *b"8.5e22 1e22 1e23 9007199254740991e22 0.1 0.3 -1.5 -1.4999999999999999 2.5e-300 2.6e-300 99 100 -5 -4".split(),
    *b"0.1000000000000000055511151231257827 0.0000000000000000000001 0.00000000000000000000000000000001".split(),
    *b"0.000000000000000000000012345 1234567890123456789 12345678901234567890 123456789.0123456789".split(),
    *b"NaN nan Infinity -Infinity inf true false null nul nullx NULL 1_000 0x10 1,5 1.5.5 1e5.5 --1 1-1 [] {}".split(),
    b"1..2",
    b"1" * 25,
    b"1" * 400,
    b"0." + b"0" * 22 + b"1",
    b"0." + b"0" * 400 + b"1",
    b'"1"',
]
TEXTS = [
    *(b'"%s"' % name.encode() for name in (*SOURCES, *SYMBOLS, "k" * 25, "k" * 65, "", "buy", "sell", "buys", "BUY")),
    *(b'"%s"' % name for name in (b"a", b"b", b"ab", b"on", b"off", b"x", b"y", b"/", b"'")),
    *(rb'"\u0041"', rb'"\u0062uy"', rb'"\""', rb'"\\"', rb'"\/"', rb'"\ud83d\ude00"', rb'"\ud83d"', rb'"\x"'),
    *(b'"\t"', b'"\\"', b'"""', rb'"\t"', rb'"\\t"', rb'"\u00e9"'),
    *(b'"\xc3\xa9"', b'"\xff"', b'"\xed\xa0\x80"', b'"\xf0\x9f\x98\x80"', b'"A\x00"', b'"A\n"'),
    *(b'"1234567\xc3\xa9"', b'"12345678', b"'A'", b'A"', b'""A"', b'"A" "B"', b"1", b"null", b"[]", b'{"a":1}'),
]
# One of these makes msgspec read its whole block, so they aren't in every round.
BAD_NAMES = [b'"all"', b'"\x7f"', b'"1234567\x7f"', b'"\xef\xbb\xbfA"', b'"a|b"', rb'"\u0000"', rb'"a\u0007"', b'"a|"']
MARKS = [
    *(
        b"{",
        b"}",
        b",",
        b":",
        b" ",
        b"  ",
        b"\t",
        b"\n",
        b"\r\n",
        b"",
        b"[",
        b"]",
        b'"',
        b"\\",
        b"\x00",
        b"\xef\xbb\xbf",
    ),
    *(b"}}", b"} ", b" }", b", ", b",,", b",}", b" ,", b": ", b" :", b"{{", b"/**/", b"\xff", b"\xc2\xa0", b" " * 40),
]


def dictionary(record: type[Struct], random: Random, *, bad_names: bool) -> Words:
    """Return the words for one round: the known ones, and many new numbers."""
    keys = [b'"%s":' % name.encode() for name in record.__struct_encode_fields__]
    odd = [
        b'"x":',
        b'"x":1,"',
        b'"":',
        b'"pric\\u0065":',
        b'"price" :',
        b'"Price":',
        b"price:",
        b'"price":"price":',
        b'"t',
    ]
    fresh = [_number(random).encode() for _ in range(len(NUMBERS))]
    return words([*NUMBERS, *fresh], [*TEXTS, *(BAD_NAMES if bad_names else [])], [*keys, *keys, *odd], MARKS)


def _number(random: Random) -> str:
    """Return a number in one of many forms, of up to 22 digits, mostly in the range of prices."""
    digits = str(random.randrange(10 ** random.randint(1, random.choice((6, 17, 19, 22)))))
    match random.randrange(4):
        case 0:
            return digits
        case 1:
            at = random.randint(1, len(digits))
            return f"{digits[:at]}.{digits[at:] or '0'}"
        case 2:
            return f"0.{'0' * random.randint(0, 5)}{digits}"
        case _:
            far = random.choice((5, 30, 340))
            power = f"{random.choice('eE')}{random.choice(('', '+'))}{random.randint(-far, far)}"
            return f"{digits[0]}.{digits[1:] or '5'}{power}"


def _valid(name: str, field: FlatField, random: Random) -> Any:
    if field.nullable and random.random() < 0.2:
        return None
    match field.kind:
        case "choice":
            return random.choice(field.choices)
        case "name":
            return random.choice(SOURCES if name == "source" else SYMBOLS)
        case "integer" if name in ("id", "last_id", "sequence"):
            return random.randrange(10 ** random.randint(1, 18))
        case "integer" if name in ("time_ms", "received_ms"):
            return TIME_MS + random.randrange(10**9)
        case "integer":
            return random.randint(int(max(field.low, -(10**12))), int(min(field.high, 10**12)))
        case _ if field.high < 1:
            return random.random() * field.high
        case _:
            return max(field.low, 0.0) + random.choice((random.random(), round(random.random() * 1e5, 2), 1.5, 7.0))


def generated(record: type[Struct], random: Random, n: int) -> list[bytes]:
    """Return n valid records as feeds write them, some in another order, with blanks, or with a text as an id."""
    found = []
    encoded = dict(zip(record.__struct_fields__, record.__struct_encode_fields__, strict=True))
    fields = flat_fields(record)
    for _ in range(n):
        kept = [name for name, field in fields.items() if field.required or random.random() < 0.6]
        if random.random() < 0.1:
            random.shuffle(kept)
        values = {encoded[name]: _valid(name, fields[name], random) for name in kept}
        if random.random() < 0.03:
            values["id"] = str(random.random())
        separators = (", ", ": ") if random.random() < 0.2 else (",", ":")
        found.append(json.dumps(values, separators=separators).encode())
    return found
