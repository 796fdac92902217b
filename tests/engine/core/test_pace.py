"""When something is called, and what becomes of a call that fails."""

import asyncio
import time

import pytest
from faust.types import TP

from tickertape.stream.engine.core.pace import Pace
from tickertape.stream.engine.core.workload import Workload


def test_once_for_all_that_ask_together_and_seldom_with_a_backlog() -> None:
    calls: list[int] = []

    async def run() -> None:
        workload = Workload()
        pace = Pace(lambda: calls.append(1), 10.0, workload, 2)
        for _ in range(3):
            pace.ask()
        assert not calls
        await asyncio.sleep(0.1)
        assert len(calls) == 1
        # With a backlog, wherever it is, there is no hurry.
        workload.record_backlog(TP("trades", 1), behind=True)
        pace.ask()
        await asyncio.sleep(0.1)
        assert len(calls) == 1
        # Once it is read, who asks doesn't wait for what was asked for before.
        workload.record_backlog(TP("trades", 1), behind=False)
        pace.ask()
        await asyncio.sleep(0.1)
        assert len(calls) == 2
        pace.ask()
        pace.stop()
        await asyncio.sleep(0.1)
        assert len(calls) == 2

    asyncio.run(run())


def test_twice_as_seldom_with_a_large_backlog() -> None:
    async def run() -> None:
        workload = Workload()
        pace = Pace(lambda: None, 1000.0, workload, 2)

        def is_due_within(seconds: float) -> bool:
            assert pace._due is not None
            return pace._due.when() < asyncio.get_running_loop().time() + seconds

        workload.record_backlog(TP("trades", 1), behind=True, far=True)
        pace.now()
        pace.ask()
        assert is_due_within(2000)
        assert not is_due_within(1500)
        # Who asks once it is smaller waits only for the rest of the shorter time.
        workload.record_backlog(TP("trades", 1), behind=True)
        pace.ask()
        assert is_due_within(1000)
        pace.stop()

    asyncio.run(run())


def test_who_is_in_no_hurry_waits_and_hurries_nobody_else() -> None:
    calls: list[int] = []

    async def run() -> None:
        pace = Pace(lambda: calls.append(1), 10.0, Workload(), 2)
        pace.ask(0.2)
        await asyncio.sleep(0.1)
        assert not calls
        pace.ask()
        await asyncio.sleep(0.05)
        assert len(calls) == 1
        pace.ask(0.1)
        pace.ask(10.0)  # doesn't put off what was asked for
        await asyncio.sleep(0.2)
        assert len(calls) == 2

    asyncio.run(run())


@pytest.mark.parametrize("share", [2, 4])
def test_calls_take_a_share_of_the_time_at_most(share: int) -> None:
    calls: list[float] = []

    def take_long() -> None:
        calls.append(time.monotonic())
        time.sleep(0.05)

    async def run() -> None:
        pace = Pace(take_long, 10.0, Workload(), share)
        pace.now()
        pace.ask()
        await asyncio.sleep(0.3)

    asyncio.run(run())
    assert share * 0.05 <= calls[1] - calls[0] < 10.0


def test_who_asks_next_hears_of_a_call_that_failed_in_a_timer() -> None:
    calls: list[int] = []

    def fail_the_second_time() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("broken")

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        pace = Pace(fail_the_second_time, 10.0, Workload(), 2)
        pace.now()
        pace.ask()
        await asyncio.sleep(0.1)
        for call in (pace.ask, pace.now):
            with pytest.raises(RuntimeError, match="broken"):
                call()

    asyncio.run(run())
    assert len(calls) == 2


def test_the_workload_hears_of_the_end_of_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    for module in ("pace", "workload"):
        monkeypatch.setattr(f"tickertape.stream.engine.core.{module}.monotonic", lambda: now)

    def work_for(seconds: float) -> None:
        nonlocal now
        now += seconds

    workload = Workload(10.0)
    Pace(lambda: work_for(0.125), 10.0, workload, 2).now()
    # What is left of the least.
    assert workload.rest_seconds(100.0) == 9.875
    workload = Workload(0.25)
    began = now
    now += 0.25
    Pace(lambda: work_for(0.125), 10.0, workload, 2).now()
    # The next fetch is as long after the end as the call took: 0.5 s after the answer.
    assert workload.rest_seconds(began) == 0.125
