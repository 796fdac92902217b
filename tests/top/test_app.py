"""The view, driven by keys: what it shows of states that are written by hand."""

import asyncio
import re
import threading
import time
from collections.abc import Callable, Coroutine
from itertools import chain, repeat
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from tests.top.made import state, two
from tickertape.stream.errors import BrokerError
from tickertape.stream.top.app import Key, Top
from tickertape.stream.top.cells import Cell, Column, Table
from tickertape.stream.top.grid import Grid
from tickertape.stream.top.help import Help
from tickertape.stream.watch.state import State

SIZE = (100, 30)
WAIT_SECONDS = 10.0


def answering(*answers: State | Exception) -> Callable[[], State]:
    """Return a pipeline that is in these states in turn, and stays in the last."""
    following = chain(answers, repeat(answers[-1]))

    def now() -> State:
        answer = next(following)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return now


def seen(app: Top, steps: Callable[[Pilot[None]], Coroutine[Any, Any, None]], size: tuple[int, int] = SIZE) -> None:
    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await steps(pilot)

    asyncio.run(run())


def top(*answers: State | Exception, **other: Any) -> Top:
    return Top("tickertape at here", answering(*answers), every_seconds=0.2, **other)


def text(app: Top, name: str) -> str:
    return str(app.query_one(f"#{name}", Static).render())


def rows(app: Top, name: str) -> list[list[str]]:
    grid = app.query_one(f"#{name}", Grid)
    return [[str(cell).strip() for cell in grid.get_row_at(row)] for row in range(grid.row_count)]


def heads(app: Top, name: str) -> list[str]:
    return [str(column.label).strip() for column in app.query_one(f"#{name}", Grid).ordered_columns]


async def until(pilot: Pilot[None], true: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not true():
            await pilot.pause(0.02)


def test_it_shows_workers_partitions_and_a_sum() -> None:
    app = top(two())

    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: bool(rows(app, "chosen")))
        assert "tickertape at here" in text(app, "name")
        assert text(app, "summary").startswith("2 workers   1,750 records/s   lag 60.0k")
        assert rows(app, "workers") == [
            ["a", "1", "1", "1,500", "12.3k", "8", "25%", "200 MiB"],
            ["b", "1", "1", "250", "12.3k", "60.0k", "25%", "200 MiB"],
        ]
        assert [row[0] for row in rows(app, "chosen")] == ["trades 0", "trades 1", "slices 0", "slices 1"]
        assert not app.query_one("#trouble").display

    seen(app, steps)


def test_it_sorts_and_turns_and_goes_back_to_the_top() -> None:
    app = top(two())

    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: bool(rows(app, "chosen")))
        await pilot.press("down", "down", *"sss")
        assert heads(app, "chosen")[3] == "lag▼"
        assert [row[3] for row in rows(app, "chosen")] == ["60.0k", "7", "1", "0"]
        assert app.query_one("#chosen", Grid).cursor_row == 0
        await pilot.press("r")
        assert heads(app, "chosen")[3] == "lag▲"
        assert [row[3] for row in rows(app, "chosen")] == ["0", "1", "7", "60.0k"]
        # A click on a heading does the same. Its first line is the table's border, then the heads.
        await pilot.click("#chosen", offset=(3, 1))
        assert heads(app, "chosen")[0] == "partition▲"

    seen(app, steps)


def test_the_chosen_row_stays_chosen_when_rows_move() -> None:
    # By rate trades 0 is first, then last but the two without a rate.
    fast, slow = two(rate=1500.0), two(rate=1.0)
    now = [fast]
    app = Top("here", lambda: now[0], every_seconds=0.2)

    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: bool(rows(app, "chosen")))
        await pilot.press("s", "s")
        assert [row[0] for row in rows(app, "chosen")][:2] == ["trades 0", "trades 1"]
        assert app.query_one("#chosen", Grid).cursor_row == 0
        now[0] = slow
        await until(pilot, lambda: rows(app, "chosen")[0][0] == "trades 1")
        assert app.query_one("#chosen", Grid).cursor_row == 1
        assert rows(app, "chosen")[1][2] == "1"

    seen(app, steps)


@pytest.mark.parametrize(("width", "shown"), [(110, 8), (60, 4), (40, 2), (24, 1)])
def test_a_narrow_terminal_shows_less_and_nothing_beyond_its_edge(width: int, shown: int) -> None:
    app = top(two())

    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: bool(rows(app, "chosen")))
        assert heads(app, "chosen")[0] == "partition▲"
        assert len(heads(app, "chosen")) == shown
        for name in ("workers", "chosen"):
            grid = app.query_one(f"#{name}", Grid)
            assert grid.virtual_size.width <= grid.size.width
        # It gets wide, and has them all.
        await pilot.resize_terminal(140, 30)
        await until(pilot, lambda: len(heads(app, "chosen")) == 8)

    seen(app, steps, size=(width, 14))


