"""The demo's screen: in a terminal the view, whose keys are obeyed; elsewhere lines."""

import asyncio
import io
import os

import pytest
from rich.console import Console

from tests.integration.running import until
from tests.top.made import two
from tests.top.terminals import LEFT_AS_IT_WAS, terminal
from tickertape.stream.terminal.screen import Screen
from tickertape.stream.terminal.view import View

# What a demo does, without Kafka: it shows symbols, says which keys it was given, and ends with q.
DEMO = """
import asyncio
from rich.console import Console
from tests.terminal.test_view import bar
from tests.top.made import two
from tickertape.stream.terminal.screen import Screen
from tickertape.stream.terminal.view import View

async def run():
    screen, over, view = Screen(Console()), asyncio.Event(), View("sim", "1000-5000", 4, 0)
    view.add_records([bar(3, close=61_234.5)])

    def press(key):
        screen.note(f"given {key}")
        if key == "q":
            over.set()

    screen.note("before")
    async with screen.view("a demo", two, press):
        while not over.is_set():
            screen.show(view, 12.0, 30.0)
            await asyncio.sleep(0.1)
    screen.note("after")

asyncio.run(run())
"""


@pytest.mark.parametrize("key", [b"q", b"\x03"])
def test_in_a_terminal_it_is_the_view_with_keys(key: bytes) -> None:
    environ = {name: text for name, text in os.environ.items() if not name.startswith("TICKERTAPE_")}
    with terminal("-c", DEMO, environ=environ) as demo:
        until("the symbols and the workers are shown", lambda: "61,234.5" in demo.text and "200 MiB" in demo.text)
        until("the keys are shown", lambda: "kill a worker" in demo.text)
        assert "a demo" in demo.text
        assert "12 s of 30 s" in demo.text
        demo.type(b"k")
        until("a key is obeyed", lambda: "given k" in demo.text)
        demo.type(key)
        assert demo.process.wait(20) == 0
        until("the terminal is as it was", lambda: LEFT_AS_IT_WAS in demo.raw)
    # The view leaves nothing behind, so what happened in it is printed below it.
    below = demo.text.rpartition("given k")[2]
    assert below.split() == ["given", "q", "after"]
    assert "Traceback" not in demo.text


def test_elsewhere_it_prints_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("tickertape.stream.terminal.screen.time.monotonic", lambda: clock[0])
    out = io.StringIO()
    screen, view = Screen(Console(file=out, width=200)), View("sim", "1000-5000", 4, 0)

    async def run() -> None:
        async with screen.view("a demo", two, lambda _: None):
            screen.note("[bold]as it is[/]")
            for clock[0] in (100.5, 102.4, 102.6):
                screen.show(view, clock[0], None)

    asyncio.run(run())
    first, *lines = out.getvalue().splitlines()
    assert first == "[bold]as it is[/]"
    # One every other second.
    assert [line.split("   ")[0].strip() for line in lines] == ["100 s", "103 s"]
    assert "\x1b" not in out.getvalue()
