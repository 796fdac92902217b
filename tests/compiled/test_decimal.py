"""A decimal becomes the double nearest to it, as Python's own float() does it; what isn't sure is left to msgspec."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Struct

from tests.compiled.both import needs_library
from tickertape.stream.compiled.library import library
from tickertape.stream.engine.core.records import flat_fields
from tickertape.stream.engine.core.values import PackedValues
from tickertape.stream.engine.slices.scanner import Scanner

pytestmark = needs_library


class One(Struct):
    x: float


@pytest.fixture(scope="module", name="scanner")
def _scanner() -> Scanner:
    return Scanner(library(), One, flat_fields(One), {})


def read(scanner: Scanner, text: str) -> float | None:
    """Return the double as it is scanned, or None if it is left."""
    scan = scanner.scan(PackedValues.of([b'{"x":%s}' % text.encode()]))
    return float(scan.column("x")[0]) if scan.scanned[0] else None


def bits(number: float) -> bytes:
    return struct.pack("d", number)


EXACTLY = {
    "2^53": ("9007199254740992", "0x1p53"),
    "2^53 and half a unit, down to the even one": ("9007199254740993", "0x1p53"),
    "2^53 and three halves, up to the even one": ("9007199254740995", "0x1.0000000000002p53"),
    "2^53 - 1": ("9007199254740991", "0x1.fffffffffffffp52"),
    "half way below 2^53, up": ("9007199254740991.5", "0x1p53"),
    "half way, down": ("4503599627370496.5", "0x1p52"),
    "half way, up": ("4503599627370497.5", "0x1.0000000000002p52"),
    "one digit above half way": ("4503599627370496.501", "0x1.0000000000001p52"),
    "one digit below half way": ("4503599627370497.499", "0x1.0000000000001p52"),
    "half way at 2^54": ("18014398509481986", "0x1p54"),
    "half way at 2^63": ("9223372036854776832", "0x1p63"),
    "above half way at 2^63": ("9223372036854776833", "0x1.0000000000001p63"),
    "19 nines": ("9999999999999999999", "0x1.158e460913d00p63"),
    "half way with an exponent": ("90071992547409930e-1", "0x1p53"),
    "the least normal one": ("2.2250738585072014e-308", "0x1p-1022"),
    "the greatest": ("1.7976931348623157e308", "0x1.fffffffffffffp1023"),
    "rounds down to the greatest": ("1.7976931348623158e308", "0x1.fffffffffffffp1023"),
    "1e308": ("1e308", "0x1.1ccf385ebc8a0p1023"),
    "a negative one": ("-2.5", "-0x1.4p1"),
}


@pytest.mark.parametrize(("text", "expected"), EXACTLY.values(), ids=EXACTLY.keys())
def test_a_hard_one_is_read_exactly(scanner: Scanner, text: str, expected: str) -> None:
    found = read(scanner, text)
    assert found is not None
    assert found.hex() == float.fromhex(expected).hex()


# From the papers and test suites of D. Lemire, N. Tao, and W. Clinger, and from bugs of PHP and Java.
KNOWN = (
    "1e23 8.5e22 1e22 1.8e0 0.1 0.3 2.225073858507201e-307 8.533e+68 4.1006e-184 9.998e+307 9.9538452227e-280 7.4e+47 "
    "6.47660115e-260 5.92e+48 7.35e+66 8.32116e+55 7.3177701707893310e+15 9.2233720368547758e18 1.448997445238699 1E5 "
    "6.02214076e23 6.62607015e-34 5e-307 3.5844466002796428e298 123456789.0123456789 1234567890123456789e-19 1e-300 "
    "1e300 9007199254740993e20 9007199254740991e22 9007199254740991e-22 1.5e+0007 0.000001 0.0000000000000000000001 "
    "100000000000000000.5 2.2250738585072014e-308 1e-27 1e-28 7e55 7e56 1234567890123456789e55 1234567890123456789e-27"
)


@pytest.mark.parametrize("text", KNOWN.split())
def test_a_known_hard_case_is_what_python_reads(scanner: Scanner, text: str) -> None:
    found = read(scanner, text)
    assert found is not None
    assert found.hex() == float(text).hex()


@pytest.mark.parametrize(
    "text",
    [
        *("0", "0.0", "-0", "-0.0", "0e5", "0.000e-400"),
        *("1e309", "1.7976931348623159e308", "1e400", "1e9999", "1e10000", "-1e309"),
        *(
            "5e-324",
            "2.2250738585072011e-308",
            "6.631236846766476e-316",
            "2.4703282292062327e-324",
            "1e-400",
            "1e-9999",
        ),
        *("12345678901234567890", "0.12345678901234567890", "1.0000000000000000000", "10000000000000000000"),
        *("01", "00", "1.", ".5", "-", "+1", "1e", "1e+", "1.e5", "1e5.5", "1.2.3", "--1", "1 2", "0x10", "1_0"),
        *("NaN", "Infinity", "-Infinity", "inf", "nan", "true", "null", '"1"', "[1]", ""),
    ],
)
def test_zero_what_has_no_normal_double_and_what_is_no_number_is_left(scanner: Scanner, text: str) -> None:
    assert read(scanner, text) is None


@given(
    st.integers(1, 10**19 - 1) | st.integers(1, 19).map(lambda n: 10**n - 1) | st.integers(2**53 - 9, 2**53 + 9),
    st.integers(-330, 308) | st.integers(-25, 25),
    st.integers(0, 30),
    st.sampled_from(("", "-")),
)
@example(2**53 + 1, 0, 0, "")
@example(9007199254740993, 0, 3, "-")
def test_whatever_is_read_is_what_python_reads(
    scanner: Scanner, digits: int, exponent: int, point: int, sign: str
) -> None:
    text = str(digits)
    if 0 < point < len(text):
        text = f"{text[:point]}.{text[point:]}"
    text = f"{sign}{text}e{exponent}" if exponent else f"{sign}{text}"
    found, expected = read(scanner, text), float(text)
    if found is None:
        assert not 1e-305 < abs(expected) < 1e305, text
    else:
        assert bits(found) == bits(expected), text
