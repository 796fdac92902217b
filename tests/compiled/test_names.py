"""The library finds the code of each name that Python has given one, and of no other."""

from ctypes import c_char_p, c_int64, c_void_p

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from tests.compiled.both import needs_library
from tickertape.stream.compiled.library import library
from tickertape.stream.engine.core.names import InputNames, Names
from tickertape.stream.engine.core.records import flat_fields
from tickertape.stream.engine.core.values import PackedValues
from tickertape.stream.engine.slices.scanner import Scanner

pytestmark = needs_library


class Named(Struct):
    symbol: str


class Known:
    """Symbols, and a scanner that is to find them."""

    def __init__(self, most: int = 1 << 20) -> None:
        self.names = InputNames(most)
        self._scanner = Scanner(library(), Named, flat_fields(Named), {"symbol": self.names})

    def learn(self, *names: str) -> None:
        if self.names.is_full:
            self.names.keep([])
        self.names.codes(list(names))

    def found(self, *names: str) -> list[int | None]:
        """Return the code of each name, None where it isn't found."""
        scan = self._scanner.scan(PackedValues.of([b'{"symbol":"%s"}' % name.encode() for name in names]))
        codes = scan.codes("symbol").tolist()
        return [code if scanned else None for code, scanned in zip(codes, scan.scanned.tolist(), strict=True)]


def test_a_name_is_found_once_it_has_a_code() -> None:
    known = Known()
    assert known.found("A", "B") == [None, None]
    known.learn("A")
    assert known.found("A", "B") == [0, None]
    known.learn("B", "A")
    assert known.found("B", "A") == [1, 0]


@pytest.mark.parametrize("n", [127, 128, 129, 5000, 70_000])
def test_many_names_keep_their_codes_while_the_table_grows(n: int) -> None:
    known = Known()
    names = [f"name-{i}" for i in range(n)]
    known.learn(*names)
    assert known.found(*names) == list(range(n))
    assert known.found(f"name-{n}", "name-", "") == [None, None, None]


def test_names_of_one_letter_repeated_differ_by_their_size() -> None:
    known = Known()
    names = ["A" * size for size in range(1, 100)]
    known.learn(*names[::2])
    assert known.found(*names) == [size // 2 if size % 2 == 0 else None for size in range(99)]


@pytest.mark.parametrize("shared", [0, 1, 6, 7, 8, 9, 15, 16, 17, 55, 63])
def test_names_that_begin_alike_are_told_apart(shared: int) -> None:
    known = Known()
    prefix = "k" * shared
    known.learn(*(prefix + letter for letter in "abc"), prefix + "a0")
    asked = [prefix + end for end in ("a", "b", "c", "a0", "d", "", "ab", "a1", "a00")]
    assert known.found(*asked) == [0, 1, 2, 3, None, None, None, None, None]


def test_more_names_than_the_limit_are_forgotten_and_the_next_ones_have_new_codes() -> None:
    known = Known(most=2)
    known.learn("a", "b", "c")
    assert known.found("a", "b", "c") == [0, 1, 2]
    known.learn("c", "d")
    assert known.names.cleared == 1
    assert known.found("a", "b", "c", "d") == [None, None, 0, 1]


def test_names_that_are_kept_have_new_codes() -> None:
    known = Known(most=2)
    known.learn("a", "b", "c")
    assert known.found("c") == [2]
    known.names.keep(["c"])
    assert known.found("a", "b", "c") == [None, None, 0]


def test_names_may_be_forgotten_many_times() -> None:
    known = Known(most=300)
    for time in range(20):
        names = [f"{time}-{i}" for i in range(301)]
        known.learn(*names)
        assert known.found(*names) == list(range(301))
        assert known.found(f"{time - 1}-0") == [None]
    assert known.names.cleared == 19


@pytest.mark.parametrize("name", ["é", "1234567é", "名前"])
def test_a_name_that_is_not_ascii_is_left_though_it_is_known(name: str) -> None:
    known = Known()
    known.learn("A", name)
    assert known.found(name, "A") == [None, 0]


@given(st.lists(st.text(st.characters(min_codepoint=35, max_codepoint=126, exclude_characters="\\|")), unique=True))
def test_any_plain_names_are_found_by_their_codes(names: list[str]) -> None:
    names = [name for name in names if name != "all"]
    known = Known()
    known.learn(*names[: len(names) // 2])
    assert known.found(*names) == [i if i < len(names) // 2 else None for i in range(len(names))]


def test_a_name_with_a_control_character_is_no_json() -> None:
    names = Names()
    names.codes(["A\t", "A"])
    scanner = Scanner(library(), Named, flat_fields(Named), {"symbol": names})
    scan = scanner.scan(PackedValues.of([b'{"symbol":"A\t"}', b'{"symbol":"A"}']))
    assert scan.scanned.tolist() == [False, True]


def test_names_with_equal_hashes_are_told_apart() -> None:
    # `hash_of` in names.c, of two words: here both names have the same factor in the second multiplication.
    seed, mask = 12345, (1 << 64) - 1

    def after_first(word: int) -> int:
        product = (seed ^ 16 * 0x9E3779B97F4A7C15 & mask ^ word) * 0xD6E8FEB86659FD93
        return (product ^ product >> 64 ^ seed) & mask

    firsts, second = (1, 2), 77
    seconds = second, second ^ after_first(firsts[0]) ^ after_first(firsts[1])
    one, other = (b"".join(word.to_bytes(8, "little") for word in words) for words in zip(firsts, seconds, strict=True))
    compiled = library()
    find = compiled.names_find
    find.argtypes, find.restype = (c_void_p, c_char_p, c_int64), c_int64
    handle = compiled.tt_names_new(seed)
    try:
        assert [compiled.tt_names_add(handle, name + bytes(8), 16) for name in (one, other)] == [0, 1]
        assert [find(handle, name + bytes(8), 16) for name in (one, other)] == [0, 1]
    finally:
        compiled.tt_names_free(handle)
