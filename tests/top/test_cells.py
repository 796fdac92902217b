"""Cells: how they are sorted, cut and laid out."""

import pytest

from tickertape.stream.top import cells
from tickertape.stream.top.cells import Cell, Column, drawn, fitting, ordered

COLUMNS = [
    Column(key="name", label="name", width=10, left=True),
    Column(key="lag", label="lag", width=6, rank=1),
    Column(key="memory", label="memory", width=8, rank=3),
    Column(key="cpu", label="cpu", width=5, rank=2),
]


@pytest.mark.parametrize(
    ("width", "keys"),
    [
        (100, ["name", "lag", "memory", "cpu"]),
        # 12 + 8 + 10 + 7, and one less.
        (37, ["name", "lag", "memory", "cpu"]),
        (36, ["name", "lag", "cpu"]),
        (26, ["name", "lag"]),
        (12, ["name"]),
        (1, ["name"]),
    ],
)
def test_a_narrow_terminal_has_the_columns_that_matter_most(width: int, keys: list[str]) -> None:
    assert [column.key for column in fitting(COLUMNS, width)] == keys


def test_numbers_are_in_the_order_of_their_values() -> None:
    rows = {name: {"lag": Cell(f"{lag:,}", lag)} for name, lag in (("a", 9), ("b", 1000), ("c", 20), ("e", 20))}
    rows["d"] = {}
    assert ordered(rows, "lag", falling=False) == ["a", "c", "e", "b", "d"]
    assert ordered(rows, "lag", falling=True) == ["b", "c", "e", "a", "d"]


def test_texts_are_in_the_order_of_letters() -> None:
    rows = {name: {"owner": Cell(owner, owner)} for name, owner in (("a", "vm-1"), ("b", "vm-0"), ("c", "vm-1"))}
    assert ordered(rows, "owner", falling=False) == ["b", "a", "c"]
    assert ordered(rows, "owner", falling=True) == ["a", "c", "b"]


def test_a_cell_has_its_columns_width() -> None:
    name, lag, *_ = COLUMNS
    assert drawn(name, Cell("vm")).plain == "vm        "
    assert drawn(name, Cell("a-long-name")).plain == "a-long-na…"
    assert drawn(lag, Cell("12")).plain == "    12"
    assert drawn(lag, None).plain == "     ·"
    # A cell that turns red is another cell.
    assert drawn(lag, Cell("12")) != drawn(lag, Cell("12", style="red"))


def test_ages_have_six_characters() -> None:
    ages = {0.06: "0.1 s", 99.94: "99.9 s", 179: "179 s", 3599: "3599 s", 3600: "1.0 h", 150_120: "41.7 h"}
    assert {seconds: cells.age(seconds) for seconds in ages} == ages
    assert cells.age(300 * 3600) == "300 h"


def test_amounts_are_short() -> None:
    amounts = {0: "0", 0.5: "0.5", 2: "2", 9.96: "10.0", 12.4: "12", 9999: "9,999", 12_345: "12.3k", 4_600_000: "4.6M"}
    assert {number: cells.amount(number) for number in amounts} == amounts
    assert cells.amount(7.25e9) == "7.2G"
    assert cells.mebibytes(1.5 * (1 << 30)) == "1,536 MiB"
