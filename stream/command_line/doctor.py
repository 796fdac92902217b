"""``tickertape doctor``: looks at what a pipeline stands on, and says of each thing what to do."""

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
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import BrokerError, TickertapeError
from tickertape.stream.kafka.access.security import for_aiokafka
from tickertape.stream.kafka.admin import drift, members, topics
from tickertape.stream.kafka.admin.client import connected

State = Literal["ok", "warning", "wrong"]

# What a worker takes with 10,000 symbols and every agent, and Kafka beside it.
MEMORY_BYTES = 2 << 30
# An embedded Kafka, or an hour of a busy one.
DISK_BYTES = 5 << 30
CLOCK_SECONDS = 10.0
_MARKS = {"ok": "ok     ", "warning": "warning", "wrong": "WRONG  "}


class Finding(Struct, frozen=True):
    """What was looked at, how it is, and what to do.

    Attributes
    ----------
    what
        A word or two.
    state
        ``wrong`` is what a pipeline won't run with, or not run right.
    found
        What there is.
    do
        What mends it; empty where it is ok.
    """

    what: str
    state: State
    found: str
    do: str = ""

    def __str__(self) -> str:
        return f"{_MARKS[self.state]} {self.what}: {self.found}" + (f"; {self.do}" if self.do else "")


def examine(settings: Settings) -> Iterator[Finding]:
    """Yield one finding after the other; those of Kafka only where it can be reached."""
    yield _python()
    yield _memory()
    yield _disk()
    yield from _settings(settings)
    if not settings.broker:
        yield Finding(
            "broker", "warning", "none is set", "`tickertape up` and `demo` run one along; or set TICKERTAPE_BROKER"
        )
        return
    try:
        with connected(settings) as admin:
            nodes = admin.describe_cluster().get("brokers", [])
            version = ".".join(map(str, admin.config.get("api_version") or ())) or "not told"
    except TickertapeError as error:
        yield Finding("broker", "wrong", str(error), "the rest of Kafka was not looked at")
        return
    yield Finding("broker", "ok", f"{settings.broker} answers, with {len(nodes)} broker(s); protocol of {version}")
    for look in (_topics, _group, _clock):
        yield from _told(look, settings)


def _told(look: Callable[[Settings], Iterator[Finding]], settings: Settings) -> Iterator[Finding]:
    name = look.__name__.strip("_")
    try:
        yield from look(settings)
    except BrokerError as error:
        yield Finding(name, "wrong", str(error))


def _python() -> Finding:
    # With an older one there would be no command.
    return Finding("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _memory() -> Finding:
    free = psutil.virtual_memory().available
    found = f"{free / 2**30:.1f} GiB free"
    if free < MEMORY_BYTES:
        return Finding("memory", "warning", found, "a worker with 10,000 symbols and every agent takes 1.3 GiB")
    return Finding("memory", "ok", found)


def _disk() -> Finding:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    found = f"{free / 2**30:.0f} GiB free in {folder}"
    if free < DISK_BYTES:
        return Finding(
            "disk", "warning", found, "an embedded Kafka and replays write there: set TMPDIR to where there is more"
        )
    return Finding("disk", "ok", found)


def _settings(settings: Settings) -> Iterator[Finding]:
    wrong = list(contradictions(settings))
    for found, do in wrong:
        yield Finding("settings", "wrong", found, do)
    if not wrong:
        yield Finding("settings", "ok", f"group {settings.group}, epoch {settings.epoch}")


def contradictions(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield what settings say against each other, or of what there isn't; and what to do."""
    from tickertape.stream.engine.define.discovery import configured
    from tickertape.stream.engine.derived.derived import outputs_of

    try:
        agents = configured(settings)
        outputs_of(agents.windowings, agents.recipes, settings)
    except TickertapeError as error:
        yield str(error), "mend it in the settings"
        return
    known = {topic.name for topic in agents.topics}
    for table in ("lateness_ms", "partitions"):
        for name in sorted(getattr(settings, table).keys() - known):
            yield f"{table} of {name}, and there is no such topic", f"there are {', '.join(sorted(known))}"
    if agents.recipes and not settings.snapshot_seconds:
        yield "snapshot_seconds is 0, and what follows final bars is kept in snapshots alone", "set it, 30 say"
    if settings.idle_seconds <= settings.session_seconds:
        yield (
            f"idle_seconds {settings.idle_seconds:g} is not above session_seconds {settings.session_seconds:g}: lanes "
            "are idle while a worker is only taken over from",
            "raise idle_seconds",
        )
    if settings.commit_seconds >= settings.session_seconds:
        yield (
            f"commit_seconds {settings.commit_seconds:g} is not below session_seconds {settings.session_seconds:g}",
            "lower commit_seconds, 1 say",
        )
    for topic, lateness_ms in settings.lateness_ms.items():
        if lateness_ms > settings.horizon_ms:
            yield (
                f"lateness_ms of {topic} is {lateness_ms} and horizon_ms {settings.horizon_ms}: what may come late "
                "can't correct any more",
                "raise horizon_ms",
            )
    if settings.block_bytes > 64 << 20 or settings.block_records > 1 << 20:
        yield (
            "block_records or block_bytes is so large that a block holds up all others",
            "the defaults are 8192 and 1 MiB",
        )


def _topics(settings: Settings) -> Iterator[Finding]:
    from tickertape.stream.engine.define.discovery import configured

    declared = configured(settings).topics
    states = topics.describe(settings, declared)
    if missing := [state.name for state in states if not state.exists]:
        yield Finding("topics", "wrong", f"there is no {', '.join(missing)}", "run `tickertape topics create`")
    found = drift.differences(states, declared)
    for one in found:
        yield Finding("topics", "wrong", str(one), "`tickertape topics check --mend` mends it")
    if not missing and not found:
        yield Finding("topics", "ok", f"all {len(states)} are there, as the catalogue has them")
    behind = sum(state.lag or 0 for state in states)
    yield Finding("lag", "ok", f"{behind:,} records are to be read")


def _group(settings: Settings) -> Iterator[Finding]:
    found = members.describe(settings)
    if not found.owned:
        yield Finding("group", "ok", "no worker runs", "")
    elif not found.stable:
        yield Finding("group", "warning", "partitions are being shared out", "look again in a moment")
    else:
        yield Finding("group", "ok", f"{len(found.owned)} workers: {', '.join(sorted(found.owned))}")


def _clock(settings: Settings) -> Iterator[Finding]:
    ahead_ms = asyncio.run(_ahead_ms(settings))
    if ahead_ms is None:
        yield Finding(
            "clock", "warning", f"not looked at: {CONTROL.name} takes no record from here, or has no append times"
        )
    elif abs(ahead_ms) > settings.skew_ms:
        yield Finding(
            "clock",
            "wrong",
            f"ours is {ahead_ms:+,} ms from the broker's, and skew_ms is {settings.skew_ms}: records are rejected",
            "have both set by NTP",
        )
    else:
        yield Finding("clock", "ok", f"ours is {ahead_ms:+,} ms from the broker's")


async def _ahead_ms(settings: Settings) -> int | None:
    """Return how far our clock is ahead of the broker's, by a record that says nothing; None where it isn't taken."""
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
