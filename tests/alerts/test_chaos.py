"""Chaos: processes and the broker are killed at random while the server fails at random, and all arrives."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.alerts.running import Runner, fired, publish, starts, until
from tests.alerts.servers import DROP, web
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin import topics
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka

pytestmark = [pytest.mark.kafka, pytest.mark.long]

ROUNDS, EACH = 6, 8
FAILURES = [200, 200, 200, 500, DROP, (429, {"Retry-After": "1"})]


@pytest.fixture
def kafka_to_kill(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka(tmp_path / "kafka") as embedded:
        yield embedded


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 2])
def test_all_arrives_and_again_only_where_a_process_died(
    seed: int, kafka_to_kill: EmbeddedKafka, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    settings = Settings(broker=kafka_to_kill.broker)
    topics.create(settings)
    signals = [fired("CHAOS", number=n) for n in range(ROUNDS * EACH)]
    deaths = 0
    with web(*rng.choices(FAILURES, k=40)) as server:
        runner = Runner(settings, tmp_path, "CHAOS", server)
        for turn in range(ROUNDS):
            published = signals[: (turn + 1) * EACH]
            # Every second time, all earlier ones are published again.
            publish(settings, *(published if turn % 2 else published[-EACH:]))
            with ExitStack() as processes:
                for _ in range(rng.randint(1, 2)):
                    processes.enter_context(runner.running())
                before = len(server.requests)
                until("something is tried", lambda: len(server.requests) > before)  # noqa: B023 - called here
                time.sleep(rng.uniform(0, 0.5))
                if turn in (1, 4):
                    kafka_to_kill.kill()
                    kafka_to_kill.start()
            deaths += 1
        with runner.running():
            until("all have arrived", lambda: len(set(starts(server.accepted))) == len(signals))
            publish(settings, *signals, fired("CHAOS", number=999))
            until("the last has arrived", lambda: fired("CHAOS", number=999).start_ms in starts(server.accepted))
    accepted = Counter(request.headers["Idempotency-Key"] for request in server.accepted)
    assert sum(accepted.values()) - len(accepted) <= deaths, runner.log
    bodies = {(request.headers["Idempotency-Key"], request.body) for request in server.requests}
    assert len(bodies) == len({key for key, _ in bodies})
    once = {key: starts([request]) for request in server.accepted for key in [request.headers["Idempotency-Key"]]}
    assert Counter(start for some in once.values() for start in some) == Counter(
        dict.fromkeys([*(one.start_ms for one in signals), fired("CHAOS", number=999).start_ms], 1)
    )
