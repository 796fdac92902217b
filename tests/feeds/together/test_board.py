"""What is shown of several feeds: a table in a terminal, lines in a pipe, JSON."""

import asyncio
import io
import json

import msgspec
from rich.console import Console

from tickertape.stream.feeds.together.board import Board
from tickertape.stream.feeds.together.status import Status

GOOD = Status(
    source="binance",
    state="connected",
    connections=1,
    symbols=2,
    heard=2,
    events=12345,
    rate=678.4,
    newest_ms=1_700_000_000_000,
    gaps=1,
    missing=3,
    refilled=0,
    refused=0,
    silent=0,
    failures=0,
    why="",
)
FAILED = msgspec.structs.replace(GOOD, source="alpaca", state="failed", failures=2, why="alpaca: the server refuses")


def shown(*, as_json: bool = False, terminal: bool = False) -> str:
    """Return what is shown at the end of a block that takes no time."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=130, color_system=None)

    async def run() -> None:
        async with Board(console, as_json=as_json).shown(lambda: [GOOD, FAILED]):
            pass

    asyncio.run(run())
    return out.getvalue()


def test_lines_in_a_pipe() -> None:
    assert shown().splitlines() == [
        "binance: connected   2 of 2 symbols   12,345 events   678/s   gaps 1   missing 3",
        "alpaca: failed, alpaca: the server refuses",
    ]


def test_json() -> None:
    first, second = map(json.loads, shown(as_json=True).splitlines())
    assert first == msgspec.to_builtins(GOOD)
    assert (second["source"], second["state"], second["why"]) == ("alpaca", "failed", "alpaca: the server refuses")


def test_a_table_in_a_terminal() -> None:
    lines = [line.split() for line in shown(terminal=True).splitlines()]
    assert ["binance", "connected", "2/2", "12,345", "678", "1", "3", "0", "0", "0", "0"] in lines
    words = ["alpaca", "failed", "2/2", "12,345", "678", "1", "3", "0", "0", "0", "2"]
    assert [*words, "alpaca:", "the", "server", "refuses"] in lines


def test_a_feed_without_symbols() -> None:
    posts = msgspec.structs.replace(GOOD, source="bluesky", symbols=0, heard=0, gaps=0, missing=0)
    assert str(posts) == "bluesky: connected   12,345 events   678/s"
