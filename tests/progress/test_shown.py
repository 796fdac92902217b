"""A bar in a terminal, lines in a pipe, and JSON, of work whose steps are written by hand."""

import json
import time
from io import StringIO

import pytest
from rich.console import Console

from tickertape.stream.progress import shown
from tickertape.stream.progress.shown import NOWHERE, Counting, Progress

KEYS = ["what", "done", "total", "unit", "rate", "remaining_seconds", "seconds", "newest_ms"]


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "SECONDS", {"terminal": 0.02, "plain": 0.02, "json": 0.02})


def work(progress: Progress) -> None:
    counting = Counting(4)
    with progress.of("copied", "records", counting):
        for _ in range(4):
            counting.done += 1
            time.sleep(0.05)
    progress.say("it [is] done")


def test_in_a_pipe_there_are_plain_lines() -> None:
    out = StringIO()
    work(Progress(Console(file=out, width=20)))
    *states, said = out.getvalue().splitlines()
    assert said == "it [is] done"
    assert len(states) >= 2
    assert states[0].startswith("copied ")
    assert " of 4 records   " in states[0]
    assert "\x1b" not in out.getvalue()
    assert "\r" not in out.getvalue()


def test_json_is_an_object_on_each_line_with_the_end_as_the_last() -> None:
    out = StringIO()
    work(Progress(Console(file=out, width=20), as_json=True))
    *states, said = map(json.loads, out.getvalue().splitlines())
    assert said == {"said": "it [is] done"}
    assert [list(state) for state in states] == [KEYS] * len(states)
    done = [state["done"] for state in states]
    assert done == sorted(done)
    assert len(done) >= 3
    last = states[-1]
    assert (last["what"], last["done"], last["total"], last["unit"], last["remaining_seconds"]) == (
        "copied", 4, 4, "records", 0.0,
    )  # fmt: skip


def test_in_a_terminal_a_bar_changes_in_its_place() -> None:
    out = StringIO()
    work(Progress(Console(file=out, width=120, force_terminal=True)))
    text = out.getvalue()
    assert "\x1b[" in text
    assert "━" in text
    assert "copied 4 of 4 records" in text


def test_the_end_is_shown_when_work_fails() -> None:
    out, counting = StringIO(), Counting()

    def fail() -> None:
        with Progress(Console(file=out), as_json=True).of("fed", "events", counting):
            counting.done = 3
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert json.loads(out.getvalue().splitlines()[-1])["done"] == 3


def test_what_is_short_needs_no_line_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(shown.SECONDS, "plain", 5.0)
    out = StringIO()
    with Progress(Console(file=out)).of("fed", "events", Counting()):
        pass
    assert out.getvalue() == ""


def test_nowhere_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    work(NOWHERE)
    assert capsys.readouterr() == ("", "")