def test_a_kafka_that_goes_away_is_told_of_and_comes_back() -> None:
    gate = threading.Event()
    away = BrokerError("Kafka at here can't be reached")
    later = answering(away, away, two("a", "a"))
    first = iter((two(),))

    def now() -> State:
        if (state := next(first, None)) is not None:
            return state
        answer = later() if gate.is_set() else None
        if answer is None:
            raise away
        return answer

    app = Top("here", now, every_seconds=0.2)

    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.query_one("#trouble").display)
        assert re.search(r"Kafka at here can't be reached; for \d+\.\d s, and it is tried again", text(app, "trouble"))
        # What was known last stays.
        assert len(rows(app, "workers")) == 2
        assert app.query_one("#body").has_class("stale")
        gate.set()
        await until(pilot, lambda: not app.query_one("#trouble").display)
        assert len(rows(app, "workers")) == 1
        said = text(app, "notes")
        assert re.search(r"Kafka answers again, after \d+\.\d s", said)
        assert "worker b is gone" in said
        assert "a took over 1 of slices, 1 of trades" in said

    seen(app, steps)


def test_a_note_has_a_line_so_that_the_newest_is_seen() -> None:
    app = top(two())

    async def steps(pilot: Pilot[None]) -> None:
        for number in range(9):
            app.note(f"note {number} " + "that is longer than the terminal is wide " * 5)
        await until(pilot, lambda: "note&#160;8" in app.export_screenshot())
        assert app.query_one("#notes").size.height == 5
        assert "note&#160;3" not in app.export_screenshot()

    seen(app, steps)


def test_a_failure_that_is_not_of_ours_ends_nothing() -> None:
    gate = threading.Event()

    def now() -> State:
        if gate.is_set():
            return two()
        raise KeyError("coordinator")

    app = Top("here", now, every_seconds=0.2)

    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.query_one("#trouble").display)
        assert "can't be read: KeyError('coordinator')" in text(app, "trouble")
        gate.set()
        await until(pilot, lambda: len(rows(app, "workers")) == 2)

    seen(app, steps)


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
def test_it_quits_while_kafka_does_not_answer(key: str) -> None:
    never = threading.Event()

    def now() -> State:
        never.wait(30)
        return state()

    app = Top("here", now)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press(key)
        await until(pilot, lambda: not app.is_running)

    began = time.monotonic()
    seen(app, steps)
    assert time.monotonic() - began < WAIT_SECONDS
    assert app.return_code == 0
    never.set()


def test_further_keys_do_what_they_say_and_are_in_the_help() -> None:
    pressed: list[str] = []
    app = top(two(), keys=[Key("k", "kill a worker", lambda: pressed.append("k"))], quits=lambda: pressed.append("q"))

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("k")
        await pilot.press("question_mark")
        assert isinstance(app.screen, Help)
        await pilot.pause()
        assert "show&#160;another&#160;table" in app.export_screenshot()
        # Behind it the line of keys says so too.
        assert app.export_screenshot().count("kill&#160;a&#160;worker") == 2
        await pilot.press("escape")
        assert not isinstance(app.screen, Help)
        # Who asks for the end is told, and ends it.
        await pilot.press("q")
        assert app.is_running

    seen(app, steps)
    assert pressed == ["k", "q"]


@pytest.mark.parametrize("ends", [False, True])
def test_what_goes_on_is_shown_behind_the_help_and_not_after_the_end(
    ends: bool, caplog: pytest.LogCaptureFixture
) -> None:
    now = [two()]
    app = Top("here", lambda: now[0], every_seconds=0.02)

    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: len(rows(app, "workers")) == 2)
        await pilot.press("question_mark")
        assert isinstance(app.screen, Help)
        now[0] = two("a", "a")
        app.put(Table(name="nothing", columns=[], rows={}, sort=""))
        await pilot.pause(0.3)
        if ends:
            app.end()
        else:
            await pilot.press("escape")
            assert len(rows(app, "workers")) == 1
            assert "worker b is gone" in text(app, "notes")

    seen(app, steps)
    app.note("too late")
    app.put(Table(name="nothing", columns=[], rows={}, sort=""))
    # A loop tells of what fails in it only so.
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_table_of_the_callers_comes_first_until_another_is_chosen() -> None:
    columns = [Column(key="symbol", label="symbol", width=10, left=True), Column(key="last", label="last", width=8)]
    prices = {name: {"symbol": Cell(name, name), "last": Cell(f"{last}", last)} for name, last in (("A", 2), ("B", 10))}
    symbols = Table(name="symbols", columns=columns, rows=prices, sort="last", falling=True)
    app = top(two())

    async def steps(pilot: Pilot[None]) -> None:
        app.put(symbols)
        app.more(["drawdown: nothing yet"])
        await until(pilot, lambda: len(rows(app, "workers")) == 2)
        assert rows(app, "chosen") == [["B", "10"], ["A", "2"]]
        assert text(app, "more") == "drawdown: nothing yet"
        await pilot.press("v")
        app.put(symbols)
        assert [row[0] for row in rows(app, "chosen")] == ["trades 0", "trades 1", "slices 0", "slices 1"]
        await pilot.press("v")
        assert rows(app, "chosen") == [["B", "10"], ["A", "2"]]

    seen(app, steps)
