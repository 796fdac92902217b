"""The budget of a host is one for all feeds of the machine, and outlives them."""

import asyncio
import fcntl
import logging
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickertape.stream.feeds.hosts import budget as budgets
from tickertape.stream.feeds.hosts import known
from tickertape.stream.feeds.hosts.budget import LONGEST_SECONDS, Budget, asked_seconds, host_of
from tickertape.stream.feeds.hosts.cache import cache_folder
from tickertape.stream.feeds.hosts.limit import Busy, Limit, Limits

ANY = Limit(1000, 1.0)


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def budget(folder: Path, clock: Clock, connections: Limit = ANY, requests: Limit = ANY) -> Budget:
    return Budget("api.example", Limits(connections=connections, requests=requests), folder=folder, clock=clock)


def test_half_of_a_limit_may_be_used_at_once_and_the_rest_over_the_window(tmp_path: Path, clock: Clock) -> None:
    one = budget(tmp_path, clock, Limit(300, 300.0))
    assert [one._ask("connections", 1.0) for _ in range(150)] == [0.0] * 150
    # 150 more in 300 s: one every two seconds.
    assert one._ask("connections", 1.0) == pytest.approx(2.0)
    clock.now += 1.9
    assert one._ask("connections", 1.0) == pytest.approx(0.1)
    clock.now += 0.1
    assert one._ask("connections", 1.0) == 0.0


def test_how_much_is_used_is_known_of_all_feeds_of_the_machine(tmp_path: Path, clock: Clock) -> None:
    one, other = (budget(tmp_path, clock, Limit(300, 300.0), Limit(20, 10.0)) for _ in range(2))
    for _ in range(75):
        one._ask("connections", 1.0)
    one._ask("requests", 4.0)
    # Half of 300, and half of 20, may be used at once.
    expected = {"connections": 75 / 150, "requests": 4 / 10}
    assert one.used_ratios() == other.used_ratios() == pytest.approx(expected)
    assert budgets.used_ratios()["api.example", "requests"] == pytest.approx(0.4)
    # It wears off: 150 in 300 s, and 10 in 10 s.
    clock.now += 2.0
    assert other.used_ratios() == pytest.approx({"connections": 74 / 150, "requests": 2 / 10})
    clock.now += 1000.0
    assert other.used_ratios() == {"connections": 0.0, "requests": 0.0}


@given(
    count=st.integers(1, 50),
    seconds=st.floats(0.5, 600.0),
    pauses=st.lists(st.floats(0.0, 300.0), min_size=1, max_size=30),
)
@settings(max_examples=50, deadline=None)
def test_no_window_has_more_than_the_limit(
    tmp_path_factory: pytest.TempPathFactory, count: int, seconds: float, pauses: list[float]
) -> None:
    clock = Clock()
    one = budget(tmp_path_factory.mktemp("budget"), clock, Limit(count, seconds))
    taken: list[float] = []
    for pause in pauses:
        clock.now += pause
        for _ in range(10):
            if wait := one._ask("connections", 1.0):
                clock.now += wait
            else:
                taken.append(clock.now)
    # The last instant of a window isn't part of it.
    assert all(sum(start <= at < start + seconds * 0.999 for at in taken) <= count for start in taken)


def test_feeds_share_it_and_a_new_process_goes_on_with_it(tmp_path: Path, clock: Clock) -> None:
    one, other = (budget(tmp_path, clock, Limit(8, 60.0)) for _ in range(2))
    assert [each._ask("connections", 1.0) for each in (one, other, one, other)] == [0.0] * 4
    assert other._ask("connections", 1.0) == pytest.approx(15.0)
    # As after a restart.
    assert budget(tmp_path, clock, Limit(8, 60.0))._ask("connections", 1.0) == pytest.approx(15.0)
    # Requests have a limit of their own, and another host has all of its own.
    assert one._ask("requests", 1.0) == 0.0
    assert Budget("other.example", folder=tmp_path, clock=clock)._ask("connections", 1.0) == 0.0


def test_a_host_that_says_so_is_left_alone_by_all_also_after_a_restart(tmp_path: Path, clock: Clock) -> None:
    one, other = (budget(tmp_path, clock) for _ in range(2))
    one.block(90.0)
    other.block(30.0)
    assert [other._ask(name, 1.0) for name in ("connections", "requests")] == [90.0, 90.0]
    assert other.blocked_seconds == 90.0
    clock.now += 60.0
    assert budget(tmp_path, clock)._ask("connections", 1.0) == 30.0
    clock.now += 30.0
    assert one._ask("connections", 1.0) == 0.0
    assert one.blocked_seconds == 0.0


def test_a_ban_is_obeyed_for_three_days_at_most(tmp_path: Path, clock: Clock) -> None:
    one = budget(tmp_path, clock)
    one.block(1e9)
    assert one._ask("requests", 1.0) == LONGEST_SECONDS == 3 * 24 * 3600
    # The clock was a year ahead then.
    clock.now -= 365 * 24 * 3600
    assert one._ask("requests", 1.0) == 0.0


