"""A stream that is cut anywhere and resumed: nothing is missed, nothing comes twice, corrections are marked."""

import asyncio
import re
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.recent.made import T0, Told, bar
from tickertape.stream.api.asked import position_in
from tickertape.stream.api.following import Following, as_events, as_message
from tickertape.stream.recent.held import Held, Series
from tickertape.stream.recent.history import History, Step
from tickertape.stream.recent.selection import Selection

EVENT = re.compile(rb"id: ([\d:,]*)\n(?:data: (.*)\n)?\n")
A = Series("A", "all", "1s", "")


def held(partition: int, offset: int, *, corrected: bool = False) -> Held:
    return Held(A, T0, True, offset, corrected, b'{"revision":%d}' % offset, partition, offset, 0)


def test_events_have_the_id_after_which_to_go_on() -> None:
    step = Step({0: 3, 1: 5}, [held(0, 4), held(1, 5, corrected=True)], {0: 9, 1: 6, 2: 0})
    assert as_events(step) == (
        b'id: 0:5,1:5\ndata: {"revision":4}\n\n'
        b'id: 0:5,1:6\ndata: {"revision":5,"corrected":true}\n\n'
        b"id: 0:9,1:6,2:0\n\n"
    )
    assert as_message(step) == b'{"id":"0:9,1:6,2:0","results":[{"revision":4},{"revision":5,"corrected":true}]}'
    assert as_events(Step({}, [], {0: 7})) == b"id: 0:7\n\n"


class Reader:
    """Reads a stream as a browser does, and may lose the connection in the middle of it."""

    def __init__(self, told: Told, selection: Selection) -> None:
        self._told, self._selection = told, selection
        self.last_id: str | None = None
        self.got: list[dict[str, Any]] = []

    async def read(self, most_bytes: int) -> None:
        """Connect, and read until there is nothing more, or so many bytes have come."""
        told = self._told
        sink = told.recent.sinks["bars"]
        position = None if self.last_id is None else position_in(self.last_id)
        following = Following(told.recent, History(told.settings), sink, self._selection, as_events, position)
        text = b""
        parts = following.parts()
        while len(text) < most_bytes:
            try:
                async with asyncio.timeout(0.002):
                    text += await anext(parts)
            except TimeoutError:
                break
        await parts.aclose()
        for match in EVENT.finditer(text[:most_bytes]):
            self.last_id = match[1].decode()
            if match[2] is not None:
                self.got.append(msgspec.json.decode(match[2]))


RECORDS = st.lists(
    st.builds(
        lambda symbol, second, final, revision: bar(symbol, second, float(revision), revision, final=final),
        st.sampled_from("ABC"),
        st.integers(0, 2),
        st.booleans(),
        st.integers(1, 6),
    ),
    min_size=1,
    max_size=8,
)
ROUNDS = st.lists(
    st.tuples(RECORDS, st.lists(st.integers(0, 900) | st.just(1 << 30), max_size=3)), min_size=1, max_size=8
)


@given(rounds=ROUNDS, finals=st.booleans(), symbol=st.none() | st.just("A"))
@settings(deadline=None, max_examples=150)
def test_a_stream_that_is_cut_and_resumed_misses_nothing_and_repeats_nothing(
    rounds: list[tuple[list[dict[str, Any]], list[int]]], finals: bool, symbol: str | None
) -> None:
    wanted = Selection(symbols=None if symbol is None else frozenset(symbol), finals=finals)
    newest: dict[tuple[str, int], tuple[bool, int]] = {}

    async def run() -> list[dict[str, Any]]:
        told = Told()
        reader = Reader(told, wanted)
        await reader.read(1 << 30)
        for records, cuts in rounds:
            for partition, symbols in enumerate(("AB", "C")):
                await told.round(*[one for one in records if one["symbol"] in symbols], partition=partition)
            for most_bytes in cuts:
                await reader.read(most_bytes)
        await reader.read(1 << 30)
        return reader.got

    got = asyncio.run(run())
    seen: dict[tuple[str, int], tuple[bool, int]] = {}
    for one in got:
        result, rank = (one["symbol"], one["start_ms"]), (one["final"], one["revision"])
        assert rank > seen.get(result, (False, 0)), "it came before, or a newer one did"
        if result in seen and seen[result][0]:
            assert one["corrected"]
        seen[result] = rank
    for records, _ in rounds:
        for one in records:
            result, rank = (one["symbol"], one["start_ms"]), (one["final"], one["revision"])
            if (symbol is None or one["symbol"] == symbol) and (one["final"] or not finals):
                newest[result] = max(newest.get(result, (False, 0)), rank)
    assert seen == newest


def test_a_stream_that_is_cut_after_each_event_brings_them_in_order() -> None:
    async def run() -> list[tuple[str, int]]:
        told = Told()
        reader = Reader(told, Selection())
        await reader.read(1 << 30)
        await told.round(*[bar(symbol, second, 1.0, 1) for second in range(3) for symbol in "BAC"])
        for _ in range(9):
            # An event is some 220 bytes.
            await reader.read(400)
        return [(one["symbol"], (one["start_ms"] - T0) // 1000) for one in reader.got]

    assert asyncio.run(run()) == [(symbol, second) for second in range(3) for symbol in "BAC"]


def test_those_who_follow_the_same_share_what_is_encoded() -> None:
    async def run() -> None:
        told = Told()
        sink = told.recent.sinks["bars"]
        both = [Following(told.recent, History(told.settings), sink, Selection(), as_events).parts() for _ in range(2)]
        for parts in both:
            await anext(parts)
        await told.round(bar("A", 0, 1.0, 1))
        first, second = [await anext(parts) for parts in both]
        assert first is second

    asyncio.run(run())


def test_a_stream_ends_with_the_server() -> None:
    async def run() -> None:
        told = Told()
        following = Following(told.recent, History(told.settings), told.recent.sinks["bars"], Selection(), as_message)
        parts = [part async for part in _ending(told, following)]
        assert parts == [b'{"id":"","results":[]}']

    async def _ending(told: Told, following: Following) -> Any:
        async for part in following.parts():
            yield part
            told.recent.end()

    asyncio.run(asyncio.wait_for(run(), 10))
