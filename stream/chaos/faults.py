"""The faults: each a function that strikes, and returns when the blow is over; what it takes to recover is not its."""

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
from tickertape.stream.chaos.feed import Places, replace
from tickertape.stream.chaos.quota import slowed
from tickertape.stream.cluster.supervisor import Slot, Supervisor
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin import members, topics
from tickertape.stream.kafka.admin.client import connected
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka

MOST_PARTITIONS = 12
# From when workers have the partitions that were added to when the feeds use them: both hear of it in time.
ADDED_AHEAD_MS = 3000
OWNED_SECONDS = 30.0
# A frozen worker wakes when it has been replaced.
BEYOND_SESSION_SECONDS = 2.5
BROKER_AWAY_SECONDS = (0.0, 3.0)
BROKER_FROZEN_SECONDS = (2.0, 9.0)
# No more of what a worker writes than that, for so long.
STALLED_BYTES_A_SECOND = 500.0
STALLED_SECONDS = (2.5, 4.5)
SINK_AWAY_SECONDS = (2.0, 5.0)
# Less than any record has.
NOTHING_BYTES = 32
# A worker learns from its next heartbeat or its next commit that it was removed; so often it may be the heartbeat.
MOST_FORGOTTEN = 12
FORGOTTEN_SECONDS = 2.0


class Stage(Struct):
    """What there is to strike.

    Attributes
    ----------
    settings
        The workers'.
    kafka, supervisor
        As named.
    feeds
        By source.
    workers
        How many there are while nothing is wrong.
    folder
        Where the feeds look up which partitions they use.
    places
        That.
    refused
        Says how many commits Kafka has refused.
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
        """Have the feeds use so many partitions for what happens from a time on."""
        self.places.append((from_ms, partitions))
        replace(self.folder / "places.json", msgspec.json.encode(self.places))

    def a_worker(self, rng: random.Random) -> int:
        """Return the slot of one that runs."""
        return rng.choice(list(self.supervisor.pids) or self.supervisor.slots)


def kill(stage: Stage, rng: random.Random) -> None:
    stage.supervisor.kill(stage.a_worker(rng))


def kill_all(stage: Stage, _: random.Random) -> None:
    for slot in stage.supervisor.slots:
        stage.supervisor.kill(slot)


def freeze(stage: Stage, rng: random.Random) -> None:
    """Freeze a worker until others have its partitions, and wake it: what it still sends is a zombie's."""
    supervisor, owned = stage.supervisor, members.describe(stage.settings).owned
    slicing = [slot for slot in supervisor.slots if owned.get(supervisor.name(slot), {}).get(TRADES.name)]
    _freeze(stage, [rng.choice(slicing or supervisor.slots)])


def freeze_all_but_one(stage: Stage, rng: random.Random) -> None:
    """The same, with one worker left to take over from all others."""
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
    """Remove a running worker from the group, and more of them until Kafka has refused a commit."""
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
    """Freeze the broker, as a disk that hangs would: connections stand, nothing is answered, sessions run out."""
    pid = stage.kafka.pid
    if pid is None:
        return
    with _frozen(pid):
        time.sleep(rng.uniform(*BROKER_FROZEN_SECONDS))


def stall(stage: Stage, rng: random.Random) -> None:
    """Have Kafka take next to nothing of what a worker writes, but its commits, and then kill it."""
    slot = stage.a_worker(rng)
    client = f"{stage.settings.consumer_group}-{stage.supervisor.name(slot)}"
    with slowed(stage.settings, client, STALLED_BYTES_A_SECOND):
        time.sleep(rng.uniform(*STALLED_SECONDS))
        stage.supervisor.kill(slot)


def grow(stage: Stage, rng: random.Random) -> None:
    """Add partitions, and have the feeds use them; once there are many it is over at once."""
    partitions = min(MOST_PARTITIONS, stage.places[-1][1] + rng.randint(1, 3))
    add_partitions(stage, TRADES, partitions)
    time.sleep(ADDED_AHEAD_MS / 1000)


def add_partitions(stage: Stage, topic: Topic, partitions: int) -> None:
    """Add them to the topic, and once workers have them to what the feeds use."""
    topics.grow(stage.settings, topic, partitions)
    until = time.monotonic() + OWNED_SECONDS
    while time.monotonic() < until:
        if members.describe(stage.settings).share(topic.name, partitions):
            break
        time.sleep(0.3)
    # In case of none, what is stuck shows in the bars.
    stage.use(int(time.time() * 1000) + ADDED_AHEAD_MS, partitions)


def scale(stage: Stage, rng: random.Random) -> None:
    """Have a worker more or less, and after a while as many as before."""
    stage.supervisor.scale(stage.workers + rng.choice((-1, 1)) if stage.workers > 1 else 2)
    time.sleep(rng.uniform(2, 4))
    stage.supervisor.scale(stage.workers)


def storm(stage: Stage, rng: random.Random) -> None:
    """Have workers join, leave and die, all within seconds: each of it is a rebalance."""
    for workers in (stage.workers + 2, stage.workers + 1, stage.workers + 2, stage.workers):
        stage.supervisor.scale(workers)
        time.sleep(rng.uniform(0.3, 1.2))
        stage.supervisor.kill(stage.a_worker(rng))


def kill_feed(stage: Stage, rng: random.Random) -> None:
    """Kill a feed; the next one sends again what it isn't sure of."""
    rng.choice(list(stage.feeds.values())).kill()


def reject_writes(stage: Stage, rng: random.Random) -> None:
    """Have Kafka refuse what workers write to an output, so that they can't but fail, until it takes it again."""
    topic = rng.choice((BARS, SLICES))
    _take_records_of(stage, topic, NOTHING_BYTES)
    try:
        time.sleep(rng.uniform(*SINK_AWAY_SECONDS))
    finally:
        _take_records_of(stage, topic, topic.max_record_bytes)


def _take_records_of(stage: Stage, topic: Topic, size_bytes: int) -> None:
    """Set how large a record may be."""
    with connected(stage.settings) as admin:
        admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic.name, {"max.message.bytes": str(size_bytes)})]
        )


#: By the name that the command takes.
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
