"""Alerts from a real Kafka to a server that fails, by processes that die: each arrives once."""

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.alerts.running import Runner, facts, fired, publish, starts, until
from tests.alerts.servers import DROP, STALL, Web, web
from tickertape.schemas.alert import Skipped
from tickertape.schemas.topics import SIGNALS
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin import topics
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

Make = Callable[..., Runner]


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    with EmbeddedKafka() as embedded:
        settings = Settings(broker=embedded.broker)
        topics.create(settings)
        yield settings


@pytest.fixture
def make(settings: Settings, tmp_path: Path, topic: Callable[..., str]) -> Make:
    """A function that makes a runner with a symbol, a channel, and a group of its own."""

    def made(server: Web, **route: object) -> Runner:
        return Runner(settings, tmp_path, topic("S").upper(), server, **route)

    return made


def arrived(server: Web, number: int) -> Callable[[], bool]:
    return lambda: len(set(starts(server.accepted))) >= number


def marked(runner: Runner, server: Web, number: int) -> None:
    """Publish one more signal, and wait for it: what was published before has been judged by then."""
    publish(runner.settings, fired(runner.symbol, number=999))
    until("the last signal arrives", arrived(server, number))


@pytest.mark.parametrize(
    "place",
    [
        # It has been sent, and that isn't recorded.
        "before Sent 1",
        *(
            pytest.param(place, marks=pytest.mark.long)
            for place in ("before Due 2", "before Sending 1", "after Sending 1", "after Sent 1", "before Position 1")
        ),
    ],
)
def test_each_arrives_once_through_the_death_of_its_sender(place: str, make: Make, settings: Settings) -> None:
    with web() as server:
        runner = make(server)
        signals = [fired(runner.symbol, number=n) for n in range(3)]
        publish(settings, *signals)
        with runner.running(die=place) as process:
            until("it dies", lambda: process.poll() is not None)
            assert process.returncode == -signal.SIGKILL, runner.log
        with runner.running():
            until("all have arrived", arrived(server, 3))
            # The workers' group has another name, say: all signals are published again.
            publish(settings, *signals)
            marked(runner, server, 4)
        times = Counter(starts(server.accepted))
        if place != "before Sent 1":
            assert set(times.values()) == {1}, runner.log
            return
        # It was sent, and nobody knows. The second try is the same message.
        assert max(times.values()) == 2
        first, second = server.accepted[:2]
        assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
        assert first.body == second.body
        assert [n for n in times.values() if n == 2] == [2] * len(first.json["alerts"])


@pytest.mark.long
def test_a_server_that_fails_in_every_way_gets_each_once(make: Make, settings: Settings) -> None:
    answers = (500, (429, {"Retry-After": "2"}), STALL, DROP, (503, {}), 401)
    with web(*answers) as server:
        runner = make(server)
        publish(settings, fired(runner.symbol))
        with runner.running():
            until("it has arrived", arrived(server, 1))
            marked(runner, server, 2)
    assert set(Counter(starts(server.accepted)).values()) == {1}
    assert len(server.requests) == len(answers) + 2
    assert len({request.headers["Idempotency-Key"] for request in server.requests[: len(answers) + 1]}) == 1
    # A server that says how long to wait is waited for.
    assert server.times[2] - server.times[1] >= 2


def test_a_message_that_is_refused_is_not_sent_again_and_holds_up_nothing(make: Make, settings: Settings) -> None:
    with web(400) as server:
        runner = make(server)
        publish(settings, fired(runner.symbol))
        with runner.running():
            until("it is refused", lambda: len(server.requests) == 1)
            marked(runner, server, 1)
    assert starts(server.accepted) == [fired(runner.symbol, number=999).start_ms]


