"""How a block is handed over: at once where it can be, and else as Faust does, until its flow is suspended."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import faust
import pytest

from tickertape.stream.engine.core.workload import Workload
from tickertape.stream.engine.fetch.unpacking import Blocks


@asynccontextmanager
async def consuming() -> AsyncIterator[Any]:
    app = faust.App("waits", broker="blocks://127.0.0.1:9", store="memory://")
    app.coordinator = SimpleNamespace(blocks=Blocks(frozenset(), 1, 1), workload=Workload())
    yield app.consumer


async def given(value: str) -> str:
    return value


async def never() -> None:
    await asyncio.Event().wait()


async def failing() -> None:
    raise ValueError("broken")


def test_what_is_over_at_once_needs_no_task() -> None:
    async def run() -> None:
        async with consuming() as consumer:
            tasks = asyncio.all_tasks()
            other = never()
            waits = consumer.wait_first(given("taken"), other)
            # Not one step of the loop.
            with pytest.raises(StopIteration) as over:
                waits.send(None)
            assert over.value.value.results == ["taken"]
            assert not over.value.value.stopped
            assert asyncio.all_tasks() == tasks
            # It was closed: nothing warns that it was never awaited.
            with pytest.raises(RuntimeError, match="cannot reuse"):
                await other

    asyncio.run(run())


def test_what_has_to_wait_goes_on_where_it_was() -> None:
    steps: list[str] = []

    async def slow(room: asyncio.Event) -> str:
        steps.append("begun")
        await room.wait()
        await asyncio.sleep(0)
        steps.append("goes on")
        return "put"

    async def run() -> None:
        async with consuming() as consumer:
            room = asyncio.Event()
            waits = asyncio.create_task(consumer.wait_first(slow(room), never()))
            await asyncio.sleep(0.05)
            assert steps == ["begun"]
            assert not waits.done()
            room.set()
            assert (await waits).results == ["put"]
            assert steps == ["begun", "goes on"]

    asyncio.run(run())


def test_what_waits_is_cancelled_when_another_is_first() -> None:
    ended: list[str] = []

    async def slow() -> None:
        try:
            await never()
        finally:
            ended.append("slow")

    async def run() -> None:
        async with consuming() as consumer:
            suspended = asyncio.Event()
            waits = asyncio.create_task(consumer.wait_first(slow(), suspended.wait()))
            await asyncio.sleep(0.05)
            suspended.set()
            assert (await waits).results == [True]
            await asyncio.sleep(0)
            assert ended == ["slow"]

    asyncio.run(run())


def test_an_error_is_the_caller_s() -> None:
    async def later() -> None:
        await asyncio.sleep(0)
        await failing()

    async def run() -> None:
        async with consuming() as consumer:
            for fails in (failing, later):
                other = never()
                with pytest.raises(ValueError, match="broken"):
                    await consumer.wait_first(fails(), other)
                await asyncio.sleep(0)
                with pytest.raises(RuntimeError, match="cannot reuse"):
                    await other

    asyncio.run(run())


def test_an_event_is_waited_for_as_faust_does() -> None:
    async def run() -> None:
        async with consuming() as consumer:
            event = asyncio.Event()
            asyncio.get_running_loop().call_later(0.05, event.set)
            assert (await consumer.wait_first(event)).done == [event]

    asyncio.run(run())
