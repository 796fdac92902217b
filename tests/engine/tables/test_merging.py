"""Slices merged into windows: always in one order, whatever order they came in."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.blocks import HOUR_MS
from tests.engine.made_frames import WINDOWING
from tickertape.stream.engine.core.names import Names
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.tables.merging import accumulate, in_order

#: Start in s, partition, source's code, and the total.
Row = tuple[int, int, int, float]


def slices(rows: list[Row]) -> Columns:
    schema = WINDOWING.slicing.aggregate.schema
    made = {name: np.full(len(rows), start, dtype) for name, (dtype, start) in schema.items()}
    return made | {
        "slice_ms": np.array([HOUR_MS + 1000 * start for start, *_ in rows]),
        "partition": np.array([partition for _, partition, *_ in rows]),
        "source": np.array([source for _, _, source, _ in rows]),
        "total": np.array([total for *_, total in rows]),
        "count": np.ones(len(rows), np.int64),
    }


def named(*sources: str) -> Names:
    names = Names()
    names.codes(list(sources))
    return names


def merged(rows: list[Row], windows_of: list[int], windows: int, names: Names) -> Columns:
    aggregate = WINDOWING.aggregate
    into = {name: np.full(windows, start, dtype) for name, (dtype, start) in aggregate.schema.items()}
    held = slices(rows)
    pairs = in_order(held, np.arange(len(rows)), np.array(windows_of)[:, None], names)
    accumulate(WINDOWING, held, pairs, into, pairs[1])
    return into


def test_the_order_is_window_time_partition_and_then_the_sources_alphabet() -> None:
    # Codes are in the order in which sources were met: b before a.
    names = named("b", "a")
    held = slices([(1, 0, 0, 0.0), (0, 1, 0, 0.0), (0, 0, 0, 0.0), (0, 0, 1, 0.0)])
    rows, windows = in_order(held, np.arange(4), np.array([[7], [7], [7], [7]]), names)
    assert rows.tolist() == [3, 2, 1, 0]
    assert windows.tolist() == [7, 7, 7, 7]
    # A slice has a share in several windows, or in none (-1).
    rows, windows = in_order(held, np.arange(2), np.array([[5, 3], [-1, 3]]), names)
    assert list(zip(rows.tolist(), windows.tolist(), strict=True)) == [(1, 3), (0, 3), (0, 5)]


def test_shares_of_one_second_are_merged_before_the_next() -> None:
    # 1e16 + 1 is 1e16 in floats: (1e16 + -1e16) + 1 is 1, and 1e16 + (-1e16 + 1) is 0.
    into = merged([(0, 0, 0, 1e16), (0, 1, 0, -1e16), (1, 0, 0, 1.0)], [0, 0, 0], 1, named("s"))
    assert (into["total"].tolist(), into["count"].tolist()) == ([1.0], [3])


@given(
    st.permutations(range(6)),
    st.lists(st.floats(-1e12, 1e12), min_size=6, max_size=6),
)
def test_in_whatever_order_they_come_sums_are_the_same_to_the_bit(order: list[int], totals: list[float]) -> None:
    rows: list[Row] = [(n % 2, n % 3, n // 3, total) for n, total in enumerate(totals)]
    windows_of = [n % 2 for n in range(6)]
    expected = merged(rows, windows_of, 2, named("s", "t"))
    found = merged([rows[n] for n in order], [windows_of[n] for n in order], 2, named("s", "t"))
    assert found["total"].tobytes() == expected["total"].tobytes()
