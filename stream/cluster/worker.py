"""The worker process: run the Faust app until a signal stops it."""

import asyncio
import hashlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable
from typing import NoReturn

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.worker import memory
from tickertape.stream.engine.worker.pipeline import Pipeline
from tickertape.stream.errors import ConfigError, TickertapeError
from tickertape.stream.kafka.access.rights import denied
from tickertape.stream.telemetry import logs
from tickertape.stream.telemetry.registries import WORKER
from tickertape.stream.telemetry.serving import PATH, served

log = logging.getLogger(__name__)

# The time in which a stopping worker drains, commits and exits.
STOP_SECONDS = 9.0
# A worker waits for a slot that is in use for the session time-out and this much longer.
MORE_SECONDS = 5.0
AGAIN_SECONDS = 0.2
LOOPBACK = {"127.0.0.1", "::1", "[::1]", "localhost"}


def run(settings: Settings, slot: str, *, supervised: bool = False) -> None:
    """Run a worker until SIGTERM or SIGINT; it then drains, commits, and returns within ten seconds.

    Parameters
    ----------
    settings
        The settings; ``broker`` is set.
    slot
        The worker's name in its group. A worker that replaces it has the same name.
    supervised
        True stops the worker at the end of standard input, which means that its supervisor is gone.

    Raises
    ------
    ConfigError
        No broker is set, the agents can't be found, or metrics can't be served.
    BrokerError
        Kafka can't be reached, or a topic is missing.
    """
    if not settings.broker:
        raise ConfigError(
            "no broker is set: name one with --broker or TICKERTAPE_BROKER; `tickertape up` starts its own"
        )
    _set_up_logging(settings)
    held = _hold(settings, slot)
    memory.tune()
    if supervised:
        threading.Thread(target=_stop_with_supervisor, daemon=True).start()
    with held, served(settings, WORKER) as address:
        asyncio.run(_run(settings, slot, address))


def _hold(settings: Settings, slot: str) -> socket.socket:
    """Reserve a slot's name on this machine while the process lives. Two workers of one name would fence each other.

    The reservation is a socket in Linux's abstract namespace, to which nothing connects. It leaves no file, however the
    process ends. On other systems nothing is reserved. A worker that was frozen when its supervisor was killed still
    holds the name, and ends when it wakes. So this waits for the session time-out and some seconds.

    Raises
    ------
    ConfigError
        Another process still holds the name.
    """
    held = socket.socket(socket.AF_UNIX)
    broker = one_name(settings.broker)
    name = hashlib.sha256(f"{broker}|{settings.group}|{settings.epoch}|{slot}".encode()).hexdigest()
    wait_seconds = settings.session_seconds + MORE_SECONDS
    until, told = time.monotonic() + wait_seconds, False
    while sys.platform == "linux":
        try:
            held.bind(f"\0tickertape-{name}")
            break
        except OSError:
            if time.monotonic() > until:
                held.close()
                raise ConfigError(
                    f"a worker {slot} of group {settings.group} still runs on this machine after {wait_seconds:g} s: "
                    "stop it (kill -9 if it hangs), or give this one another --slot or another TICKERTAPE_GROUP"
                ) from None
            if not told:
                log.warning("another worker has the slot %s: waiting up to %g s for its end", slot, wait_seconds)
                told = True
            time.sleep(AGAIN_SECONDS)
    return held


def one_name(broker: str) -> str:
    """Return a broker's addresses in one form, so ``127.0.0.1`` and ``localhost`` are the same broker."""
    parted = (address.strip().rpartition(":") for address in broker.split(","))
    return ",".join(sorted(f"{'localhost' if host in LOOPBACK else host}:{port}" for host, _, port in parted))


async def _run(settings: Settings, slot: str, address: str) -> None:
    app = Pipeline(settings, slot)
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    refusal = asyncio.create_task(app.refusal())
    refusal.add_done_callback(lambda _: told.set())
    try:
        started = await _unless(told, app.start())
    except BaseException:
        await app.on_shutdown()
        raise
    if not started:
        _end(slot, refusal.result() if refusal.done() else None)
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    log.info("worker %s is up%s", slot, f", its metrics at {address}{PATH}" if address else "")
    await _unless(told, app.wait())
    if (reason := refusal.result() if refusal.done() else app.crashed()) is not None:
        # The agents' work may be half done, so none of it is committed. As after a kill, the next worker resumes from
        # the last commit.
        _end(slot, reason)
    refusal.cancel()
    if not await _stopped(app):
        log.error("worker %s did not stop in %g s; the next one resumes from its last commit", slot, STOP_SECONDS)
        _leave(1)
    log.info("worker %s has stopped", slot)


async def _stopped(app: Pipeline) -> bool:
    """Stop the app, which drains and commits; return False if it takes too long."""
    stopping = asyncio.create_task(app.stop())
    # Not `wait_for`, which would wait for a cancelled task that may never end.
    await asyncio.wait((stopping,), timeout=STOP_SECONDS)
    return stopping.done()


def _end(slot: str, reason: BaseException | None) -> NoReturn:
    """Exit, and log the reason unless the worker was stopped by a signal."""
    if isinstance(reason, TickertapeError):
        log.critical("worker %s: %s", slot, reason)
    elif reason is not None:
        log.critical("worker %s has crashed", slot, exc_info=reason)
    _leave(0 if reason is None else getattr(reason, "exit_code", 1))


def _leave(code: int) -> NoReturn:
    """Exit without waiting for Faust's threads."""
    logging.shutdown()
    os._exit(code)


async def _unless(told: asyncio.Event, work: Awaitable[object]) -> bool:
    """Return whether the work ended before the stop event; cancel the work if it didn't."""
    task, stop = asyncio.ensure_future(work), asyncio.create_task(told.wait())
    await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        stop.cancel()
        task.result()
    else:
        task.cancel()
        await asyncio.wait((task,))
    return not told.is_set()


def _stop_with_supervisor() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_SECONDS + 1)
    os._exit(1)


def _set_up_logging(settings: Settings) -> None:
    # Faust and aiokafka log every step. Operators only need their problems.
    logs.set_up(settings.log_format)
    # If the start fails, our own error says why.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    # The worker logs the partitions that it owns, which is enough about a rebalance.
    logging.getLogger("aiokafka.consumer.group_coordinator").setLevel(logging.ERROR)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Return False for the steps of Faust's services, and for a crash that the worker reports itself."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, TickertapeError) or (error is not None and denied(error)):
        # This error ends the worker, which reports it in one line.
        return False
    text = record.getMessage()
    return not text.startswith("[^") or (record.levelno > logging.INFO and "Crashed reason" not in text)
