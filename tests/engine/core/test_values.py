"""Values in one buffer are the list of them."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickertape.stream.engine.core.values import NULL, PackedValues, joined, sizes_bytes

LISTS = st.lists(st.none() | st.binary(max_size=5), max_size=8)


def packed(text: bytes, *places: tuple[int, int]) -> PackedValues:
    at, sizes = np.array(places, np.int64).reshape(-1, 2).T
    return PackedValues(np.frombuffer(text, np.uint8), at, sizes)


def test_values_lie_anywhere_in_the_buffer() -> None:
    values = packed(b"abcdef", (4, 2), (0, 3), (1, 0), (0, NULL), (0, 6))
    assert list(values) == [b"ef", b"abc", b"", None, b"abcdef"]
    assert [values[i] for i in range(5)] == [b"ef", b"abc", b"", None, b"abcdef"]
    assert (len(values), values[-1], values[-2]) == (5, b"abcdef", None)
    assert sizes_bytes(values).tolist() == [2, 3, 0, 0, 6]


def test_an_index_past_the_end_is_an_error() -> None:
    with pytest.raises(IndexError):
        packed(b"a", (0, 1))[1]


def test_a_part_shares_the_buffer() -> None:
    values = packed(b"abcdef", (0, 1), (1, 1), (0, NULL), (3, 3))
    for part in (values[1:4], values[np.array([1, 2, 3])], values[np.array([False, True, True, True])]):
        assert list(part) == [b"b", None, b"def"]
        assert part.buffer is values.buffer
    assert list(values[::-1]) == [b"def", None, b"b", b"a"]
    assert list(values[4:]) == []


def test_they_equal_a_list_of_the_same_and_nothing_else() -> None:
    values = packed(b"ab", (0, 1), (1, 1))
    assert values == [b"a", b"b"]
    assert values == packed(b"ba", (1, 1), (0, 1))
    assert values != [b"a", None]
    assert values != [b"a"]
    assert values != b"ab"
    assert values != 1


def test_packed_ones_are_kept_as_they_are() -> None:
    values = packed(b"ab", (0, 1), (1, 1))
    assert PackedValues.of(values) is values
    assert PackedValues.of([]) == []


@given(LISTS)
def test_any_list_can_be_packed(values: list[bytes | None]) -> None:
    found = PackedValues.of(iter(values))
    assert list(found) == values
    assert [found[i] for i in range(len(values))] == values
    assert sizes_bytes(found).tolist() == sizes_bytes(values).tolist() == [len(value or b"") for value in values]


@given(parts=st.lists(LISTS, min_size=1, max_size=4), shared=st.booleans(), mixed=st.booleans())
def test_several_are_joined_in_their_order(parts: list[list[bytes | None]], *, shared: bool, mixed: bool) -> None:
    expected = [value for part in parts for value in part]
    some: list[PackedValues | list[bytes | None]] = list(map(PackedValues.of, parts))
    if shared:
        whole, ends = PackedValues.of(expected), np.cumsum([0, *map(len, parts)]).tolist()
        some = [whole[first:last] for first, last in pairwise(ends)]
    if mixed:
        some[-1] = parts[-1]
    found = joined(some)
    assert list(found) == expected
    assert isinstance(found, PackedValues) == (not mixed)
    if shared and not mixed:
        assert isinstance(found, PackedValues)
        assert found.buffer is whole.buffer