@pytest.mark.long
def test_another_process_takes_over_from_one_that_dies_and_from_one_that_is_frozen(
    make: Make, settings: Settings
) -> None:
    with web() as server:
        runner = make(server)
        signals = [fired(runner.symbol, number=n) for n in range(3)]
        with runner.running() as first:
            publish(settings, signals[0])
            until("the first has sent", arrived(server, 1))
            with runner.running() as second:
                until("the second waits", lambda: runner.log.count("waiting until no other") >= 2)
                first.kill()
                publish(settings, signals[1])
                until("the second has taken over", arrived(server, 2))
                with runner.running():
                    until("the third waits", lambda: runner.log.count("waiting until no other") >= 3)
                    second.send_signal(signal.SIGSTOP)
                    publish(settings, signals[2])
                    until("the third has taken over", arrived(server, 3))
                    second.send_signal(signal.SIGCONT)
                    until("the second has noticed", lambda: "another process takes over" in runner.log)
                    publish(settings, *signals)
                    marked(runner, server, 4)
    assert set(Counter(starts(server.accepted)).values()) == {1}, runner.log


def test_what_is_published_before_it_starts_is_one_message_and_a_stop_is_orderly(
    make: Make, settings: Settings
) -> None:
    with web() as server:
        runner = make(server)
        publish(settings, *[fired(runner.symbol, number=n) for n in range(5)])
        with runner.running() as process:
            until("it arrives", arrived(server, 5))
            assert "s3cret" not in " ".join(psutil.Process(process.pid).cmdline())
            process.terminate()
            assert process.wait(60) == 0
    assert [len(request.json["alerts"]) for request in server.accepted] == [5]
    assert "s3cret" not in runner.log


def test_what_is_too_old_is_recorded_and_not_sent(make: Make, settings: Settings) -> None:
    with web() as server:
        runner = make(server, max_age_seconds=3600)
        old = fired(runner.symbol, ago_ms=7_200_000)
        publish(settings, old)
        with runner.running():
            marked(runner, server, 1)
    assert len(server.accepted) == 1
    name = f"breakout|{runner.symbol}|all|1s|{old.start_ms}"
    assert Skipped(runner.symbol, "fired", name, "too old") in facts(settings)


@pytest.mark.long
def test_a_failing_channel_gives_up_what_grows_too_old(make: Make, settings: Settings) -> None:
    with web(*[500] * 1000) as server:
        runner = make(server, max_age_seconds=20)
        publish(settings, fired(runner.symbol))
        with runner.running():
            until("it was tried", lambda: len(server.requests) > 0)
            until(
                "it is given up",
                lambda: any(
                    getattr(f, "outcome", "") == "too old" and f.channel == runner.symbol for f in facts(settings)
                ),
            )
    assert server.accepted == []


@pytest.mark.long
def test_a_provisional_signal_is_followed_up(make: Make, settings: Settings) -> None:
    with web() as server:
        runner = make(server, provisional=True, confirm_seconds=20, group_seconds=0)
        with runner.running():
            same, other, gone = (fired(runner.symbol, number=n, final=False) for n in range(3))
            publish(settings, same, other, gone)
            until("they have arrived", arrived(server, 3))
            publish(settings, fired(runner.symbol, number=0))
            publish(settings, fired(runner.symbol, number=1, value=104.0))
            until("one is confirmed", lambda: any(r.json["stage"] == "confirmed" for r in server.accepted))
            until("one is retracted", lambda: any(r.json["stage"] == "retracted" for r in server.accepted))
            marked(runner, server, 4)
    by_stage = {stage: [r for r in server.accepted if r.json["stage"] == stage] for stage in ("confirmed", "retracted")}
    assert starts(by_stage["confirmed"]) == [other.start_ms]
    assert starts(by_stage["retracted"]) == [gone.start_ms]
    (confirmed,), (retracted,) = by_stage["confirmed"], by_stage["retracted"]
    assert confirmed.json["alerts"][0]["value"] == 104.0
    first = next(r for r in server.accepted if gone.start_ms in starts([r]))
    assert retracted.json["reply_to"] == first.json["id"]
    assert not first.json["alerts"][0]["final"]


def test_a_missing_topic_is_told_of(tmp_path: Path) -> None:
    with EmbeddedKafka(tmp_path / "kafka") as empty, web() as server:
        runner = Runner(Settings(broker=empty.broker), tmp_path, "NONE", server)
        with runner.running() as process:
            assert process.wait(120) == 4
    assert f"topic {SIGNALS.name} doesn't exist on {empty.broker}: run `tickertape topics create`" in runner.log