def test_a_request_costs_its_weight_and_one_that_costs_all_is_allowed_alone(tmp_path: Path, clock: Clock) -> None:
    one = budget(tmp_path, clock, requests=Limit(100, 60.0))
    assert one._ask("requests", 40.0) == 0.0
    assert one._ask("requests", 20.0) == pytest.approx(10 / (50 / 60))
    clock.now += 12.0
    assert one._ask("requests", 20.0) == 0.0
    assert one._ask("requests", 80.0) == pytest.approx(60.0)
    clock.now += 60.0
    assert one._ask("requests", 80.0) == 0.0
    # And its whole weight has to wear off.
    assert one._ask("requests", 1.0) == pytest.approx(31 / (50 / 60))


def test_who_has_no_patience_is_told_how_long_it_takes(tmp_path: Path, clock: Clock) -> None:
    one = budget(tmp_path, clock)
    one.block(90.0)
    assert asyncio.run(one.request(1.0, within_seconds=60.0)) == 90.0


def test_waiting_is_told_and_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = Budget("api.example", Limits(connections=Limit(2, 1.2)), folder=tmp_path)

    async def scenario() -> None:
        began = time.monotonic()
        await one.connection()
        await one.connection()
        assert time.monotonic() - began >= 1.1

    asyncio.run(scenario())
    assert caplog.messages == ["api.example: no connections are allowed for 1.2 s"]


@pytest.mark.parametrize("content", [b"", b"no JSON\n", b'{"until": 9e99', b'{"until": "x"}\n', b"\x00\xff\n"])
def test_a_file_that_cannot_be_read_is_begun_anew(tmp_path: Path, clock: Clock, content: bytes) -> None:
    (tmp_path / "api.example.json").write_bytes(content)
    one = budget(tmp_path, clock)
    assert one._ask("connections", 1.0) == 0.0
    one.block(5.0)
    assert budget(tmp_path, clock)._ask("connections", 1.0) == 5.0


def test_without_a_folder_the_budget_is_this_process_s_alone(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    one = budget(tmp_path / "file", clock, Limit(2, 60.0))
    assert one._ask("connections", 1.0) == 0.0
    assert one._ask("connections", 1.0) > 0.0
    assert len(caplog.messages) == 1
    assert "the budget of api.example isn't shared with other feeds: " in caplog.text


def test_a_process_that_is_frozen_with_the_lock_stops_nobody(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budgets, "LOCK_TRIES", 3)
    one = budget(tmp_path, clock)
    one.block(5.0)
    with (tmp_path / "api.example.json").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert one._ask("connections", 1.0) == 5.0


def test_processes_that_use_it_at_once_lose_no_use(tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
from tickertape.stream.feeds.hosts.budget import Budget
from tickertape.stream.feeds.hosts.limit import Limit, Limits
many = Limits(connections=Limit(1_000_000, 1e9))
budget = Budget("api.example", many, folder=Path({str(tmp_path)!r}))
print("ready", flush=True)
input()
for _ in range(1000):
    assert budget._ask("connections", 1.0) == 0.0
"""
    command = [sys.executable, "-c", program]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    state = budgets._decode((tmp_path / "api.example.json").read_bytes())
    # A thousandth a second has worn off.
    assert 2999 < state.connections.used <= 3000


def test_the_files_are_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("hosts") == tmp_path / "tickertape" / "hosts"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder("hosts") == tmp_path / "home" / ".cache" / "tickertape" / "hosts"


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (429, "7", 7.0),
        (503, "120", 120.0),
        # 2023-11-14 22:14:20 UTC is a minute after the clock.
        (429, "Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        (429, "Tue, 14 Nov 2023 22:12:20 GMT", 0.0),
        (429, "", 10.0),
        (418, "soon", 120.0),
        (503, "", 0.0),
    ],
)
def test_how_long_a_host_wants_to_be_left_alone(status: int, header: str, seconds: float) -> None:
    unsaid_seconds = Limits().busy_seconds(status, "") or 0.0
    assert asked_seconds(header, unsaid_seconds, 1_700_000_000.0) == seconds


@pytest.mark.parametrize(
    ("limits", "status", "text", "seconds"),
    [
        (known.BINANCE, 429, "", 10.0),
        (known.BINANCE, 418, "Way too much request weight used", 120.0),
        (known.BINANCE, 403, "", None),
        (known.BYBIT, 403, "access too frequent", 600.0),
        (known.BYBIT, 403, "", 600.0),
        (known.BYBIT, 403, "configured to block access from your country.", None),
        (known.BYBIT, 404, "", None),
        (known.KRAKEN, 200, '{"error":["EGeneral:Too many requests"]}', 10.0),
        (known.KRAKEN, 200, '{"error":[],"result":{}}', None),
        (known.KRAKEN, 403, "", None),
        (Limits(busy=(Busy(503, 7.0, "slow down"),)), 503, "please slow down", 7.0),
        (Limits(busy=(Busy(503, 7.0, "slow down"),)), 503, "maintenance", None),
    ],
)
def test_how_a_host_says_that_it_was_asked_too_often(
    limits: Limits, status: int, text: str, seconds: float | None
) -> None:
    assert limits.busy_seconds(status, text) == seconds


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("wss://Stream.Example:9443/ws?key=secret", "stream.example"),
        ("wss://[::1]:80/", "::1"),
        ("wss:///nobody", "unknown"),
        ("wss://[", "unknown"),
    ],
)
def test_a_budget_is_a_host_s_whatever_its_port_and_path(url: str, host: str) -> None:
    assert host_of(url) == host


def test_logging_is_quiet_otherwise(tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    asyncio.run(budget(tmp_path, clock).connection())
    assert [record for record in caplog.records if record.name.startswith("tickertape")] == []
