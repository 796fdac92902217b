from typing import Any

from tickertape.stream.terminal.columns import Columns, Record, time_text


def result(**fields: Any) -> Record:
    return Record("result", fields)


def test_a_column_only_grows() -> None:
    columns = Columns("unknown")
    heading, first = columns.lines(result(name="a", value=1.5))
    (second,) = columns.lines(result(name="a-long-one", value=22.25))
    (third,) = columns.lines(result(name="b", value=3))
    assert heading == "name  value"
    assert first == "a       1.5"
    assert second == "a-long-one  22.25"
    assert third == "b               3"


def test_other_fields_have_a_heading_of_their_own() -> None:
    columns = Columns("unknown")
    columns.lines(result(a=1))
    assert columns.lines(result(b=2))[0] == "b"


def test_times() -> None:
    assert time_text(1_700_000_000_000) == "2023-11-14 22:13:20"
    assert time_text(1_700_000_000_007) == "2023-11-14 22:13:20.007"
    assert time_text(1 << 62) == str(1 << 62)


def test_the_best_levels_of_a_book() -> None:
    book = result(
        bids=[99.5, 99.0, 98.5, 98.0], bid_quantities=[1.0, 2.0, 3.0, 4.0], asks=[100.0], ask_quantities=[0.25]
    )
    (line,) = Columns("books").lines(book)[1:]
    assert " ".join(line.split()) == "1 2 3 … 99.5 99 98.5 … 100 0.25"


def test_bytes_that_are_not_base64_are_shown_as_they_are() -> None:
    (line,) = Columns("dead-letters").lines(result(value="not?base64", reason="x"))[1:]
    assert line.endswith("not?base64")


def test_a_terminal_is_not_steered_by_a_record() -> None:
    other = Record("other", {"raw": "\x1b[2J", "partition": 0, "offset": 1})
    lines = Columns("trades").lines(other) + Columns("x").lines(result(name="\x1b[2J"))
    assert "\x1b" not in "".join(lines)


def test_a_record_of_another_shape_is_shown_all_the_same() -> None:
    shown = Columns("unknown").lines(result(lanes=1, symbols=2, value=[], final="x", heartbeat=3, raw=4, some_ms="y"))
    assert shown[1].split() == ["1", "2", "[]", "final", "3", "4", "y"]
