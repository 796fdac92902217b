"""The faults: each is a function that returns when the fault is over, without waiting for recovery."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec
from kafka.admin import ConfigResource, ConfigResourceType
from msgspec import Struct

from tickertape.schemas.topics import BARS, SLICES, TRADES, Topic
from tickertape.stream.chaos.oracle.feed import Places, replace
from tickertape.stream.chaos.quota import throttled
from tickertape.stream.cluster.slot import Slot
from tickertape.stream.cluster.supervisor import Supervisor
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin import members, topics
from tickertape.stream.kafka.admin.client import connected
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka

MOST_PARTITIONS = 12
# The time from when workers own added partitions until feeds use them: both must know of them before.
ADDED_AHEAD_MS = 3000
OWNED_SECONDS = 30.0
# A frozen worker is woken this long after its session has expired: by then it has been replaced.
BEYOND_SESSION_SECONDS = 2.5
BROKER_AWAY_SECONDS = (0.0, 3.0)
BROKER_FROZEN_SECONDS = (2.0, 9.0)
# The rate to which a stalled worker's writes are limited, and for how long.
STALLED_BYTES_PER_SECOND = 500.0
STALLED_SECONDS = (2.5, 4.5)
SINK_AWAY_SECONDS = (2.0, 5.0)
# A limit of record size below any record's, so that Kafka refuses all writes.
NOTHING_BYTES = 32
# A removed worker learns of it from its next heartbeat or its next commit, whichever is first. `forget` removes workers
# until one learns of it from a commit that Kafka refuses, but at most this many.
MOST_FORGOTTEN = 12
FORGOTTEN_SECONDS = 2.0


class Stage(Struct):
    """The processes of a run, on which faults act.

    Attributes
    ----------
    settings
        The workers' settings.
    kafka, supervisor
        The broker, and the workers' supervisor.
    feeds
        The feeds, by source.
    workers
        The number of workers while no fault changes it.
    folder
        The folder with ``places.json``, from which the feeds read the partitions to use.
    places
        The content of ``places.json``.
    refused
        Returns how many commits Kafka has refused so far.
    """

    settings: Settings
    kafka: EmbeddedKafka
    supervisor: Supervisor
    feeds: dict[str, Slot]
    workers: int
    folder: Path
    places: Places
    refused: Callable[[], int]

    def use(self, from_ms: int, partitions: int) -> None:
        """Make the feeds use this many partitions for all events from a time on."""
        self.places.append((from_ms, partitions))
        replace(self.folder / "places.json", msgspec.json.encode(self.places))

    def a_worker(self, rng: random.Random) -> int:
        """Return the slot of a random running worker, or of any worker if none is running."""
        return rng.choice(list(self.supervisor.pids) or self.supervisor.slots)


def kill(stage: Stage, rng: random.Random) -> None:
    stage.supervisor.kill(stage.a_worker(rng))


def kill_all(stage: Stage, _: random.Random) -> None:
    for slot in stage.supervisor.slots:
        stage.supervisor.kill(slot)


def freeze(stage: Stage, rng: random.Random) -> None:
    """Freeze a worker until others own its partitions, then wake it: it is a zombie until it notices."""
    supervisor, owned = stage.supervisor, members.describe(stage.settings).owned
    slicing = [slot for slot in supervisor.slots if owned.get(supervisor.name(slot), {}).get(TRADES.name)]
    _freeze(stage, [rng.choice(slicing or supervisor.slots)])


def freeze_all_but_one(stage: Stage, rng: random.Random) -> None:
    """Freeze all workers but one, which takes over from the others, then wake them."""
    _freeze(stage, rng.sample(stage.supervisor.slots, max(1, len(stage.supervisor.slots) - 1)))


def _freeze(stage: Stage, slots: list[int]) -> None:
    pids = stage.supervisor.pids
    with suppress(ProcessLookupError), ExitStack() as frozen:
        for slot in slots:
            if slot in pids:
                frozen.enter_context(_frozen(pids[slot]))
        time.sleep(stage.settings.session_seconds + BEYOND_SESSION_SECONDS)


@contextmanager
def _frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def forget(stage: Stage, rng: random.Random) -> None:
    """Remove running workers from the group, one after another, until Kafka has refused a commit."""
    before = stage.refused()
    for _ in range(MOST_FORGOTTEN):
        owned = members.describe(stage.settings).owned
        slots = [slot for slot in stage.supervisor.slots if owned.get(stage.supervisor.name(slot))]
        if slots:
            members.remove(stage.settings, stage.supervisor.name(rng.choice(slots)))
        time.sleep(FORGOTTEN_SECONDS)
        if stage.refused() > before:
            return


def stop_broker(stage: Stage, rng: random.Random) -> None:
    stage.kafka.stop()
    time.sleep(rng.uniform(*BROKER_AWAY_SECONDS))
    stage.kafka.start()


def kill_broker(stage: Stage, rng: random.Random) -> None:
    stage.kafka.kill()
    time.sleep(rng.uniform(*BROKER_AWAY_SECONDS))
    stage.kafka.start()


def freeze_broker(stage: Stage, rng: random.Random) -> None:
    """Freeze the broker, as a hanging disk would: connections stay open, requests go unanswered, sessions expire."""
    pid = stage.kafka.pid
    if pid is None:
        return
    with _frozen(pid):
        time.sleep(rng.uniform(*BROKER_FROZEN_SECONDS))


def stall(stage: Stage, rng: random.Random) -> None:
    """Limit a worker's writes to almost nothing, while its commits get through, and then kill the worker."""
    slot = stage.a_worker(rng)
    client = f"{stage.settings.consumer_group}-{stage.supervisor.name(slot)}"
    with throttled(stage.settings, client, STALLED_BYTES_PER_SECOND):
        time.sleep(rng.uniform(*STALLED_SECONDS))
        stage.supervisor.kill(slot)


