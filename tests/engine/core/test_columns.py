"""Columns from lists, against what NumPy makes of them."""

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickertape.stream.engine.core.columns import flags, floats, ints


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_ints(values: list[int]) -> None:
    np.testing.assert_array_equal(ints(values), np.array(values, np.int64), strict=True)


@given(st.lists(st.floats()))
def test_floats_to_the_last_bit(values: list[float]) -> None:
    assert floats(values).dtype == np.float64
    assert floats(values).tobytes() == np.array(values, np.float64).tobytes()


@given(st.lists(st.booleans()))
def test_flags(values: list[bool]) -> None:
    np.testing.assert_array_equal(flags(values), np.array(values, np.bool_), strict=True)


@pytest.mark.parametrize("column", [ints, floats, flags])
@pytest.mark.parametrize("value", ["a", None])
def test_what_is_no_number_is_refused(column: Callable[[list[Any]], Any], value: object) -> None:
    # Each in its own words; the decoder then looks for the record that it is of.
    with pytest.raises((TypeError, ValueError, struct.error)):
        column([value])
