"""``tickertape doctor``: check what a pipeline depends on, and say how to fix each problem."""

import asyncio
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Literal

import psutil
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from msgspec import Struct

from tickertape.schemas.topics import CONTROL
from tickertape.stream.compiled.build import OFF
from tickertape.stream.compiled.library import path_taken, why_numpy
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import BrokerError, TickertapeError
from tickertape.stream.kafka.access.security import for_aiokafka
from tickertape.stream.kafka.admin import drift, members, topics
from tickertape.stream.kafka.admin.client import connected

State = Literal["ok", "warning", "wrong"]

# Enough for a worker with 10,000 symbols and every agent, and for Kafka on the same machine.
MEMORY_BYTES = 2 << 30
# Enough for an embedded Kafka, or for an hour of a busy one.
DISK_BYTES = 5 << 30
CLOCK_SECONDS = 10.0
_MARKS = {"ok": "ok     ", "warning": "warning", "wrong": "WRONG  "}


class Finding(Struct, frozen=True):
    """The result of one check.

    Attributes
    ----------
    what
        What was checked, in a word or two.
    state
        ``wrong`` means that a pipeline won't run, or won't run correctly.
    found
        What the check found.
    do
        How to fix it; empty if nothing needs to be done.
    """

    what: str
    state: State
    found: str
    do: str = ""

    def __str__(self) -> str:
        return f"{_MARKS[self.state]} {self.what}: {self.found}" + (f"; {self.do}" if self.do else "")


def examine(settings: Settings) -> Iterator[Finding]:
    """Run all checks, and yield their findings. Those about Kafka are left out if it can't be reached."""
    yield _python()
    yield _hot_path()
    yield _memory()
    yield _disk()
    yield from _settings(settings)
    if not settings.broker:
        yield Finding(
            "broker", "warning", "none is set", "set TICKERTAPE_BROKER; without it, `tickertape up` starts a Kafka"
        )
        return
    try:
        with connected(settings) as admin:
            nodes = admin.describe_cluster().get("brokers", [])
            version = ".".join(map(str, admin.config.get("api_version") or ())) or "unknown"
    except TickertapeError as error:
        yield Finding("broker", "wrong", str(error), "then run this again: all other checks of Kafka were skipped")
        return
    yield Finding("broker", "ok", f"{settings.broker} answers, with {len(nodes)} broker(s); protocol version {version}")
    for look in (_topics, _group, _clock):
        yield from _checked(look, settings)


def _checked(look: Callable[[Settings], Iterator[Finding]], settings: Settings) -> Iterator[Finding]:
    name = look.__name__.strip("_")
    try:
        yield from look(settings)
    except BrokerError as error:
        yield Finding(name, "wrong", str(error))


