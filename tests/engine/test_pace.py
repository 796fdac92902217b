"""When something is called, and what becomes of a call that fails."""

import asyncio

import pytest

from stream.engine.pace import Pace


def test_at_once_when_quiet_and_once_for_all_that_ask_within_the_interval() -> None:
    calls: list[int] = []

    async def run() -> None:
        pace = Pace(lambda: calls.append(1), 0.05, 10.0)
        pace.ask(behind=False)
        assert len(calls) == 1
        for _ in range(3):
            pace.ask(behind=False)
        assert len(calls) == 1
        await asyncio.sleep(0.2)
        assert len(calls) == 2
        # Behind, it is in no hurry.
        pace.now()
        pace.ask(behind=True)
        await asyncio.sleep(0.1)
        assert len(calls) == 3
        pace.stop()

    asyncio.run(run())


def test_who_asks_next_hears_of_a_call_that_failed_in_a_timer() -> None:
    calls: list[int] = []

    def fail_the_second_time() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("broken")

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        pace = Pace(fail_the_second_time, 0.02, 10.0)
        pace.ask(behind=False)
        pace.ask(behind=False)
        await asyncio.sleep(0.1)
        for call in (lambda: pace.ask(behind=False), pace.now):
            with pytest.raises(RuntimeError, match="broken"):
                call()

    asyncio.run(run())
    assert len(calls) == 2
