"""What records may hold that a terminal would obey."""

import asyncio
import io
import json
from typing import Any, NamedTuple

import pytest

from tickertape.stream.terminal.shown import shown
from tickertape.stream.terminal.tail import tail


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("Zürich → 東京", "Zürich → 東京"),
        ("a\x1b[2J\x07b", "a\\u001b[2J\\u0007b"),
        ("abc\u202egpj.exe", "abc\\u202egpj.exe"),
        ("\x9b31m", "\\u009b31m"),
        ("a\rb\u2028c", "a\\u000db\\u2028c"),
        ("\U000e0001", "\\udb40\\udc01"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_cant_be_seen_is_spelled_out(text: str, safe: str) -> None:
    assert shown(text) == safe
    # As JSON it is the same text.
    assert json.loads(f'"{shown(text)}"') == text


class Raw(NamedTuple):
    value: bytes
    topic: str = "trades"
    partition: int = 0
    offset: int = 0
    timestamp: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()
    key: bytes = b""


class Reading:
    def __init__(self, *values: bytes) -> None:
        self._values = values

    async def ends(self) -> dict[str, int]:
        return {}

    async def read(self) -> list[Raw]:
        return [Raw(value) for value in self._values]

    async def has_read(self, _: object) -> bool:
        return True


def printed(*values: bytes, as_json: bool, raw: bool = False) -> str:
    out, reader = io.StringIO(), Reading(*values)
    some: Any = reader
    asyncio.run(
        tail(
            some,
            "trades",
            out,
            as_json=as_json,
            symbol=None,
            finals=False,
            until_caught_up=True,
            column_types=lambda _: {},
            raw=raw,
        )
    )
    return out.getvalue()


HOSTILE = '{"symbol":"A\\u001b[2J\u202eB","note":"\x9b"}'.encode()


@pytest.mark.parametrize("as_json", [True, False])
def test_tail_shows_no_character_that_a_terminal_obeys(as_json: bool) -> None:
    text = printed(HOSTILE, b"\x1b]0;title\x07 not JSON", as_json=as_json)
    assert [letter for letter in text if not letter.isprintable() and letter != "\n"] == []
    if as_json:
        assert json.loads(text.splitlines()[0]) == {"symbol": "A\x1b[2J\u202eB", "note": "\x9b"}


def test_tail_shows_them_where_it_is_asked_to() -> None:
    assert "\u202e" in printed(HOSTILE, as_json=True, raw=True)


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("depth", [500, 5000, 100_000])
def test_tail_survives_what_is_nested(as_json: bool, depth: int) -> None:
    nested = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
    assert len(printed(nested, b'{"symbol":"A"}', as_json=as_json).splitlines()) >= 2