def _python() -> Finding:
    # Never wrong: with too old a Python this command couldn't have been installed.
    return Finding("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _hot_path() -> Finding:
    # To turn it off is somebody's wish.
    if why_numpy() in ("", f"{OFF} is set"):
        return Finding("hot path", "ok", path_taken())
    return Finding("hot path", "warning", path_taken(), "results are the same, but a worker takes longer for them")


def _memory() -> Finding:
    free = psutil.virtual_memory().available
    found = f"{free / 2**30:.1f} GiB free"
    if free < MEMORY_BYTES:
        need = "a worker with 10,000 symbols and every agent needs 1.3 GiB"
        return Finding("memory", "warning", found, f"free some, or run fewer workers: {need}")
    return Finding("memory", "ok", found)


def _disk() -> Finding:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    found = f"{free / 2**30:.0f} GiB free in {folder}"
    if free < DISK_BYTES:
        return Finding(
            "disk",
            "warning",
            found,
            "set TMPDIR to a folder on a larger disk: an embedded Kafka and replays write there",
        )
    return Finding("disk", "ok", found)


def _settings(settings: Settings) -> Iterator[Finding]:
    wrong = list(contradictions(settings))
    for found, do in wrong:
        yield Finding("settings", "wrong", found, do)
    if not wrong:
        yield Finding("settings", "ok", f"group {settings.group}, epoch {settings.epoch}")


def contradictions(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with settings that contradict each other or name something unknown, and how to fix it."""
    from tickertape.stream.engine.define.discovery import configured
    from tickertape.stream.engine.derived.derived import outputs_of

    try:
        agents = configured(settings)
        outputs_of(agents.windowings, agents.recipes, settings)
    except TickertapeError as error:
        yield str(error), "correct this setting"
        return
    if settings.alerts:
        from tickertape.stream.alerts.plan import load

        try:
            load(settings.alerts, settings.agents)
        except TickertapeError as error:
            yield str(error), "correct the file, or set the variable that it names"
    if settings.databases:
        from tickertape.stream.export.plan import load as load_databases

        try:
            load_databases(settings.databases, settings.agents)
        except TickertapeError as error:
            yield str(error), "correct the file, or set the variable that it names"
    known = {topic.name for topic in agents.topics}
    for table in ("lateness_ms", "partitions"):
        for name in sorted(getattr(settings, table).keys() - known):
            yield f"{table} names an unknown topic: {name}", f"use one of {', '.join(sorted(known))}"
    if agents.recipes and not settings.snapshot_seconds:
        yield (
            "snapshot_seconds is 0, but only snapshots store the state of metrics that are derived from final bars",
            "set snapshot_seconds to 30, its default",
        )
    if settings.idle_seconds <= settings.session_seconds:
        yield (
            f"idle_seconds {settings.idle_seconds:g} is not above session_seconds {settings.session_seconds:g}: lanes "
            "would be declared idle while another worker takes over their partition",
            "raise idle_seconds above session_seconds",
        )
    if settings.commit_seconds >= settings.session_seconds:
        yield (
            f"commit_seconds {settings.commit_seconds:g} is not below session_seconds {settings.session_seconds:g}",
            "lower commit_seconds, for example to 1",
        )
    for topic, lateness_ms in settings.lateness_ms.items():
        if lateness_ms > settings.horizon_ms:
            yield (
                f"lateness_ms of {topic} is {lateness_ms} and horizon_ms {settings.horizon_ms}: records that are late "
                "by less than lateness_ms could no longer correct results",
                f"raise horizon_ms to {lateness_ms} or more",
            )
    if settings.block_bytes > 64 << 20 or settings.block_records > 1 << 20:
        yield (
            "block_records or block_bytes is so large that one block delays all others",
            "lower them; the defaults are 8192 records and 1 MiB",
        )


def _topics(settings: Settings) -> Iterator[Finding]:
    from tickertape.stream.engine.define.discovery import configured

    declared = configured(settings).topics
    states = topics.describe(settings, declared)
    if missing := [state.name for state in states if not state.exists]:
        yield Finding("topics", "wrong", f"missing: {', '.join(missing)}", "run `tickertape topics create`")
    found = drift.differences(states, declared)
    for one in found:
        yield Finding("topics", "wrong", str(one), "run `tickertape topics check --mend`")
    if not missing and not found:
        yield Finding("topics", "ok", f"all {len(states)} exist, with the declared configs")
    behind = sum(state.lag or 0 for state in states)
    yield Finding("lag", "ok", f"{behind:,} records are still to be read")


def _group(settings: Settings) -> Iterator[Finding]:
    found = members.describe(settings)
    if not found.owned:
        yield Finding("group", "ok", "no worker is running")
    elif not found.stable:
        yield Finding("group", "warning", "a rebalance is under way", "run this again in a moment")
    else:
        yield Finding("group", "ok", f"{len(found.owned)} workers: {', '.join(sorted(found.owned))}")


def _clock(settings: Settings) -> Iterator[Finding]:
    ahead_ms = asyncio.run(_ahead_ms(settings))
    if ahead_ms is None:
        yield Finding(
            "clock",
            "warning",
            f"not checked: can't write to topic {CONTROL.name}, or it has no append times",
            "grant Write on the topic, and run `tickertape topics check`",
        )
    elif abs(ahead_ms) > settings.skew_ms:
        yield Finding(
            "clock",
            "wrong",
            f"this machine's clock differs from the broker's by {ahead_ms:+,} ms, and skew_ms is {settings.skew_ms}: "
            "records may be rejected",
            "synchronise both clocks with NTP",
        )
    else:
        yield Finding("clock", "ok", f"this machine's clock differs from the broker's by {ahead_ms:+,} ms")


async def _ahead_ms(settings: Settings) -> int | None:
    """Write a record without a value to ``control``, and return how far our clock is ahead of its append time, ms.

    None if that fails. Readers of the topic ignore the record, and compaction deletes it.
    """
    producer = AIOKafkaProducer(**for_aiokafka(settings), acks="all", request_timeout_ms=int(CLOCK_SECONDS * 1000))
    try:
        async with asyncio.timeout(CLOCK_SECONDS):
            await producer.start()
            before_ms = time.time() * 1000
            sent = await producer.send_and_wait(CONTROL.name, None, key=b"doctor", partition=0)
            now_ms = (before_ms + time.time() * 1000) / 2
    except (KafkaError, OSError, TimeoutError):
        return None
    finally:
        with suppress(Exception):
            await producer.stop()
    return round(now_ms - sent.timestamp) if sent.timestamp_type == 1 else None