def grow(stage: Stage, rng: random.Random) -> None:
    """Add one to three partitions to ``trades``, up to MOST_PARTITIONS in all, and make the feeds use them."""
    partitions = min(MOST_PARTITIONS, stage.places[-1][1] + rng.randint(1, 3))
    add_partitions(stage, TRADES, partitions)
    time.sleep(ADDED_AHEAD_MS / 1000)


def add_partitions(stage: Stage, topic: Topic, partitions: int) -> None:
    """Add partitions to a topic, and make the feeds use them once workers own them."""
    topics.add_partitions(stage.settings, topic, partitions)
    until = time.monotonic() + OWNED_SECONDS
    while time.monotonic() < until:
        if members.describe(stage.settings).share(topic.name, partitions):
            break
        time.sleep(0.3)
    # Go on even if some have no owner yet: the comparison with the oracle shows what that did to the bars.
    stage.use(int(time.time() * 1000) + ADDED_AHEAD_MS, partitions)


def scale(stage: Stage, rng: random.Random) -> None:
    """Add or remove a worker, and undo that after a few seconds."""
    stage.supervisor.scale(stage.workers + rng.choice((-1, 1)) if stage.workers > 1 else 2)
    time.sleep(rng.uniform(2, 4))
    stage.supervisor.scale(stage.workers)


def storm(stage: Stage, rng: random.Random) -> None:
    """Start, stop and kill workers within seconds, so that one rebalance follows another."""
    for workers in (stage.workers + 2, stage.workers + 1, stage.workers + 2, stage.workers):
        stage.supervisor.scale(workers)
        time.sleep(rng.uniform(0.3, 1.2))
        stage.supervisor.kill(stage.a_worker(rng))


def kill_feed(stage: Stage, rng: random.Random) -> None:
    """Kill a feed; its successor sends again all records whose acknowledgement isn't certain."""
    rng.choice(list(stage.feeds.values())).kill()


def reject_writes(stage: Stage, rng: random.Random) -> None:
    """Make Kafka refuse the workers' writes to ``bars`` or ``slices`` for a while, so that the workers fail."""
    topic = rng.choice((BARS, SLICES))
    _take_records_of(stage, topic, NOTHING_BYTES)
    try:
        time.sleep(rng.uniform(*SINK_AWAY_SECONDS))
    finally:
        _take_records_of(stage, topic, topic.max_record_bytes)


def _take_records_of(stage: Stage, topic: Topic, size_bytes: int) -> None:
    """Set the largest size of a topic's records."""
    with connected(stage.settings) as admin:
        admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic.name, {"max.message.bytes": str(size_bytes)})]
        )


#: The faults, by their names in `tickertape chaos --fault NAME`.
FAULTS: dict[str, Callable[[Stage, random.Random], None]] = {
    "kill": kill,
    "freeze": freeze,
    "forget": forget,
    "broker-kill": kill_broker,
    "grow": grow,
    "feed-kill": kill_feed,
    "kill-all": kill_all,
    "broker-freeze": freeze_broker,
    "broker-stop": stop_broker,
    "scale": scale,
    "storm": storm,
    "sink-rejects": reject_writes,
    "stall": stall,
}
