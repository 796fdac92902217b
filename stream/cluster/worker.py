"""One worker process: the Faust app, run until it is told to stop."""

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
from tickertape.stream.engine.worker.pipeline import Pipeline
from tickertape.stream.errors import ConfigError, TickertapeError
from tickertape.stream.kafka.access.rights import denied
from tickertape.stream.telemetry import logs, memory
from tickertape.stream.telemetry.metrics import PATH, WORKER, served

log = logging.getLogger(__name__)

# Within it a worker that is told to stop drains, commits and is gone.
STOP_SECONDS = 9.0
# A slot that another has is waited for as long as a session, and so much more.
MORE_SECONDS = 5.0
AGAIN_SECONDS = 0.2
LOOPBACK = {"127.0.0.1", "::1", "[::1]", "localhost"}


def run(settings: Settings, slot: str, *, supervised: bool = False) -> None:
    """Run a worker until SIGTERM or SIGINT; it drains, commits, and returns within ten seconds.

    Parameters
    ----------
    settings
        The settings; ``broker`` is set.
    slot
        Its name among the workers: the one that takes its place has the same.
    supervised
        True where the end of standard input means that the supervisor is gone: then it stops too.

    Raises
    ------
    ConfigError
        No broker is set, the agents can't be found, or metrics can't be served.
    BrokerError
        Kafka can't be reached, or a topic is missing.
    """
    if not settings.broker:
        raise ConfigError(
            "no broker is set: name one with --broker or TICKERTAPE_BROKER; `tickertape up` brings its own"
        )
    _set_up_logging(settings)
    held = _hold(settings, slot)
    memory.tune()
    if supervised:
        threading.Thread(target=_stop_with_supervisor, daemon=True).start()
    with held, served(settings, WORKER) as address:
        asyncio.run(_run(settings, slot, address))


def _hold(settings: Settings, slot: str) -> socket.socket:
    """Take a slot's name on this machine, for as long as the process lives: two of one name fence each other for ever.

    It is a socket that nobody connects to, in Linux's abstract namespace: it leaves no file, however the process ends.
    Elsewhere nothing is held. One that was frozen when its supervisor was killed has it still, and ends when it wakes:
    it is waited for as long as Kafka would wait for it, and some seconds.

    Raises
    ------
    ConfigError
        Another process has it.
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
                    f"a worker {slot} of group {settings.group} has run on this machine for {wait_seconds:g} s more: "
                    "stop it (kill -9 one that hangs), or give this one another --slot, or another TICKERTAPE_GROUP"
                ) from None
            if not told:
                log.warning("another worker has the slot %s: it is waited for, for %g s", slot, wait_seconds)
                told = True
            time.sleep(AGAIN_SECONDS)
    return held


def one_name(broker: str) -> str:
    """Return a broker's address under one name, for this machine has several: ``127.0.0.1`` is ``localhost``."""
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
        # What the agents hold may be half done, so nothing of it is committed: as after a kill, the next worker goes on
        # from the last commit.
        _end(slot, reason)
    refusal.cancel()
    if not await _stopped(app):
        log.error("worker %s did not stop in %g s; the next goes on from its last commit", slot, STOP_SECONDS)
        _leave(1)
    log.info("worker %s has stopped", slot)


async def _stopped(app: Pipeline) -> bool:
    """Stop the app: it drains and commits; return False where that takes too long."""
    stopping = asyncio.create_task(app.stop())
    # Not `wait_for`: it would wait for the end of what doesn't end.
    await asyncio.wait((stopping,), timeout=STOP_SECONDS)
    return stopping.done()


def _end(slot: str, reason: BaseException | None) -> NoReturn:
    """Say why, where it is not as it was told, and exit."""
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
    """Return whether the work came to its end before we were told to stop; then it is cancelled."""
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
    # Faust and aiokafka tell of every step; what an operator needs of it is what goes wrong.
    logs.set_up(settings.log_format)
    # Where the start fails, our own error says why.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    # Of a rebalance it is enough that we say what is owned.
    logging.getLogger("aiokafka.consumer.group_coordinator").setLevel(logging.ERROR)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out the steps of Faust's services, and the crash that we report ourselves."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, TickertapeError) or (error is not None and denied(error)):
        # It ends the worker, which says so in a line.
        return False
    text = record.getMessage()
    return not text.startswith("[^") or (record.levelno > logging.INFO and "Crashed reason" not in text)
